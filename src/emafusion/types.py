"""The nouns that the stages exchange: frozen values, no behaviour beyond reading themselves.

Values are :class:`msgspec.Struct`: frozen, slotted, keyword-only, and encoded to and from JSON with
no further code, so a decision is logged, explained and replayed from the very object that was used.
This file does not know how any of them is made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field
from msgspec.structs import replace

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
Message: TypeAlias = Mapping[str, object]
"""One chat message as the OpenAI protocol spells it; unknown fields are kept."""

Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Axis = Literal["task", "complexity", "domain", "format"]
AXES: tuple[Axis, ...] = ("task", "complexity", "domain", "format")
Arrangement = Literal["auto", "single", "cascade", "fusion"]
Purpose = Literal["draft", "judge", "label"]
Visibility = Literal["public", "private"]


class Value(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of every noun: frozen, slotted, keyword-only."""


# ------------------------------------------------------------------ models


class Model(Value, frozen=True, kw_only=True):
    """One language model as the catalog knows it.

    ``usd_per_mtok_in`` and ``usd_per_mtok_out`` are US dollars per million tokens;
    ``context_window`` and ``max_output`` are tokens. ``provider`` names a configured provider and
    ``upstream`` the model's name there. ``judge`` marks a model that may serve as a judge.
    ``ability`` is an expert's opinion of its success rate before any outcome was seen, worth
    ``ability_weight`` outcomes (pseudo-counts).
    """

    name: str
    provider: str
    upstream: str
    usd_per_mtok_in: float
    usd_per_mtok_out: float
    usd_per_mtok_cached: float | None = None
    context_window: int = 8192
    max_output: int = 4096
    capabilities: frozenset[str] = frozenset()
    visibility: Visibility = "public"
    judge: bool = False
    ability: Mapping[str, float] = field(default_factory=dict)
    ability_weight: float = 8.0
    tokens_per_s: float | None = None
    system: str | None = None

    def cost(self, usage: Usage) -> float:
        """US dollars for `usage` at this model's prices; cached tokens at their own price."""
        cached_price = self.usd_per_mtok_cached
        cached = usage.cached_tokens if cached_price is not None else 0
        prompt = (usage.prompt_tokens - cached) * self.usd_per_mtok_in
        completion = usage.completion_tokens * self.usd_per_mtok_out
        return (prompt + cached * (cached_price or 0.0) + completion) / 1e6


class Usage(Value, frozen=True, kw_only=True):
    """Tokens of one call.

    ``cached_tokens`` are a part of ``prompt_tokens`` and ``reasoning_tokens`` a part of
    ``completion_tokens``; ``counted`` is false where the upstream gave no usage and we estimated.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    counted: bool = True


# ------------------------------------------------------------------ the request


class Knobs(Value, frozen=True, kw_only=True):
    """What a caller may ask of one request; ``None`` leaves the policy's own setting.

    ``prefer`` runs from 0 (cost) to 1 (quality); ``max_cost_usd`` bounds everything the request
    spends; ``max_latency_s`` is its deadline in seconds; ``models`` narrows the pool;
    ``arrangement`` narrows the plans; ``private`` permits private models only.
    """

    prefer: Probability | None = None
    max_cost_usd: Annotated[float, Meta(gt=0.0)] | None = None
    max_latency_s: Annotated[float, Meta(gt=0.0)] | None = None
    models: tuple[str, ...] | None = None
    arrangement: Arrangement = "auto"
    private: bool = False

    def over(self, base: Knobs) -> Knobs:
        """These knobs where they are set, `base`'s where they are not."""
        return Knobs(
            prefer=base.prefer if self.prefer is None else self.prefer,
            max_cost_usd=base.max_cost_usd if self.max_cost_usd is None else self.max_cost_usd,
            max_latency_s=base.max_latency_s if self.max_latency_s is None else self.max_latency_s,
            models=base.models if self.models is None else self.models,
            arrangement=base.arrangement if self.arrangement == "auto" else self.arrangement,
            private=self.private or base.private,
        )


class Request(Value, frozen=True, kw_only=True):
    """One query: the messages, the protocol's own parameters, and emafusion's knobs.

    ``params`` are the body's further fields (``temperature``, ``max_tokens``, ``tools``,
    ``response_format`` …), handed on untouched. ``id`` is the decision's identifier.
    """

    id: str
    messages: tuple[Message, ...]
    params: Mapping[str, object] = field(default_factory=dict)
    knobs: Knobs = field(default_factory=Knobs)

    @property
    def text(self) -> str:
        """The last user message's text: what the routers read."""
        for message in reversed(self.messages):
            if message.get("role") == "user":
                return content_text(message)
        return content_text(self.messages[-1]) if self.messages else ""

    @property
    def max_tokens(self) -> int | None:
        """The caller's bound on the answer's tokens, under either of its two names."""
        for name in ("max_completion_tokens", "max_tokens"):
            value = self.params.get(name)
            if isinstance(value, int):
                return value
        return None


def content_text(message: Message) -> str:
    """The text of `message`: its string content, or its text parts joined by newlines."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, (list, tuple)):
        texts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "\n".join(text for text in texts if isinstance(text, str))
    return ""


class Clearance(Value, frozen=True, kw_only=True):
    """Which models may see the request. ``models`` are catalog names; ``data_class`` says why."""

    models: frozenset[str]
    data_class: Literal["public", "internal", "confidential", "restricted"] = "public"


# ------------------------------------------------------------------ before any model runs


class Labels(Value, frozen=True, kw_only=True):
    """The taxonomy's reading of a request: per axis, a probability for each label (sums to 1).

    ``familiarity`` in [0, 1] says how near the query is to what the outcomes cover; ``source``
    which classifier spoke.
    """

    axes: Mapping[str, Mapping[str, float]]
    familiarity: Probability = 0.0
    source: Literal["fast", "blend"] = "fast"

    def top(self, axis: Axis) -> str:
        """The most probable label on `axis`."""
        labels = self.axes[axis]
        return max(labels, key=labels.__getitem__)


class Estimate(Value, frozen=True, kw_only=True):
    """What one model is expected to do with one request, before it runs.

    ``quality`` is P(good answer) and ``quality_std`` its standard error; costs are US dollars and
    latencies seconds for one call; ``tokens`` the expected completion length.
    """

    model: str
    quality: Probability
    quality_std: float
    cost_usd: float
    latency_s: float
    tokens: float = 0.0

    @property
    def log_odds(self) -> float:
        """ln(q / (1 − q)) of the quality, kept within [0.005, 0.995] as in the fits."""
        bounded = min(max(self.quality, 0.005), 0.995)
        return math.log(bounded / (1.0 - bounded))


class Context(Value, frozen=True, kw_only=True):
    """What the whole fitted pool is expected to make of a request, asked or not.

    ``mean`` and ``best`` are log-odds of a good answer: they say how hard the request is, whoever
    of the pool may be asked.
    """

    mean: float
    best: float


class Forecast(Value, frozen=True, kw_only=True):
    """One :class:`Estimate` per candidate; ``gate`` is the learned router's share in the union."""

    estimates: tuple[Estimate, ...]
    gate: Probability = 0.0
    context: Context | None = None

    def __getitem__(self, model: str) -> Estimate:
        """The estimate for `model`; ``KeyError`` where there is none."""
        found = self.get(model)
        if found is None:
            raise KeyError(model)
        return found

    def get(self, model: str) -> Estimate | None:
        """The estimate for `model`, or ``None`` where there is none."""
        return next((e for e in self.estimates if e.model == model), None)


# ------------------------------------------------------------------ the plan


class Tier(Value, frozen=True, kw_only=True):
    """One step of a cascade: the models to ask together, and the confidence that ends it here.

    ``judge`` names a model to ask for its opinion where the cheap judges leave the confidence
    within ``band`` of ``accept``.
    """

    models: tuple[str, ...]
    accept: Probability
    judge: str | None = None
    band: float = 0.0


class Single(Value, frozen=True, kw_only=True, tag="single", tag_field="arrangement"):
    """Ask one model."""

    model: str

    @property
    def models(self) -> tuple[str, ...]:
        """Every model this may ask."""
        return (self.model,)

    def __str__(self) -> str:
        return self.model


class Cascade(Value, frozen=True, kw_only=True, tag="cascade", tag_field="arrangement"):
    """Ask tier after tier until a draft's confidence reaches that tier's ``accept``."""

    tiers: tuple[Tier, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """Every model this may ask, cheapest tier first."""
        return tuple(dict.fromkeys(model for tier in self.tiers for model in tier.models))

    def __str__(self) -> str:
        return " → ".join("+".join(tier.models) for tier in self.tiers)


class Adaptive(Value, frozen=True, kw_only=True, tag="adaptive", tag_field="arrangement"):
    """Ask ``start``; after every verdict the fitted rule accepts, or says whom of ``pool`` to ask.

    ``setting`` is the rule's setting of the dial. A cascade in no fixed order (DESIGN §2.3).
    """

    pool: tuple[str, ...]
    start: str
    setting: int

    @property
    def models(self) -> tuple[str, ...]:
        """Every model this may ask, the first one first."""
        return tuple(dict.fromkeys((self.start, *self.pool)))

    def __str__(self) -> str:
        others = len(self.models) - 1
        return f"{self.start} ⇢ up to {others} more" if others else self.start


class Fusion(Value, frozen=True, kw_only=True, tag="fusion", tag_field="arrangement"):
    """Ask a panel together and combine what it says; a model named twice is sampled twice."""

    panel: tuple[str, ...]
    combiner: Literal["vote"] = "vote"

    @property
    def models(self) -> tuple[str, ...]:
        """Every model this may ask."""
        return tuple(dict.fromkeys(self.panel))

    def __str__(self) -> str:
        return f"{self.combiner}({', '.join(self.panel)})"


Arranged: TypeAlias = Single | Cascade | Adaptive | Fusion


class Part(Value, frozen=True, kw_only=True):
    """One ask of a composite prompt, as a prompt of its own.

    ``after`` names, by position, the earlier parts whose answers it needs; ``label`` is what the
    prompt calls it ("2.", "b)", "Question 3"), empty where it has no name.
    """

    text: str
    after: tuple[int, ...] = ()
    label: str = ""


class Split(Value, frozen=True, kw_only=True):
    """The parts of a composite prompt, in its order; 2 to 8 of them (DESIGN §2.3)."""

    parts: tuple[Part, ...]
    source: Literal["fast", "slow"] = "fast"


class Plan(Value, frozen=True, kw_only=True):
    """What will be done, under which limits, and what is expected of it.

    ``quality`` is the expected P(good answer); ``cost_usd`` and ``latency_s`` are expectations,
    ``max_cost_usd`` and ``max_latency_s`` hard limits. ``fallbacks`` are asked, in order, when
    every model of the arrangement has failed. ``reason`` is one plain sentence.
    """

    arrangement: Arranged
    quality: float
    cost_usd: float
    latency_s: float
    fallbacks: tuple[str, ...] = ()
    max_cost_usd: float | None = None
    max_latency_s: float | None = None
    usd_per_quality: float = 0.0
    reason: str = ""


# ------------------------------------------------------------------ what came back


class Call(Value, frozen=True, kw_only=True):
    """One question to one model: what a provider is given.

    ``timeout_s`` is the whole call's deadline in seconds.
    """

    model: Model
    messages: tuple[Message, ...]
    params: Mapping[str, object] = field(default_factory=dict)
    timeout_s: float = 120.0
    purpose: Purpose = "draft"


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
    """One piece of a streamed completion; the last one carries ``usage`` and ``finish_reason``."""

    text: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None
    raw: Mapping[str, object] | None = None


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


class Step(Value, frozen=True, kw_only=True):
    """One call as it went, for the record; a failed call is a step too, with its ``error``."""

    model: str
    purpose: Purpose
    cost_usd: float
    latency_s: float
    usage: Usage = field(default_factory=Usage)
    finish_reason: str = ""
    error: str | None = None
    text: str = ""


class Outcome(Value, frozen=True, kw_only=True):
    """Everything that happened to one request and why: what is recorded and explained."""

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

    def explain(self) -> str:
        """Why this was answered so: a few plain lines."""
        lines = [f"decision {self.decision_id}"]
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
            lines.append(
                f"{step.purpose:<11} {step.model}: ${step.cost_usd:.6f}, "
                f"{step.latency_s:.2f} s, {ending}"
            )
        for v in self.verdicts:
            score = "–" if v.score is None else f"{v.score:.2f}"
            lines.append(
                f"verdict     {v.judge} on draft {v.draft + 1}: {score} {v.reason}".rstrip()
            )
        ending = (
            f"failed: {self.error}"
            if self.error
            else f"{self.model}, P(right) {self.confidence:.2f}"
        )
        lines.append(f"answer      {ending}")
        lines.append(f"total       ${self.cost_usd:.6f}, {self.latency_s:.2f} s")
        return "\n".join(lines)


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


__all__ = [
    "AXES",
    "Adaptive",
    "Answer",
    "Arranged",
    "Arrangement",
    "Assessment",
    "Axis",
    "Call",
    "Cascade",
    "Chunk",
    "Clearance",
    "Completion",
    "Context",
    "Draft",
    "Estimate",
    "Forecast",
    "Fusion",
    "Json",
    "Knobs",
    "Labels",
    "Message",
    "Model",
    "Outcome",
    "Plan",
    "Probability",
    "Purpose",
    "Request",
    "Single",
    "Step",
    "Tier",
    "Usage",
    "Value",
    "Verdict",
    "Visibility",
    "content_text",
    "replace",
]
