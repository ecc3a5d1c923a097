"""What came back: calls, drafts, verdicts, and the record of a whole decision."""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import field

from emafusion.types.forecasts import Forecast, Labels
from emafusion.types.models import Model, Usage
from emafusion.types.plans import Plan
from emafusion.types.protection import Findings
from emafusion.types.values import AXES, Message, Probability, Purpose, Value

SHOWN = 60
"""Characters of a part's prompt that an explanation shows."""


class Call(Value, frozen=True, kw_only=True):
    """One question to one model: what a provider is given.

    ``timeout_s`` is the whole call's deadline in seconds; of an ``untold`` one no text is kept.
    """

    model: Model
    messages: tuple[Message, ...]
    params: Mapping[str, object] = field(default_factory=dict)
    timeout_s: float = 120.0
    purpose: Purpose = "draft"
    untold: bool = False


class Completion(Value, frozen=True, kw_only=True):
    """What a provider got for a :class:`Call`: the text and all that came with it.

    ``logprobs`` are the natural log-probabilities of the answer's tokens where the provider returns
    them. ``answer`` is the final answer where the upstream extracts it itself. ``raw`` is the
    upstream's response body, for callers who asked for a model by name.
    """

    text: str
    usage: Usage
    finish_reason: str = "stop"
    logprobs: tuple[float, ...] | None = None
    tool_calls: tuple[Mapping[str, object], ...] = ()
    raw: Mapping[str, object] | None = None
    answer: str | None = None


class Chunk(Value, frozen=True, kw_only=True):
    """One piece of a streamed completion; the last one carries ``usage`` and ``finish_reason``.

    ``done`` (part, of how many) tells that a part of a composite prompt has its answer before its
    turn; such a piece has nothing else. ``followed`` tells that the next piece is here already: who
    sends them on may send both at once.
    """

    text: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None
    raw: Mapping[str, object] | None = None
    done: tuple[int, int] | None = None
    followed: bool = False


class Draft(Value, frozen=True, kw_only=True):
    """A model's answer, weighed: the completion, who gave it, what it cost and how long it took."""

    model: str
    completion: Completion
    cost_usd: float
    latency_s: float

    @property
    def text(self) -> str:
        """The draft's text."""
        return self.completion.text


class Verdict(Value, frozen=True, kw_only=True):
    """One judge's opinion of one draft.

    ``score`` in [0, 1], higher is more trusted; ``None`` where the judge has nothing to say of it.
    ``draft`` is the draft's position among those judged together.
    """

    judge: str
    draft: int
    score: Probability | None
    reason: str = ""


class Assessment(Value, frozen=True, kw_only=True):
    """All verdicts turned into one calibrated P(right) per draft, in the order of the drafts.

    ``second`` is P(right) of the best answer that differs from the most trusted one.
    """

    confidences: tuple[float, ...]
    verdicts: tuple[Verdict, ...] = ()
    second: float = 0.0

    @property
    def best(self) -> int:
        """The position of the most trusted draft."""
        return max(range(len(self.confidences)), key=self.confidences.__getitem__)

    @property
    def confidence(self) -> float:
        """P(right) of the most trusted draft."""
        return self.confidences[self.best]


class Gathered(Value, frozen=True, kw_only=True):
    """What differing drafts amount to, as the policy of the second tier reads them.

    ``authors`` are the drafts' models; ``leading`` the positions of the most trusted draft and of
    the best one that answers otherwise, ``best`` and ``second`` their P(right). ``agreeing`` is the
    share of the other drafts that say the same as the most trusted one. ``prompt_tokens`` and
    ``draft_tokens`` are the request's and all drafts' lengths, ``spent_usd`` and ``took_s`` what
    they cost.
    """

    authors: tuple[str, ...]
    leading: tuple[int, int]
    best: float
    second: float
    agreeing: float
    open_ended: bool
    prompt_tokens: int
    draft_tokens: int
    spent_usd: float = 0.0
    took_s: float = 0.0


class Step(Value, frozen=True, kw_only=True):
    """One call as it went, for the record; a failed call is a step too, with its ``error``.

    Where nobody waited for its end, it may have cost ``unsettled_usd`` beyond ``cost_usd``.
    ``service_tier`` is the vendor's that was asked for, where that has prices of its own.
    """

    model: str
    purpose: Purpose
    cost_usd: float
    latency_s: float
    usage: Usage = field(default_factory=Usage)
    finish_reason: str = ""
    error: str | None = None
    text: str = ""
    part: int | None = None
    unsettled_usd: float = 0.0
    service_tier: str = ""


class Origin(Value, frozen=True, kw_only=True):
    """Where the characters ``start`` to ``end`` of a synthesis came from.

    ``drafts`` are positions, ascending, and ``support`` says for each, in [0, 1], how much of the
    part's words that draft has. Both are empty where the words are the writer's own.
    """

    start: int
    end: int
    drafts: tuple[int, ...] = ()
    support: tuple[float, ...] = ()


class Piece(Value, frozen=True, kw_only=True):
    """What became of one part of a composite prompt.

    ``text`` is the part's answer, or what stands in its place where ``error`` says why there is
    none.
    """

    prompt: str
    text: str
    label: str = ""
    model: str = ""
    confidence: float = 0.0
    verdicts: tuple[Verdict, ...] = ()
    error: str | None = None


class Outcome(Value, frozen=True, kw_only=True):
    """Everything that happened to one request and why: what is recorded and explained.

    ``combining`` says what the second tier's policy made of differing drafts; empty where it was
    not asked. ``policy`` names the fitted policy that decided, where there are several, and
    ``caller`` who asked, where callers are told apart. ``cached`` names the decision whose answer
    was given again, where no model was asked. ``protection`` says what the first stage found in the
    request, where it looked; of a restricted one no text is on record.
    """

    decision_id: str
    created: float
    prompt: str
    labels: Labels
    forecast: Forecast
    plan: Plan | None
    steps: tuple[Step, ...]
    verdicts: tuple[Verdict, ...]
    model: str
    text: str
    confidence: float
    cost_usd: float
    latency_s: float
    finish_reason: str = "stop"
    tier: int = 0
    error: str | None = None
    parts: tuple[Piece, ...] = ()
    origins: tuple[Origin, ...] = ()
    combining: str = ""
    policy: str = ""
    caller: str = ""
    cached: str = ""
    protection: Findings | None = None

    @property
    def abandoned(self) -> bool:
        """Whether it ended because nobody waited for its answer any more."""
        return self.error in ("CancelledError", "GeneratorExit", "cancelled")

    @property
    def unsettled_usd(self) -> float:
        """US dollars beyond ``cost_usd`` that it may have cost, where nobody waited for its end.

        Who hangs up before the bill is told must not ask for nothing.
        """
        return math.fsum(step.unsettled_usd for step in self.steps) if self.abandoned else 0.0

    def explain(self) -> str:
        """Why this was answered so: a few plain lines."""
        lines = [f"decision {self.decision_id}"]
        if self.protection is not None:
            lines.append(f"protection  {self.protection}")
        if self.labels.axes:
            tops = (f"{axis} {self.labels.top(axis)}" for axis in AXES if axis in self.labels.axes)
            lines.append(f"labels      {' · '.join(tops)}")
            lines.append(
                f"familiarity {self.labels.familiarity:.2f} ({self.labels.source} classifier)"
            )
        lines.extend(
            f"forecast    {e.model}: P(good) {e.quality:.2f} ± {e.quality_std:.2f}, "
            f"${e.cost_usd:.6f}, {e.latency_s:.1f} s"
            for e in self.forecast.estimates
        )
        if self.plan is not None:
            lines.append(f"plan        {self.plan.arrangement}: {self.plan.reason}")
        for step in self.steps:
            ending = step.error or f"{step.usage.completion_tokens} tokens, {step.finish_reason}"
            where = "" if step.part is None else f" for part {step.part + 1}"
            lines.append(
                f"{step.purpose:<11} {step.model}{where}: ${step.cost_usd:.6f}, "
                f"{step.latency_s:.2f} s, {ending}"
            )
        lines.extend(_told(verdict) for verdict in self.verdicts)
        if self.cached:
            lines.append(f"cached      the answer of {self.cached}, given again")
        if self.combining:
            lines.append(f"combining   {self.combining}")
        if self.origins:
            lines.append(f"provenance  {_came_from(self.origins)}")
        for number, piece in enumerate(self.parts, start=1):
            lines.extend(_explained(number, piece))
        ending = (
            f"failed: {self.error}"
            if self.error
            else f"{self.model}, P(right) {self.confidence:.2f}"
        )
        lines.append(f"answer      {ending}")
        lines.append(f"total       ${self.cost_usd:.6f}, {self.latency_s:.2f} s")
        return "\n".join(lines)


def _told(verdict: Verdict) -> str:
    score = "–" if verdict.score is None else f"{verdict.score:.2f}"
    said = f"verdict     {verdict.judge} on draft {verdict.draft + 1}: {score} {verdict.reason}"
    return said.rstrip()


def _came_from(origins: tuple[Origin, ...]) -> str:
    """The shares of a synthesis that stem from each draft, and the writer's own."""
    shares: dict[str, float] = {}
    for origin in origins:
        length = origin.end - origin.start
        names = [f"draft {draft + 1}" for draft in origin.drafts] or ["the writer's own"]
        for name in names:
            shares[name] = shares.get(name, 0.0) + length / len(names)
    total = sum(shares.values()) or 1.0
    return ", ".join(f"{name} {share / total:.0%}" for name, share in sorted(shares.items()))


def _explained(number: int, piece: Piece) -> list[str]:
    """One part of a composite prompt, and the verdicts on its drafts."""
    asked = " ".join(piece.prompt.split())
    asked = asked if len(asked) <= SHOWN else f"{asked[: SHOWN - 1]}…"
    ending = piece.error or f"{piece.model}, P(right) {piece.confidence:.2f}"
    return [f"part {number:<6} {asked!r}: {ending}", *(_told(one) for one in piece.verdicts)]


class Answer(Value, frozen=True, kw_only=True):
    """What the caller gets: the text, who gave it, how sure we are, and what it cost in all."""

    text: str
    model: str
    confidence: float
    cost_usd: float
    latency_s: float
    decision_id: str
    plan: Plan
    completion: Completion
    outcome: Outcome

    def explain(self) -> str:
        """Why this was answered so: labels, forecast, plan, calls, verdicts and costs."""
        return self.outcome.explain()
