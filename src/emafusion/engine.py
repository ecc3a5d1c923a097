"""One request, front to back.

:meth:`Engine.serve` is the story and the table of contents: protect, understand, predict, plan,
execute, judge, record, in that order. The engine knows in which order the stages speak and what
passes between them. It knows no stage from inside, no vendor, no file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager

from msgspec import Struct

from emafusion.catalog import Catalog
from emafusion.errors import BudgetError, EmafusionError, NoModelError
from emafusion.execute import Ask, Ledger, Limits, Trial, carry_out, settle
from emafusion.protocols import (
    Classifier,
    Clock,
    Panel,
    Planner,
    Predictor,
    Protector,
    Provider,
    Recorder,
    Rule,
)
from emafusion.types import (
    Answer,
    Chunk,
    Draft,
    Forecast,
    Knobs,
    Labels,
    Model,
    Outcome,
    Plan,
    Request,
    replace,
)


class Stages(Struct, frozen=True, kw_only=True):
    """The parts an engine runs, one for each stage; ``rule`` carries adaptive plans on."""

    protector: Protector
    classifier: Classifier
    predictor: Predictor
    planner: Planner
    panel: Panel
    recorder: Recorder
    rule: Rule | None = None


class Engine:
    """Answers requests with the cheapest arrangement of models that will answer them well.

    Parameters
    ----------
    stages : Stages
        One part for each stage.
    models : sequence of Model
        The catalog.
    providers : mapping of str to Provider
        The providers, by the name that models use.
    clock : Clock
        The time.
    knobs : Knobs
        The policy: what a request gets that asks for nothing.
    """

    def __init__(
        self,
        stages: Stages,
        models: Sequence[Model],
        *,
        providers: Mapping[str, Provider],
        clock: Clock,
        knobs: Knobs | None = None,
    ) -> None:
        self.stages = stages
        self.models = Catalog(models)
        self.providers = providers
        self.knobs = knobs or Knobs()
        self._clock = clock

    async def serve(self, request: Request) -> Answer:
        """Answer `request` whole.

        Raises
        ------
        RequestError
            The request cannot be served as it stands.
        BudgetError
            Any call would exceed the request's spending limit.
        ProviderError
            Every model that could answer has failed.
        StoreError
            The outcome could not be recorded; no answer is given that has no record.
        """
        async with self._open(request) as case:
            trial = await self._prepare(case)
            last = await carry_out(trial)
            if last is not None:
                await trial.question_until_answered((last, *trial.ask.plan.fallbacks))
            elif not trial.drafts:
                await trial.question_until_answered(trial.ask.plan.fallbacks)
            return await self._close(case, trial)

    async def stream(self, request: Request) -> AsyncGenerator[Chunk | Answer]:
        """Answer `request` piece by piece: chunks, and last the whole :class:`Answer`.

        Drafts that must be judged are not streamed: they come as one chunk once accepted, and so
        do all answers of adaptive plans. The last model of another plan is streamed as it speaks;
        should it fail before its first chunk, the plan's fallbacks are asked. Raises as
        :meth:`serve`.
        """
        async with self._open(request) as case:
            trial = await self._prepare(case)
            last = await carry_out(trial)
            streamed = False
            speech = _speech(last, trial, case.ledger)
            async with aclosing(speech):
                async for chunk in speech:
                    streamed = True
                    yield chunk
            answer = await self._close(case, trial, streamed=streamed)
            if not streamed:
                yield Chunk(text=answer.text)
            yield answer

    async def aclose(self) -> None:
        """Finish what is pending and give everything back."""
        try:
            for provider in self.providers.values():
                await provider.aclose()
        finally:
            await self.stages.recorder.aclose()

    async def _prepare(self, case: Case) -> Trial:
        """Stages 1 to 4: from a request to a plan."""
        request, stages = case.request, self.stages
        models = self._named(request)
        clearance = stages.protector.protect(request, models)
        cleared = [model for model in models if model.name in clearance.models]
        if not cleared:
            raise NoModelError(
                f"no model is cleared for {clearance.data_class} text; "
                "add one with visibility = 'private'"
            )
        case.ledger.restrict(clearance.models)
        case.labels = await stages.classifier.understand(request, case.ledger)
        case.forecast = stages.predictor.predict(request, case.labels, cleared)
        case.plan = stages.planner.plan(request, case.forecast, cleared)
        ask = Ask(request=request, forecast=case.forecast, plan=case.plan)
        return Trial(ask, port=case.ledger, panel=stages.panel, rule=stages.rule)

    async def _close(self, case: Case, trial: Trial, *, streamed: bool = False) -> Answer:
        """Stages 6 and 7: judge what there is, choose, record, answer."""
        if not trial.drafts:
            raise _why(trial.failures)
        settled = await settle(trial, last=streamed)
        draft = trial.drafts[settled.chosen]
        outcome = case.outcome(
            model=draft.model,
            text=draft.text,
            confidence=settled.confidence,
            finish_reason=draft.completion.finish_reason,
            verdicts=settled.assessment.verdicts,
            tier=trial.tier,
        )
        await self._record(case, outcome)
        return Answer(
            text=draft.text,
            model=draft.model,
            confidence=settled.confidence,
            cost_usd=outcome.cost_usd,
            latency_s=outcome.latency_s,
            decision_id=outcome.decision_id,
            plan=trial.ask.plan,
            completion=draft.completion,
            outcome=outcome,
        )

    @asynccontextmanager
    async def _open(self, request: Request) -> AsyncIterator[Case]:
        """A case that is recorded however it ends, if anything was spent on it."""
        request = replace(request, knobs=request.knobs.over(self.knobs))
        limits = Limits(
            max_cost_usd=request.knobs.max_cost_usd,
            max_latency_s=request.knobs.max_latency_s,
        )
        ledger = Ledger(self.models, self.providers, clock=self._clock, limits=limits)
        case = Case(request, ledger, self._clock.now())
        try:
            yield case
        except BaseException as failure:
            if ledger.steps and not case.recorded:
                name = type(failure).__name__
                told = f"{name}: {failure}" if isinstance(failure, EmafusionError) else name
                await asyncio.shield(self._record(case, case.outcome(error=told)))
            raise

    async def _record(self, case: Case, outcome: Outcome) -> None:
        case.recorded = True
        await self.stages.recorder.record(outcome)

    def _named(self, request: Request) -> list[Model]:
        """The models the caller named, or all."""
        names = request.knobs.models
        if names is None:
            return list(self.models.values())
        return [self.models[name] for name in dict.fromkeys(names)]


async def _speech(last: str | None, trial: Trial, ledger: Ledger) -> AsyncGenerator[Chunk]:
    """The chunks of the first model that speaks: `last`, else the plan's fallbacks.

    Nothing where the drafts already hold the answer.
    """
    if last is None and trial.drafts:
        return
    for model in (*([last] if last else []), *trial.ask.plan.fallbacks):
        before = len(trial.drafts)
        attempt = _attempt(model, trial, ledger)
        async with aclosing(attempt):
            async for chunk in attempt:
                yield chunk
        if len(trial.drafts) > before:
            return


async def _attempt(model: str, trial: Trial, ledger: Ledger) -> AsyncGenerator[Chunk]:
    """`model`'s chunks; a failure before the first one is kept aside, a later one is raised."""
    spoke = False
    stream = _heard(ledger.stream(model, trial.ask.request.messages, params=trial.params), trial)
    try:
        async with aclosing(stream):
            async for chunk in stream:
                spoke = True
                yield chunk
    except EmafusionError as failure:
        trial.failures.append(failure)
        if spoke:
            raise


async def _heard(stream: AsyncGenerator[Chunk | Draft], trial: Trial) -> AsyncGenerator[Chunk]:
    """The chunks of `stream`; the draft that ends it joins the trial's."""
    async with aclosing(stream):
        async for piece in stream:
            if isinstance(piece, Draft):
                trial.drafts.append(piece)
            else:
                yield piece


class Case:
    """One request in progress: what each stage has made of it so far."""

    def __init__(self, request: Request, ledger: Ledger, created: float) -> None:
        self.request = request
        self.ledger = ledger
        self.created = created
        self.labels = Labels(axes={})
        self.forecast = Forecast(estimates=())
        self.plan: Plan | None = None
        self.recorded = False

    def outcome(self, **found: object) -> Outcome:
        """The record of the case as it stands, with what was `found`."""
        blank = Outcome(
            decision_id=self.request.id,
            created=self.created,
            prompt=self.request.text,
            labels=self.labels,
            forecast=self.forecast,
            plan=self.plan,
            steps=tuple(self.ledger.steps),
            verdicts=(),
            model="",
            text="",
            confidence=0.0,
            cost_usd=self.ledger.spent,
            latency_s=self.ledger.elapsed,
        )
        return replace(blank, **found)


def _why(failures: Sequence[EmafusionError]) -> EmafusionError:
    """The failure to report when no model answered: a spent budget before a broken model."""
    for failure in failures:
        if isinstance(failure, BudgetError):
            return failure
    return failures[-1] if failures else NoModelError("the plan named no model")
