"""What a caller asks, within which limits, and who may see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, field

from emafusion.types.protection import DataClass, Findings
from emafusion.types.values import Arrangement, Message, Probability, Value


class Knobs(Value, frozen=True, kw_only=True):
    """What a caller may ask of one request; ``None`` leaves the policy's own setting.

    ``prefer`` runs from 0 (cost) to 1 (quality); ``max_cost_usd`` bounds everything the request
    spends; ``max_latency_s`` is its deadline in seconds; ``models`` narrows the pool;
    ``arrangement`` narrows the plans; ``private`` permits private models only; ``explore`` set to
    false forbids trying another model than the best-looking one, to learn. ``min_quality`` is the
    least expected P(good answer): where ``prefer`` promises less, as much more is spent as it
    takes. ``policy`` names knobs that are configured together; what is set here comes before them.
    """

    prefer: Probability | None = None
    max_cost_usd: Annotated[float, Meta(gt=0.0)] | None = None
    max_latency_s: Annotated[float, Meta(gt=0.0)] | None = None
    models: tuple[str, ...] | None = None
    arrangement: Arrangement = "auto"
    private: bool = False
    explore: bool | None = None
    min_quality: Probability | None = None
    policy: str | None = None

    def over(self, base: Knobs) -> Knobs:
        """These knobs where they are set, `base`'s where they are not."""
        return Knobs(
            prefer=base.prefer if self.prefer is None else self.prefer,
            max_cost_usd=base.max_cost_usd if self.max_cost_usd is None else self.max_cost_usd,
            max_latency_s=base.max_latency_s if self.max_latency_s is None else self.max_latency_s,
            models=base.models if self.models is None else self.models,
            arrangement=base.arrangement if self.arrangement == "auto" else self.arrangement,
            private=self.private or base.private,
            explore=base.explore if self.explore is None else self.explore,
            min_quality=base.min_quality if self.min_quality is None else self.min_quality,
            policy=self.policy,
        )


class Turn(Value, frozen=True, kw_only=True):
    """Who called the tools whose results a conversation brings, and may go on with them.

    ``model`` made the last calls. ``after`` identifies the last call that others had made before it
    took over; it is empty where nobody had.
    """

    model: str
    after: str = ""


class Request(Value, frozen=True, kw_only=True):
    """One query: the messages, the protocol's own parameters, and emafusion's knobs.

    ``params`` are the body's further fields (``temperature``, ``max_tokens``, ``tools``,
    ``response_format`` …), handed on untouched. ``id`` is the decision's identifier; ``caller``
    tells callers apart, and is empty where there is but one; ``session`` tells conversations
    apart, and is empty where the request belongs to none. ``turn`` is whose turn it is still, where
    the request brings what tools have found. ``protection`` is what the first stage found in it,
    where it looked.
    """

    id: str
    messages: tuple[Message, ...]
    params: Mapping[str, object] = field(default_factory=dict)
    knobs: Knobs = field(default_factory=Knobs)
    caller: str = ""
    session: str = ""
    turn: Turn | None = None
    protection: Findings | None = None

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
    data_class: DataClass = "public"
