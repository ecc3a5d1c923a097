"""A language model as the catalog knows it, and the tokens a call counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeVar

from msgspec import field
from msgspec.structs import replace

from emafusion.types.values import Value, Visibility

P = TypeVar("P", "Model", "PriceTier")
Bound = Literal["max_tokens", "max_completion_tokens"]
USUAL_TIERS: Final = (None, "auto", "default", "standard", "standard_only")
"""What a caller may say of ``service_tier`` that asks for nothing of another price."""


class PriceTier(Value, frozen=True, kw_only=True):
    """What all of a call's tokens cost once its prompt has more than ``above`` tokens.

    US dollars per million tokens; what is ``None`` costs as much as the prompt's other tokens.
    """

    above: int
    usd_per_mtok_in: float
    usd_per_mtok_out: float
    usd_per_mtok_cached: float | None = None
    usd_per_mtok_cache_write: float | None = None
    usd_per_mtok_cache_write_1h: float | None = None


class Model(Value, frozen=True, kw_only=True):
    """One language model as the catalog knows it.

    ``usd_per_mtok_in`` and ``usd_per_mtok_out`` are US dollars per million tokens, those for
    tokens read from or written to the vendor's prompt cache, audio and images the same where they
    have a price of their own; ``tiers`` are dearer prices of longer prompts, the shortest first.
    ``service_tiers`` says by how much each of the vendor's ``service_tier`` multiplies them all.
    ``context_window`` and ``max_output`` are tokens. ``provider`` names a configured provider and
    ``upstream`` the model's name there. ``judge`` marks a model that may serve as a judge.
    ``ability`` is an expert's opinion of its success rate before any outcome was seen, worth
    ``ability_weight`` outcomes (pseudo-counts). ``bound`` is the one name under which its upstream
    takes the bound on an answer's tokens; ``None`` where it takes either. ``declared`` is false
    where nobody said what the model can do beyond text: ``capabilities`` is empty then, and tells
    nothing.
    """

    name: str
    provider: str
    upstream: str
    usd_per_mtok_in: float
    usd_per_mtok_out: float
    usd_per_mtok_cached: float | None = None
    usd_per_mtok_cache_write: float | None = None
    usd_per_mtok_cache_write_1h: float | None = None
    usd_per_mtok_audio_in: float | None = None
    usd_per_mtok_audio_out: float | None = None
    usd_per_mtok_image_in: float | None = None
    usd_per_mtok_image_out: float | None = None
    tiers: tuple[PriceTier, ...] = ()
    service_tiers: Mapping[str, float] = field(default_factory=dict)
    context_window: int = 8192
    max_output: int = 4096
    capabilities: frozenset[str] = frozenset()
    declared: bool = True
    visibility: Visibility = "public"
    judge: bool = False
    ability: Mapping[str, float] = field(default_factory=dict)
    ability_weight: float = 8.0
    tokens_per_s: float | None = None
    system: str | None = None
    bound: Bound | None = None

    def at(self, service_tier: object) -> Model | None:
        """The model at the prices of `service_tier`; ``None`` where nobody said what they are."""
        if service_tier in USUAL_TIERS:
            return self
        factor = self.service_tiers.get(service_tier) if isinstance(service_tier, str) else None
        if factor is None:
            return None
        tiers = tuple(_times(tier, factor) for tier in self.tiers)
        return replace(_times(self, factor), tiers=tiers)

    def cost(self, usage: Usage) -> float:
        """US dollars for `usage` at this model's prices, each kind of token at its own.

        A kind without a price of its own costs as much as the other tokens of the prompt or of the
        answer. Audio and images read from a cache count as any other token read from it.
        """
        base = self._base(usage.prompt_tokens)
        write = base.usd_per_mtok_cache_write
        long_write = base.usd_per_mtok_cache_write_1h
        asked = _priced(
            usage.prompt_tokens,
            base.usd_per_mtok_in,
            (usage.cached_tokens, base.usd_per_mtok_cached),
            (usage.cache_write_1h_tokens, write if long_write is None else long_write),
            (usage.cache_write_tokens, write),
            (usage.audio_tokens, self.usd_per_mtok_audio_in),
            (usage.image_tokens, self.usd_per_mtok_image_in),
        )
        answered = _priced(
            usage.completion_tokens,
            base.usd_per_mtok_out,
            (usage.audio_out_tokens, self.usd_per_mtok_audio_out),
            (usage.image_out_tokens, self.usd_per_mtok_image_out),
        )
        return (asked + answered) / 1e6

    def _base(self, prompt_tokens: int) -> Model | PriceTier:
        """The prices of a prompt of `prompt_tokens`."""
        found: Model | PriceTier = self
        for tier in self.tiers:
            if prompt_tokens > tier.above:
                found = tier
        return found


def _times(priced: P, factor: float) -> P:
    """`priced` with all its prices multiplied."""
    names = [name for name in priced.__struct_fields__ if name.startswith("usd_per_mtok")]
    prices = {name: getattr(priced, name) for name in names}
    return replace(priced, **{k: v * factor for k, v in prices.items() if v is not None})


class Usage(Value, frozen=True, kw_only=True):
    """Tokens of one call.

    Read from the vendor's prompt cache (``cached_tokens``), written to it (``cache_write_tokens``;
    to be kept for an hour: ``cache_write_1h_tokens``), ``audio_tokens`` and ``image_tokens`` are
    parts of ``prompt_tokens``; ``reasoning_tokens``, ``audio_out_tokens`` and ``image_out_tokens``
    are parts of ``completion_tokens``. ``counted`` is false where the upstream gave no usage and we
    estimated.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    audio_tokens: int = 0
    image_tokens: int = 0
    reasoning_tokens: int = 0
    audio_out_tokens: int = 0
    image_out_tokens: int = 0
    counted: bool = True


def _priced(whole: int, price: float, *parts: tuple[int, float | None]) -> float:
    """What `whole` tokens come to: `parts` of them at their own prices, the rest at `price`."""
    total = 0.0
    for tokens, own in parts:
        if tokens and own is not None:
            kind = min(tokens, whole)
            whole -= kind
            total += kind * own
    return total + whole * price
