"""What a hosted model costs and how much it reads, where that is public knowledge.

It asks ``genai-prices``, whose import takes a fifth of a second: only when a price is looked up.
"""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from msgspec import Struct

from emafusion.types.models import PriceTier

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, PriceCalculation, TieredPrices


class Listing(Struct, frozen=True, kw_only=True):
    """A public price list's entry: US dollars per million tokens, and tokens of context.

    The names are those of :class:`~emafusion.types.Model`. Where the price rises with the prompt's
    length, ``tiers`` are the steps after the first. Prices of an hour of audio, a page or a search
    are left out: no usage tells of them.
    """

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
    context_window: int | None = None


def listed(upstream: str, *, base_url: str | None = None) -> Listing | None:
    """The public listing of the model `upstream`, ``None`` where there is none.

    `base_url` says who sells it. A server on this machine or in a private network sells nothing:
    that it serves a model of a known name says nothing about its price. ``VENDOR:NAME`` and
    ``VENDOR/NAME`` name the vendor too.
    """
    if base_url is not None and _is_private(base_url):
        return None
    found = _found(upstream, base_url)
    if found is None:
        return None
    price = found.model_price
    prompt, answer = _usd(price.input_mtok), _usd(price.output_mtok)
    if prompt is None or answer is None:
        return None
    return Listing(
        usd_per_mtok_in=prompt,
        usd_per_mtok_out=answer,
        usd_per_mtok_cached=_usd(price.cache_read_mtok),
        usd_per_mtok_cache_write=_usd(price.cache_write_mtok),
        usd_per_mtok_cache_write_1h=_usd(price.cache_write_1h_mtok),
        usd_per_mtok_audio_in=_usd(price.input_audio_mtok),
        usd_per_mtok_audio_out=_usd(price.output_audio_mtok),
        usd_per_mtok_image_in=_usd(price.input_image_mtok),
        usd_per_mtok_image_out=_usd(price.output_image_mtok),
        tiers=_tiers(price),
        context_window=found.model.context_window,
    )


def _tiers(price: ModelPrice) -> tuple[PriceTier, ...]:
    """The prices above each prompt length at which one of them changes."""
    tiered = [one.tiers for one in vars(price).values() if hasattr(one, "tiers")]
    starts = sorted({tier.start for tiers in tiered for tier in tiers})
    return tuple(
        PriceTier(
            above=start,
            usd_per_mtok_in=_usd(price.input_mtok, start) or 0.0,
            usd_per_mtok_out=_usd(price.output_mtok, start) or 0.0,
            usd_per_mtok_cached=_usd(price.cache_read_mtok, start),
            usd_per_mtok_cache_write=_usd(price.cache_write_mtok, start),
            usd_per_mtok_cache_write_1h=_usd(price.cache_write_1h_mtok, start),
        )
        for start in starts
    )


def _found(upstream: str, base_url: str | None) -> PriceCalculation | None:
    from genai_prices import Usage, calc_price

    nothing = Usage(input_tokens=0, output_tokens=0)
    if base_url is not None:
        with suppress(LookupError):
            return calc_price(nothing, upstream, provider_api_url=base_url)
    vendor, _, name = upstream.replace("/", ":", 1).rpartition(":")
    if vendor:
        with suppress(LookupError):
            return calc_price(nothing, name, provider_id=vendor)
    with suppress(LookupError):
        return calc_price(nothing, upstream)
    return None


def _usd(price: Decimal | TieredPrices | None, above: int = -1) -> float | None:
    """A price in dollars; of a tiered one that for prompts of more than `above` tokens."""
    if price is None or isinstance(price, Decimal):
        return None if price is None else float(price)
    return float([price.base, *(one.price for one in price.tiers if one.start <= above)][-1])


def _is_private(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or "." not in host or host.endswith((".local", ".internal"))
    return address.is_private or address.is_loopback
