"""What a call cost, to the cent: each kind of token at its price, against a public calculator."""

from __future__ import annotations

import pytest
from genai_prices import Usage as Counted
from genai_prices import calc_price
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.catalog import resolve
from emafusion.catalog.prices import listed
from emafusion.types import Model, Usage

SOLD = ("openai:gpt-4o-audio-preview", "anthropic:claude-sonnet-4-5", "google:gemini-2.5-pro")
COUNT = st.integers(0, 400_000)


def sold(upstream: str) -> Model:
    return resolve(upstream, "p", upstream=upstream)


def test_each_kind_of_token_has_its_price() -> None:
    model = Model(
        name="m",
        provider="p",
        upstream="m",
        usd_per_mtok_in=10.0,
        usd_per_mtok_out=20.0,
        usd_per_mtok_cached=1.0,
        usd_per_mtok_cache_write=12.5,
        usd_per_mtok_audio_in=40.0,
        usd_per_mtok_audio_out=80.0,
    )
    usage = Usage(
        prompt_tokens=1000,
        cached_tokens=500,
        cache_write_tokens=100,
        cache_write_1h_tokens=10,
        audio_tokens=200,
        completion_tokens=50,
        reasoning_tokens=30,
        audio_out_tokens=20,
    )
    asked = 500 * 1 + 110 * 12.5 + 200 * 40 + 190 * 10
    assert model.cost(usage) == pytest.approx((asked + 20 * 80 + 30 * 20) / 1e6)


def test_parts_that_overlap_are_never_paid_twice() -> None:
    model = Model(
        name="m",
        provider="p",
        upstream="m",
        usd_per_mtok_in=1.0,
        usd_per_mtok_out=1.0,
        usd_per_mtok_cached=1.0,
        usd_per_mtok_audio_in=1.0,
    )
    usage = Usage(prompt_tokens=10, cached_tokens=8, audio_tokens=8)
    assert model.cost(usage) == pytest.approx(10 / 1e6)


@settings(max_examples=60, deadline=None)
@given(plain=COUNT, cached=COUNT, written=COUNT, answer=COUNT, upstream=st.sampled_from(SOLD))
def test_text_and_caches_cost_what_the_public_list_says(
    plain: int, cached: int, written: int, answer: int, upstream: str
) -> None:
    """Both steps of tiered prices too: half the examples are beyond the first."""
    vendor, _, name = upstream.partition(":")
    model = sold(upstream)
    written = written if model.usd_per_mtok_cache_write is not None else 0
    cached = cached if model.usd_per_mtok_cached is not None else 0
    prompt = plain + cached + written
    theirs = calc_price(
        Counted(
            input_tokens=prompt,
            cache_read_tokens=cached,
            cache_write_tokens=written,
            output_tokens=answer,
        ),
        name,
        provider_id=vendor,
    )
    ours = Usage(
        prompt_tokens=prompt,
        cached_tokens=cached,
        cache_write_tokens=written,
        completion_tokens=answer,
    )
    assert model.cost(ours) == pytest.approx(float(theirs.total_price), abs=1e-9)


@given(text=COUNT, audio=COUNT, answer=COUNT, spoken=COUNT)
@settings(max_examples=30, deadline=None)
def test_speech_costs_what_the_public_list_says(
    text: int, audio: int, answer: int, spoken: int
) -> None:
    model = sold("openai:gpt-4o-audio-preview")
    theirs = calc_price(
        Counted(
            input_tokens=text + audio,
            input_audio_tokens=audio,
            output_tokens=answer + spoken,
            output_audio_tokens=spoken,
        ),
        "gpt-4o-audio-preview",
        provider_id="openai",
    )
    ours = Usage(
        prompt_tokens=text + audio,
        audio_tokens=audio,
        completion_tokens=answer + spoken,
        audio_out_tokens=spoken,
    )
    assert model.cost(ours) == pytest.approx(float(theirs.total_price), abs=1e-9)


def test_a_listing_has_its_steps() -> None:
    listing = listed("google:gemini-2.5-pro")
    assert listing is not None
    (step,) = listing.tiers
    assert step.above == 200_000
    assert step.usd_per_mtok_in == 2 * listing.usd_per_mtok_in
