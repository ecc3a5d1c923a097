"""One request, front to back.

:meth:`Engine.serve` is the story and the table of contents: protect, understand, predict, plan,
execute, judge, record, in that order. The engine knows in which order the stages speak and what
passes between them. It knows no stage from inside, no vendor, no file.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from msgspec import Struct

from emafusion.catalog import Catalog
from emafusion.errors import (
    BudgetError,
    EmafusionError,
    NoModelError,
    RequestError,
    UnknownModelError,
)
from emafusion.execute import (
    Answered,
    Ask,
    Done,
    Ledger,
    Limits,
    SecondTier,
    Settled,
    Trial,
    advancing,
    answered,
    carry_out,
    joined,
    origins,
    settle,
    speech,
    write,
)
from emafusion.execute.hedging import Hedging
from emafusion.judge import ComparisonJudge, Unread, screened
from emafusion.plan import composing
from emafusion.plan.eligible import settled
from emafusion.protocols import (
    Checker,
    Classifier,
    Clock,
    Combiner,
    Dialogues,
    Explorer,
    Panel,
    Planner,
    Port,
    Predictor,
    Protector,
    Provider,
    Recorder,
    Rule,
    Splitter,
    Watched,
)
from emafusion.record.withheld import recordable
from emafusion.types import (
    Answer,
    Chunk,
    Completion,
    Decompose,
    Feedback,
    Forecast,
    Knobs,
    Labels,
    Model,
    Outcome,
    Part,
    Plan,
    Request,
    replace,
)


class Stages(Struct, frozen=True, kw_only=True):
    """The parts an engine runs, one for each stage.

    ``rule`` carries adaptive plans on; ``splitter`` finds the parts of composite prompts, which are
    answered whole without one; ``combiner`` says where differing drafts are worth another call,
    without one they are selected among. ``explorer`` departs from plans now and then, to learn;
    ``checker`` has answers judged anew now and then, after the reply. ``dialogues`` knows whose
    prompt caches still hold a conversation.
    ``policy`` names the fitted policy that the stages come from, where there are several.
    """

    protector: Protector
    classifier: Classifier
    predictor: Predictor
    planner: Planner
    panel: Panel
    recorder: Recorder
    rule: Rule | None = None
    splitter: Splitter | None = None
    combiner: Combiner | None = None
    explorer: Explorer | None = None
    checker: Checker | None = None
    dialogues: Dialogues | None = None
    policy: str = ""


UNREAD: Final = Unread()
"""Judges the answers of models that were asked by name."""

Policies = Callable[[Request], Stages]
"""Which stages answer a request, where more than one policy serves or serves in turn."""

Told = Callable[[Outcome], None]
"""Hears what became of a request, before it is on record: failed ones too that cost something."""


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

    Attributes
    ----------
    policies : callable, optional
        The stages for each request, where they change while serving; a request keeps those that it
        began with. Unset, `stages` answer all.
    named : mapping of str to Knobs
        What a request gets that names a policy, beside what it asks for itself.
    hedging : Hedging, optional
        Says when an answer is late, and is asked for once more. Unset, none is.
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
        self.policies: Policies | None = None
        self.named: Mapping[str, Knobs] = {}
        self.models = Catalog(models)
        self.providers = providers
        self.knobs = knobs or Knobs()
        self.hedging: Hedging | None = None
        self._clock = clock
        self._watched = {name: one for name, one in providers.items() if isinstance(one, Watched)}

    async def serve(self, request: Request, told: Told | None = None) -> Answer:
        """Answer `request` whole; `told` hears its outcome, even if this raises.

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
        async with self._open(request, told) as case:
            cleared = await self._understand(case)
            trials = await self._divide(case, cleared)
            if trials:
                return await self._join(case, [end async for end in self._ends(case, trials)])
            trial = self._plan(case, cleared)
            return await self._close(case, trial, await self._solve(trial))

    async def stream(
        self, request: Request, told: Told | None = None
    ) -> AsyncGenerator[Chunk | Answer]:
        """Answer `request` piece by piece: chunks, and last the whole :class:`Answer`.

        Drafts that must be judged are not streamed: they come as one chunk once accepted, and so
        do all answers of adaptive plans, unless the second tier has one written of them. The last
        model of another plan is streamed as it speaks; should it fail before its first chunk, the
        plan's fallbacks are asked. The parts of a composite prompt come in its order, each as one
        chunk. Raises as :meth:`serve`.
        """
        async with self._open(request, told) as case:
            cleared = await self._understand(case)
            trials = await self._divide(case, cleared)
            pieces = (
                self._stream_parts(case, trials)
                if trials
                else self._stream_whole(case, self._plan(case, cleared))
            )
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece

    async def _stream_whole(self, case: Case, trial: Trial) -> AsyncGenerator[Chunk | Answer]:
        """The last model's chunks as it speaks, or the answer of the drafts once it is settled."""
        last = await carry_out(trial)
        before = len(trial.drafts)
        async with aclosing(speech(last, trial, case.ledger)) as chunks:
            async for chunk in chunks:
                yield chunk
        streamed = len(trial.drafts) > before
        if not trial.drafts:
            raise _why(trial.failures)
        answer = await self._close(case, trial, await settle(trial, last=streamed))
        if not streamed:
            yield Chunk(text=answer.text)
        yield answer

    async def _stream_parts(
        self, case: Case, trials: Sequence[Trial]
    ) -> AsyncGenerator[Chunk | Answer]:
        """The parts of a composite prompt as they are done, once one of them has an answer.

        Of a part that is done before its turn, a chunk without text says so.
        """
        ends: list[Answered] = []
        said = 0
        async with aclosing(advancing(_parts(case), trials, self._solve)) as coming:
            async for end in coming:
                if isinstance(end, Done):
                    yield Chunk(done=(end.part, end.of))
                    continue
                ends.append(end)
                if any(one.failure is None for one in ends):
                    text = joined(ends).text
                    yield Chunk(text=text[said:])
                    said = len(text)
        yield await self._join(case, ends)

    async def note(
        self, decision_id: str, score: float, *, caller: str = "", comment: str = ""
    ) -> None:
        """Put on record what `caller` thinks of an earlier answer, `score` from 0 to 1.

        Raises
        ------
        UnknownDecisionError
            No such decision is on record.
        StoreError
            The opinion could not be recorded.
        """
        said = Feedback(
            decision_id=decision_id,
            score=score,
            created=self._clock.now(),
            caller=caller,
            comment=comment,
        )
        await self.stages.recorder.note(said)

    def cleared(self, request: Request) -> list[Model]:
        """The models that may see `request`, of those it names; as :meth:`serve` would ask them.

        Raises :class:`NoModelError` where there are none.
        """
        knobs = request.knobs.over(self.chosen(request.knobs.policy)).over(self.knobs)
        request = replace(request, knobs=knobs)
        stages = self.policies(request) if self.policies is not None else self.stages
        return _cleared(request, self._named(request), stages)

    def chosen(self, policy: str | None) -> Knobs:
        """The knobs of a named policy; raises :class:`UnknownModelError` where there is none."""
        if policy is None:
            return Knobs()
        if policy not in self.named:
            known = ", ".join(map(repr, self.named)) or "none"
            raise UnknownModelError(
                f"there is no policy {policy[:200]!r}; those that are configured: {known}", "model"
            )
        return self.named[policy]

    async def aclose(self) -> None:
        """Finish what is pending and give everything back."""
        try:
            if self.stages.checker is not None:
                await self.stages.checker.aclose()
            for provider in self.providers.values():
                await provider.aclose()
        finally:
            await self.stages.recorder.aclose()

    async def _understand(self, case: Case) -> list[Model]:
        """Stages 1 to 3: who may see the request, of what kind it is, and what models promise.

        Where a model was named, or its turn is not over, no text is read.
        """
        request, stages = case.request, case.stages
        models = self._named(request)
        cleared = _cleared(request, models, stages)
        found = request.protection
        case.ledger.restrict(
            [model.name for model in cleared], untold=found is not None and found.untold
        )
        cleared = self._reachable(cleared, request)
        case.chosen = settled(request, models, cleared)
        if case.chosen:
            case.forecast = stages.predictor.usual(request, cleared)
            return cleared
        case.labels = await stages.classifier.understand(request, case.ledger)
        case.forecast = stages.predictor.predict(request, case.labels, cleared)
        if stages.dialogues is not None:
            case.forecast = stages.dialogues.priced(request, case.forecast, cleared)
        return cleared

    def _plan(self, case: Case, cleared: Sequence[Model]) -> Trial:
        """Stage 4: from a forecast to a plan."""
        stages = case.stages
        case.plan = stages.planner.plan(case.request, case.forecast, cleared)
        if not case.chosen and stages.explorer is not None:
            case.plan = stages.explorer.explore(
                case.request, case.forecast, case.plan, models=cleared
            )
        ask = Ask(
            request=case.request,
            forecast=case.forecast,
            plan=case.plan,
            labels=case.labels,
            models=tuple(cleared),
            hedging=self.hedging,
        )
        return _trial(ask, case.ledger, stages, panel=UNREAD if case.chosen else None)

    async def _divide(self, case: Case, cleared: Sequence[Model]) -> list[Trial]:
        """A trial for each part of a composite prompt, each planned by itself; none of another."""
        request, stages = case.request, case.stages
        if stages.splitter is None or not composing.divisible(request):
            return []
        split = await stages.splitter.split(request, case.labels, case.ledger)
        if split is None:
            return []
        asks = []
        for part in composing.requests(request, split):
            labels = await stages.classifier.understand(part, case.ledger)
            forecast = stages.predictor.predict(part, labels, cleared)
            try:
                plan = stages.planner.plan(part, forecast, cleared)
            except (RequestError, BudgetError):
                return []  # its share buys no plan; asked whole, the limits may suffice
            models = tuple(cleared)
            asks.append(
                Ask(
                    request=part,
                    forecast=forecast,
                    plan=plan,
                    labels=labels,
                    models=models,
                    hedging=self.hedging,
                )
            )
        case.plan = composing.composed(
            split,
            [ask.plan for ask in asks],
            [ask.forecast for ask in asks],
            repeated=composing.repetition(request, [ask.request for ask in asks]),
        )
        if case.plan is None:
            return []
        return [
            _trial(ask, case.ledger.of_part(place, ask.request.knobs.max_cost_usd), stages)
            for place, ask in enumerate(asks)
        ]

    async def _solve(self, trial: Trial) -> Settled:
        """Stages 5 and 6: carry the plan out, judge what there is, choose."""
        last = await carry_out(trial)
        if last is not None and trial.closing is not None:
            await write(last, trial)
            return await settle(trial)
        if last is not None:
            await trial.question_until_answered((last, *trial.ask.plan.fallbacks))
        elif not trial.drafts:
            await trial.question_until_answered(trial.ask.plan.fallbacks)
        if not trial.drafts:
            raise _why(trial.failures)
        return await settle(trial)

    def _ends(self, case: Case, trials: Sequence[Trial]) -> AsyncGenerator[Answered]:
        """The parts of a composite prompt, answered."""
        return answered(_parts(case), trials, self._solve)

    async def _join(self, case: Case, ends: Sequence[Answered]) -> Answer:
        """Stage 7 of a composite prompt: one answer of all parts', if any was answered."""
        failures = [end.failure for end in ends if end.failure is not None]
        pieces = tuple(end.piece for end in ends)
        if len(failures) == len(ends):
            why = _why(failures)
            if case.ledger.steps:
                await self._record(case, case.outcome(error=_told(why), parts=pieces))
            raise why
        completion = joined(ends)
        models = dict.fromkeys(end.piece.model for end in ends if end.draft is not None)
        outcome = case.outcome(
            model=", ".join(models),
            text=completion.text,
            confidence=sum(end.piece.confidence for end in ends) / len(ends),
            finish_reason=completion.finish_reason,
            parts=pieces,
        )
        await self._record(case, outcome)
        return _answer(outcome, completion)

    async def _close(self, case: Case, trial: Trial, settled: Settled) -> Answer:
        """Stage 7: record, answer."""
        draft = trial.drafts[settled.chosen]
        outcome = case.outcome(
            model=draft.model,
            text=draft.text,
            confidence=settled.confidence,
            finish_reason=draft.completion.finish_reason,
            verdicts=settled.assessment.verdicts,
            tier=trial.tier,
            origins=origins(trial, settled),
            combining=trial.combining,
        )
        await self._record(case, outcome)
        found = outcome.protection
        if case.stages.checker is not None and not (found is not None and found.untold):
            case.stages.checker.consider(case.request, outcome, models=trial.ask.models)
        return _answer(outcome, draft.completion)

    def _open(self, request: Request, told: Told | None) -> Case:
        """A case that is recorded however it ends, if anything was spent on it."""
        knobs = request.knobs.over(self.chosen(request.knobs.policy)).over(self.knobs)
        request = replace(request, knobs=knobs)
        limits = Limits(max_cost_usd=knobs.max_cost_usd, max_latency_s=knobs.max_latency_s)
        ledger = Ledger(
            self.models, self.providers, clock=self._clock, limits=limits, turn=request.turn
        )
        stages = self.policies(request) if self.policies is not None else self.stages
        case = Case(request, ledger, stages=stages, created=self._clock.now(), end=self._record)
        case.told = told
        return case

    async def _record(self, case: Case, outcome: Outcome) -> None:
        case.recorded = True
        outcome = recordable(outcome)
        if case.told is not None:
            case.told(outcome)
        if case.stages.dialogues is not None:
            case.stages.dialogues.note(case.request, outcome)
        await case.stages.recorder.record(outcome)

    def _reachable(self, models: list[Model], request: Request) -> list[Model]:
        """Those of `models` not known to be down, or whose turn it is; all where none is."""
        kept, watched = request.turn and request.turn.model, self._watched
        up = [
            model
            for model in models
            if model.name == kept
            or model.provider not in watched
            or watched[model.provider].reachable(model)
        ]
        return up or models

    def _named(self, request: Request) -> list[Model]:
        """The models the caller named, or all that talk."""
        names = request.knobs.models
        if names is None:
            everyone = self.models.values()
            return [model for model in everyone if "embeddings" not in model.capabilities]
        return [self.models[name] for name in dict.fromkeys(names)]


def _cleared(request: Request, models: Sequence[Model], stages: Stages) -> list[Model]:
    """Those of `models` that may see `request`; raises :class:`NoModelError` without any."""
    clearance = stages.protector.protect(request, models)
    cleared = [model for model in models if model.name in clearance.models]
    if cleared:
        return cleared
    found = request.protection
    why = clearance.data_class if found is None else found.data_class
    failed = "" if found is None or not found.failed else f" ({', '.join(found.failed)} failed)"
    raise NoModelError(
        f"no model is cleared for {why} text{failed}; ask or add one with visibility = 'private'"
    )


def _trial(ask: Ask, port: Port, stages: Stages, *, panel: Panel | None = None) -> Trial:
    """What is asked, ready to be carried out and judged: by `panel`, else by that of `stages`."""
    second = None
    if stages.combiner is not None:
        second = SecondTier(combiner=stages.combiner, compare=ComparisonJudge().compare)
    return Trial(
        ask,
        port=port,
        panel=panel or stages.panel,
        rule=stages.rule,
        screen=screened,
        second=second,
    )


def _answer(outcome: Outcome, completion: Completion) -> Answer:
    """What the caller gets of a recorded `outcome`."""
    if outcome.plan is None:
        raise TypeError("an answer has a plan")
    return Answer(
        text=outcome.text,
        model=outcome.model,
        confidence=outcome.confidence,
        cost_usd=outcome.cost_usd,
        latency_s=outcome.latency_s,
        decision_id=outcome.decision_id,
        plan=outcome.plan,
        completion=completion,
        outcome=outcome,
    )


class Case:
    """One request in progress: what each stage has made of it so far.

    Where its block fails, something was spent and nothing is on record, `end` is told.
    """

    def __init__(
        self,
        request: Request,
        ledger: Ledger,
        *,
        stages: Stages,
        created: float,
        end: Callable[[Case, Outcome], Coroutine[None, None, None]],
    ) -> None:
        self._end = end
        self.request = request
        self.ledger = ledger
        self.stages = stages
        self.created = created
        self.labels = Labels(axes={})
        self.forecast = Forecast(estimates=())
        self.plan: Plan | None = None
        self.chosen = False
        """Whether it is settled who answers first: nothing is left to decide."""
        self.told: Told | None = None
        self.recorded = False

    async def __aenter__(self) -> Case:
        return self

    async def __aexit__(self, kind: object, failure: BaseException | None, trace: object) -> None:
        if failure is not None and self.ledger.steps and not self.recorded:
            await asyncio.shield(self._end(self, self.outcome(error=_told(failure))))

    def outcome(self, **found: object) -> Outcome:
        """The record of the case as it stands, with what was `found`."""
        told: dict[str, Any] = {"verdicts": (), "model": "", "text": "", "confidence": 0.0, **found}
        return Outcome(
            decision_id=self.request.id,
            created=self.created,
            prompt=self.request.text,
            labels=self.labels,
            forecast=self.forecast,
            plan=self.plan,
            steps=tuple(self.ledger.steps),
            cost_usd=self.ledger.spent,
            latency_s=self.ledger.elapsed,
            policy=self.stages.policy,
            caller=self.request.caller,
            protection=self.request.protection,
            **told,
        )


def _parts(case: Case) -> list[Part]:
    """The parts of a case that is answered part by part."""
    arrangement = case.plan.arrangement if case.plan is not None else None
    branches = arrangement.branches if isinstance(arrangement, Decompose) else ()
    return [branch.part for branch in branches]


def _told(failure: BaseException) -> str:
    """What the record says of `failure`; the text of a foreign one may hold anything."""
    name = type(failure).__name__
    return f"{name}: {failure}" if isinstance(failure, EmafusionError) else name


def _why(failures: Sequence[EmafusionError]) -> EmafusionError:
    """The failure to report when no model answered: a spent budget before a broken model."""
    for failure in failures:
        if isinstance(failure, BudgetError):
            return failure
    return failures[-1] if failures else NoModelError("the plan named no model")
