"""What will be done: the arrangements of models, and the parts of a composite prompt."""

from __future__ import annotations

from typing import Literal, TypeAlias

from emafusion.types.values import Probability, Value

FEWEST_PARTS, MOST_PARTS = 2, 8


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


class Synthesis(Value, frozen=True, kw_only=True, tag="synthesis", tag_field="arrangement"):
    """Ask a panel together, then let ``writer`` write one answer from its drafts (DESIGN §2.5).

    A panel that names one model several times is self-fusion.
    """

    panel: tuple[str, ...]
    writer: str

    @property
    def models(self) -> tuple[str, ...]:
        """Every model this may ask."""
        return tuple(dict.fromkeys((*self.panel, self.writer)))

    def __str__(self) -> str:
        return f"{self.writer} writes from ({', '.join(self.panel)})"


class Combination(Value, frozen=True, kw_only=True):
    """What becomes of drafts that differ (DESIGN §2.5): ``select`` among them as they are judged,
    let ``model`` ``compare`` the two leading ones, or let it ``synthesise`` one answer of all.

    ``gain`` is the expected P(good answer) it adds and ``cost_usd`` what it is expected to cost.
    ``weight`` is how many units of log-odds between two drafts one of the comparison's is worth.
    ``reason`` is one plain sentence.
    """

    action: Literal["select", "compare", "synthesise"]
    model: str = ""
    gain: float = 0.0
    cost_usd: float = 0.0
    weight: float = 0.0
    reason: str = ""


class Part(Value, frozen=True, kw_only=True):
    """One ask of a composite prompt, as a prompt of its own.

    ``after`` names, by position, the earlier parts whose answers it needs; ``label`` is what the
    prompt calls it ("2.", "b)", "Question 3"), empty where it has no name.
    """

    text: str
    after: tuple[int, ...] = ()
    label: str = ""


class Split(Value, frozen=True, kw_only=True):
    """The parts of a composite prompt, in its order; 2 to 8 of them (DESIGN §2.3).

    Raises ``ValueError`` for another number, and for a part that needs one which is not before it.
    """

    parts: tuple[Part, ...]
    source: Literal["fast", "slow"] = "fast"

    def __post_init__(self) -> None:
        if not FEWEST_PARTS <= len(self.parts) <= MOST_PARTS:
            raise ValueError(f"{len(self.parts)} parts; a split has {FEWEST_PARTS} to {MOST_PARTS}")
        for place, part in enumerate(self.parts):
            if any(not 0 <= need < place for need in part.after):
                raise ValueError(f"part {place + 1} needs {part.after}; only earlier parts will do")


class Branch(Value, frozen=True, kw_only=True):
    """One part of a composite prompt, with a plan of its own."""

    part: Part
    plan: Plan


class Decompose(Value, frozen=True, kw_only=True, tag="decompose", tag_field="arrangement"):
    """Answer every part by its own plan, those that need no other's answer at once, and join."""

    branches: tuple[Branch, ...]
    source: Literal["fast", "slow"] = "fast"

    @property
    def models(self) -> tuple[str, ...]:
        """Every model this may ask."""
        asked = (model for branch in self.branches for model in branch.plan.arrangement.models)
        return tuple(dict.fromkeys(asked))

    def __str__(self) -> str:
        plans = " | ".join(str(branch.plan.arrangement) for branch in self.branches)
        return f"{len(self.branches)} parts: {plans}"


Arranged: TypeAlias = Single | Cascade | Adaptive | Fusion | Synthesis | Decompose


class Plan(Value, frozen=True, kw_only=True):
    """What will be done, under which limits, and what is expected of it.

    ``quality`` is the expected P(good answer); ``cost_usd`` and ``latency_s`` are expectations,
    ``max_cost_usd`` and ``max_latency_s`` hard limits. ``fallbacks`` are asked, in order, when
    every model of the arrangement has failed. ``reason`` is one plain sentence. ``propensity`` is
    the chance that this plan's first model had among those permitted, where one was ``explored`` or
    might have been.
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
    propensity: Probability = 1.0
    explored: bool = False
