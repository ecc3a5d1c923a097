"""A language model as the catalog knows it, and the tokens a call counts."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import field

from emafusion.types.values import Value, Visibility


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
