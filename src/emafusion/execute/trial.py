"""What one request has gathered so far: drafts, and how far they are trusted.

Strategies work on a trial alone: they ask, they look at the confidence, they end. A trial knows
how to ask several models at once and live with failures; it does not know which to ask.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from msgspec import Struct

from emafusion import answers
from emafusion.errors import BadResponseError, BudgetError, EmafusionError, ProviderError
from emafusion.execute.hedging import Hedging
from emafusion.protocols import Combiner, Panel, Port, Rule, Timed, Watched
from emafusion.providers.retry import may_pass
from emafusion.types import (
    Adaptive,
    Assessment,
    Draft,
    Forecast,
    Labels,
    Message,
    Model,
    Plan,
    Request,
    replace,
)

VARIED = 0.8
"""Temperature of the second and later samples of one model in one panel."""
CUT = ("length", "content_filter")
"""How an answer ends that is not whole."""


class Ask(Struct, frozen=True, kw_only=True):
    """What is asked, what was expected of each model, and the plan made of it.

    ``models`` are those that may be asked, for what they hold; where they are not named, every
    prompt is taken to fit. ``hedging`` has a model that is asked alone asked twice when it is late.
    """

    request: Request
    forecast: Forecast
    plan: Plan
    labels: Labels = Labels(axes={})
    models: tuple[Model, ...] = ()
    hedging: Hedging | None = None

    def model(self, name: str) -> Model | None:
        """The model `name`, if it is among those that may be asked."""
        return next((model for model in self.models if model.name == name), None)


class Compare(Protocol):
    """Asks the model `judge` which of `drafts` is better."""

    async def __call__(
        self, request: Request, drafts: Sequence[Draft], *, judge: str, port: Port
    ) -> Sequence[float | None]:
        """P(better than an average one of `drafts`) of each; ``None`` where nothing was heard."""
        ...


class SecondTier(Struct, frozen=True, kw_only=True):
    """Who decides what becomes of differing drafts, and how two of them are compared."""

    combiner: Combiner
    compare: Compare


Screen: TypeAlias = Callable[[Draft, str], str]


def _as_it_is(draft: Draft, _: str) -> str:
    return draft.text


class Trial:
    """The drafts of one request and their assessment.

    Parameters
    ----------
    ask : Ask
        The request, its forecast and its plan.
    port : Port
        How models are asked.
    panel : Panel
        How drafts are judged.
    rule : Rule, optional
        What an adaptive plan does next; such a plan cannot be carried out without.
    screen : callable, optional
        A draft's text as another model may read it, given the draft and the request's text.
    second : SecondTier, optional
        What may become of differing drafts; without, one of them is selected.

    Attributes
    ----------
    told : sequence of Message, optional
        What models are asked in place of the request's own messages, which judges go on reading.
    closing : sequence of Message, optional
        What the model that ends the request is asked, where that is not the request itself.
    heirs : tuple of str
        Who may be asked in that model's place, one after another.
    written : bool
        Whether the last draft was written from those before it.
    combining : str
        What the second tier decided, and why; empty where it was not asked.
    """

    def __init__(
        self,
        ask: Ask,
        *,
        port: Port,
        panel: Panel,
        rule: Rule | None = None,
        screen: Screen = _as_it_is,
        second: SecondTier | None = None,
    ) -> None:
        self.ask = ask
        self.second = second
        self.combining = ""
        self.heirs: tuple[str, ...] = ()
        self.written = False
        self.told: Sequence[Message] | None = None
        self.closing: Sequence[Message] | None = None
        self._screen = screen
        self.rule = rule
        self.drafts: list[Draft] = []
        self.tier = 0
        self.failures: list[EmafusionError] = []
        self._port = port
        self._panel = panel
        self._assessed: dict[tuple[int, str | None], Assessment] = {}

    @property
    def params(self) -> Mapping[str, object]:
        """The caller's parameters; what only a stream uses, providers send with streams alone."""
        return self.ask.request.params

    def shown(self) -> list[str]:
        """The drafts as another model may read them."""
        return [self.screened(draft) for draft in self.drafts]

    def screened(self, draft: Draft) -> str:
        """`draft` as another model may read it."""
        return self._screen(draft, self.ask.request.text)

    @property
    def keys(self) -> list[str | None]:
        """The answer that each draft gives; ``None`` where it gives none that others could share.

        See :func:`emafusion.answers.shareable`.
        """
        kind = answers.guess_kind(self.ask.request.text)
        return [answers.shareable(draft.text, kind) for draft in self.drafts]

    async def close(self, model: str) -> None:
        """Put the closing question to `model`."""
        try:
            draft = await self._port.complete(
                model, self.closing or (), purpose="write", params=self.writing
            )
        except (ProviderError, BudgetError) as failure:
            self.failures.append(failure)
        else:
            self.accept(draft)

    def accept(self, written: Draft, *, streamed: bool = False) -> None:
        """What a writer made joins the drafts; where it cannot stand in their place, it has failed.

        It cannot where it is empty, or was cut and one of the drafts was not. Once `streamed`, a
        text stands, cut or not.
        """
        reason = written.completion.finish_reason
        whole = any(draft.completion.finish_reason not in CUT for draft in self.drafts)
        if not written.text.strip():
            why = f"{written.model!r} wrote nothing"
        elif reason in CUT and whole and not streamed:
            why = f"{written.model!r} wrote no whole answer ({reason})"
        else:
            self.drafts.append(written)
            self.written = True
            return
        self.failures.append(BadResponseError(why, written.model))

    @property
    def writing(self) -> Mapping[str, object]:
        """The caller's parameters that bear on one written answer."""
        unwanted = ("n", "tools", "tool_choice", "logprobs", "top_logprobs")
        return {name: v for name, v in self.params.items() if name not in unwanted}

    @property
    def formed(self) -> bool:
        """Whether the caller demands JSON."""
        shape = self.params.get("response_format")
        return isinstance(shape, Mapping) and shape.get("type") in ("json_object", "json_schema")

    async def question(self, models: Sequence[str], *, instead: str | None = None) -> None:
        """Ask `models` together and keep every draft that comes; failures are kept aside.

        Of one model that is late, and where requests are hedged, `instead` is asked too, or the
        same model once more: the first of the two drafts is kept. Not while whoever would be asked
        beside it has asked to be left alone.
        """
        asked: dict[str, int] = {}
        calls = []
        hedging = self.ask.hedging
        if hedging is not None and len(models) == 1:
            (model,) = models
            second = instead or model
            results: Sequence[Draft | EmafusionError] = await hedging.first(
                self.ask.forecast.get(model),
                lambda: self._sample(model, 0),
                again=lambda: self._sample(second, 0),
                may=lambda: self._reachable(second),
            )
        elif len(models) == 1:
            # Most requests ask one model: a task of its own would cost more than it brings.
            results = [await self._sample(models[0], 0)]
        else:
            for model in models:
                calls.append(self._sample(model, asked.get(model, 0)))
                asked[model] = asked.get(model, 0) + 1
            results = await asyncio.gather(*calls)
        for result in results:
            if isinstance(result, Draft):
                self.drafts.append(result)
            else:
                self.failures.append(result)

    async def question_until_answered(self, models: Sequence[str]) -> bool:
        """Ask `models` one after another until one answers; whether one did.

        Those that have answered, or that are not :meth:`worth_asking`, are passed over.
        """
        heard = {draft.model for draft in self.drafts}
        waiting = [name for name in models if name not in heard]
        while waiting := [name for name in waiting if self.worth_asking(name)]:
            before = len(self.drafts)
            model, *waiting = waiting
            # Whose turn it is asks once more: another would keep the rest of it.
            turn = self.ask.request.turn
            held = turn is not None and turn.model == model
            await self.question([model], instead=waiting[0] if waiting and not held else None)
            if len(self.drafts) > before:
                return True
        return False

    def worth_asking(self, name: str) -> bool:
        """Whether the model `name` has not failed here, or may have recovered.

        What it refused or answered amiss it would again, and may be paid for twice.
        """
        failures = [
            one for one in self.failures if isinstance(one, ProviderError) and one.model == name
        ]
        if not failures:
            return True
        return all(map(may_pass, failures)) and self._reachable(name)

    def _reachable(self, name: str) -> bool:
        """Whether the model `name` would let itself be asked now, as far as is known."""
        model, port = self.ask.model(name), self._port
        return model is None or not isinstance(port, Watched) or port.reachable(model)

    async def assess(self, judge: str | None = None) -> Assessment:
        """All drafts so far, judged; `judge` names a model whose opinion is asked too."""
        key = (len(self.drafts), judge)
        if key not in self._assessed:
            self._assessed[key] = await self._judged(self.drafts, judge)
        return self._assessed[key]

    async def compare(self, pair: Sequence[int], judge: str) -> Sequence[float | None]:
        """What the model `judge` thinks of the drafts at the positions `pair`, each as a score."""
        if self.second is None:
            return [None] * len(pair)
        drafts = [self.drafts[place] for place in pair]
        return await self.second.compare(self.ask.request, drafts, judge=judge, port=self._port)

    async def assess_written(self) -> Assessment:
        """All drafts, judged, the last of which was written from the others.

        Agreeing with its own sources is no evidence, for it nor for them: they stand as they were
        judged without it. Where it gives an answer of theirs, it is trusted as far as the most
        trusted of those; else as far as it is by itself.
        """
        key = (len(self.drafts), "written")
        if key not in self._assessed:
            *drafts, written = self.drafts
            sources = self._latest(len(drafts)) or await self._judged(drafts)
            alone = await self._judged([written])
            self._assessed[key] = _beside(sources, alone, self.keys)
        return self._assessed[key]

    def judged_anew(self, assessment: Assessment) -> None:
        """`assessment`, which a comparison has moved, stands for the drafts from now on."""
        self._assessed[len(self.drafts), "comparison"] = assessment

    def affords(self, model: str) -> bool:
        """Whether asking `model` is expected to keep the plan's limits on money and time."""
        estimate = self.ask.forecast.get(model)
        if estimate is None:
            return False
        plan = self.ask.plan
        spent = math.fsum(draft.cost_usd for draft in self.drafts)
        cheap = plan.max_cost_usd is None or spent + estimate.cost_usd <= plan.max_cost_usd
        quick = plan.max_latency_s is None or (
            self.took_s + estimate.latency_s <= plan.max_latency_s
        )
        return cheap and quick

    @property
    def took_s(self) -> float:
        """Seconds since the request began; where the port has no clock, what the drafts took."""
        most = self.ask.request.knobs.max_latency_s
        left = self._port.left_s if isinstance(self._port, Timed) else None
        if most is not None and left is not None:
            return most - left
        return math.fsum(draft.latency_s for draft in self.drafts)

    def following(
        self, plan: Adaptive, verdict: Assessment | None, allowed: Sequence[str]
    ) -> str | None:
        """Whom the rule would ask next among `allowed`; ``None`` where it would accept."""
        if self.rule is None or not allowed:
            return None
        heard = [draft.model for draft in self.drafts]
        return self.rule.next(plan, self.ask.forecast, verdict, heard=heard, allowed=allowed)

    @property
    def latest(self) -> Assessment | None:
        """The last assessment made of the drafts as they stand, the best informed one first."""
        return self._latest(len(self.drafts))

    def _latest(self, drafts: int) -> Assessment | None:
        found = [a for (count, _), a in self._assessed.items() if count == drafts]
        return found[-1] if found else None

    async def _judged(self, drafts: Sequence[Draft], judge: str | None = None) -> Assessment:
        ask = self.ask
        return await self._panel.assess(
            ask.request, ask.forecast, drafts, port=self._port, judge=judge
        )

    async def _sample(self, model: str, nth: int) -> Draft | EmafusionError:
        params = {**self.params, "temperature": VARIED} if nth else self.params
        messages = self.told or self.ask.request.messages
        try:
            return await self._port.complete(model, messages, purpose="draft", params=params)
        except (ProviderError, BudgetError) as failure:
            return failure


def rivalling(confidences: Sequence[float], keys: Sequence[str | None]) -> float:
    """P(right) of the best answer other than the most trusted one; an unread one is its own."""
    best = max(range(len(confidences)), key=confidences.__getitem__)
    rivals = (
        sure
        for place, sure in enumerate(confidences)
        if place != best and (keys[place] is None or keys[place] != keys[best])
    )
    return max(rivals, default=0.0)


def _beside(sources: Assessment, alone: Assessment, keys: Sequence[str | None]) -> Assessment:
    """What was made of the `sources`, and of a synthesis of them, of which `alone` tells.

    `keys` are the answers that the sources give, and last the synthesis.
    """
    *theirs, mine = keys
    told = zip(sources.confidences, theirs, strict=True)
    shared = (sure for sure, key in told if key is not None and key == mine)
    confidences = (*sources.confidences, max(shared, default=alone.confidence))
    said = (replace(verdict, draft=len(theirs)) for verdict in alone.verdicts)
    return Assessment(
        confidences=confidences,
        verdicts=(*sources.verdicts, *said),
        second=rivalling(confidences, keys),
    )
