"""No call costs more than was reserved for it, whatever its model's price table says."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.catalog import tokens
from emafusion.catalog.bounds import LONGEST_ANSWER, Prompt
from emafusion.errors import RequestError
from emafusion.gateway.accounts.estimates import BESIDE, Dearest, dear, most_usd
from emafusion.types import Model, Request, Usage, replace
from emafusion.types.models import PriceTier

PRICE = st.floats(0.0, 100.0)
OWN = st.none() | PRICE
TIER = st.builds(
    PriceTier,
    above=st.integers(1, 20_000),
    usd_per_mtok_in=PRICE,
    usd_per_mtok_out=PRICE,
    usd_per_mtok_cached=OWN,
    usd_per_mtok_cache_write=OWN,
    usd_per_mtok_cache_write_1h=OWN,
)
MODEL = st.builds(
    Model,
    name=st.just("m"),
    provider=st.just("p"),
    upstream=st.just("m"),
    usd_per_mtok_in=PRICE,
    usd_per_mtok_out=PRICE,
    usd_per_mtok_cached=OWN,
    usd_per_mtok_cache_write=OWN,
    usd_per_mtok_cache_write_1h=OWN,
    usd_per_mtok_audio_in=OWN,
    usd_per_mtok_audio_out=OWN,
    usd_per_mtok_image_in=OWN,
    usd_per_mtok_image_out=OWN,
    tiers=st.lists(TIER, max_size=3, unique_by=lambda tier: tier.above).map(
        lambda tiers: tuple(sorted(tiers, key=lambda tier: tier.above))
    ),
)
MARK = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "A" * 9000, "format": "mp3"}}
PLAIN = Model(
    name="m", provider="p", upstream="m", usd_per_mtok_in=1.0, usd_per_mtok_out=2.0, max_output=1000
)


def asking(*parts: Any, **params: Any) -> Request:
    content = [{"type": "text", "text": "word " * 3000}, *parts]
    return Request(id="r", messages=({"role": "user", "content": content},), params=params)


@given(MODEL, st.sampled_from([None, MARK]), st.sampled_from([None, PICTURE, SOUND]), st.data())
def test_no_usage_costs_more(model: Model, mark: Any, media: Any, data: Any) -> None:
    request = asking(*([media] if media else []), max_tokens=700)
    if mark:
        content: Any = request.messages[0]["content"]
        content[0].update(mark)
    prompt = Prompt(request)

    def part(of: int, possible: object = True) -> int:
        return data.draw(st.integers(0, of)) if possible else 0

    asked = part(prompt.tokens)
    answered = part(700)
    usage = Usage(
        prompt_tokens=asked,
        completion_tokens=answered,
        cached_tokens=part(asked),
        cache_write_tokens=part(asked, mark),
        cache_write_1h_tokens=part(asked, mark),
        audio_tokens=part(asked, media),
        image_tokens=part(asked, media),
        audio_out_tokens=part(answered),
        image_out_tokens=part(answered),
    )
    assert model.cost(usage) <= most_usd(model, request, prompt)


def test_plain_words_are_reserved_at_plain_prices() -> None:
    request = asking()
    asked = tokens.count_messages(request.messages) + BESIDE + 2
    dear = replace(
        PLAIN, usd_per_mtok_audio_in=50.0, usd_per_mtok_cache_write=9.0, usd_per_mtok_cached=0.1
    )
    expected = (asked + 1000 * 2.0) / 1e6
    assert most_usd(dear, request, Prompt(request)) == pytest.approx(expected, rel=1e-3)
    roomy = replace(PLAIN, max_output=100_000)
    expected = (asked + LONGEST_ANSWER * 2.0) / 1e6
    assert most_usd(roomy, request, Prompt(request)) == pytest.approx(expected, rel=1e-3)


def test_longer_prompts_have_their_own_prices() -> None:
    tier = PriceTier(above=2000, usd_per_mtok_in=4.0, usd_per_mtok_out=8.0)
    tiered = replace(PLAIN, tiers=(tier,))
    request, short = asking(), Request(id="r", messages=({"role": "user", "content": "Hi"},))
    assert most_usd(tiered, request, Prompt(request)) == pytest.approx(
        4 * most_usd(PLAIN, request, Prompt(request))
    )
    assert most_usd(tiered, short, Prompt(short)) == most_usd(PLAIN, short, Prompt(short))


@given(MODEL, st.floats(0.1, 9.0))
def test_a_service_tier_multiplies_every_price(model: Model, factor: float) -> None:
    dearer = replace(model, service_tiers={"priority": factor}).at("priority")
    assert dearer is not None
    for tokens_in in (100, 30_000):
        usage = Usage(
            prompt_tokens=tokens_in, completion_tokens=50, cached_tokens=20, audio_tokens=9
        )
        assert dearer.cost(usage) == pytest.approx(factor * model.cost(usage))


def test_a_service_tier_is_reserved_at_its_price() -> None:
    priced = replace(PLAIN, service_tiers={"priority": 3.0})
    models = {"m": priced, "n": replace(PLAIN, name="n")}
    usual, dear = (
        Dearest().usd(asking(**params), models, models)
        for params in ({}, {"service_tier": "priority"})
    )
    # Longer by its own name and value in the body, which count as well.
    assert dear == pytest.approx(3.0 * usual, rel=0.01)


@pytest.mark.parametrize("told", [{"file_id": "file-1"}, {"file_data": "A" * 160_000}])
def test_a_file_may_fill_the_window(told: dict[str, str]) -> None:
    """How many pages a document has, its bytes do not say."""
    request = asking({"type": "file", "file": told})
    window = replace(PLAIN, context_window=200_000)
    assert 0.22 > most_usd(window, request, Prompt(request)) > 0.2


def test_a_sound_is_counted_by_its_length() -> None:
    request = asking({"type": "input_audio", "input_audio": {"data": "A" * 160_000}})
    window = replace(PLAIN, context_window=200_000)
    assert 0.03 > most_usd(window, request, Prompt(request)) > 0.01


@pytest.mark.parametrize(("upstream", "most"), [("m", 16_384), ("openai/gpt-4o-mini-2024", 48_169)])
def test_an_image_counts_as_much_as_its_vendor_may_bill(upstream: str, most: int) -> None:
    model = replace(PLAIN, upstream=upstream)
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10**6}}
    bare, shown = asking(), asking(picture, picture)
    dearer = most_usd(model, shown, Prompt(shown)) - most_usd(model, bare, Prompt(bare))
    assert dearer == pytest.approx(2 * most / 1e6)


LONG = "word " * 30_000


@pytest.mark.parametrize(
    "params",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "description": LONG}}]},
        {"functions": [{"name": "f", "description": LONG}]},
        {"response_format": {"type": "json_schema", "json_schema": {"description": LONG}}},
        {"prediction": {"type": "content", "content": LONG}},
        {"a_field_of_tomorrow": LONG},
    ],
)
def test_every_field_counts(params: dict[str, Any]) -> None:
    request = asking(**params)
    assert most_usd(PLAIN, request, Prompt(request)) > 0.05


@pytest.mark.parametrize("name", ["name", "reasoning_content", "reasoning", "function_call"])
def test_every_field_of_a_message_counts(name: str) -> None:
    messages = ({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "", name: LONG})
    request = Request(id="r", messages=messages)
    assert most_usd(PLAIN, request, Prompt(request)) > 0.05


def test_a_prediction_is_billed_as_an_answer_too() -> None:
    dear = replace(PLAIN, usd_per_mtok_out=100.0, max_output=1)
    request = asking(prediction={"type": "content", "content": LONG})
    assert most_usd(dear, request, Prompt(request)) > 5.0


def test_more_answers_than_the_protocol_knows_are_refused() -> None:
    many = asking(n=128)
    assert most_usd(PLAIN, many, Prompt(many)) > 0.25
    for n in (129, 10**400):
        with pytest.raises(RequestError, match="from 1 to 128"):
            Prompt(asking(n=n))


def test_a_tool_may_be_marked_for_the_cache() -> None:
    tool = {"type": "function", "function": {"name": "note"}}
    dear = replace(PLAIN, usd_per_mtok_cache_write=10.0)
    plain, marked = asking(tools=[tool]), asking(tools=[{**tool, **MARK}])
    assert most_usd(dear, marked, Prompt(marked)) > 5 * most_usd(dear, plain, Prompt(plain))


OTHERS = st.lists(
    st.builds(
        replace,
        MODEL,
        system=st.sampled_from([None, "Be brief.", "word " * 500]),
        context_window=st.sampled_from([8_192, 128_000]),
        max_output=st.sampled_from([100, 4_096, 65_536]),
        upstream=st.sampled_from(["m", "gpt-4o-mini"]),
        tiers=st.just(()) | TIER.map(lambda tier: (tier,)),
    ),
    min_size=1,
    max_size=6,
)


@given(OTHERS, st.sampled_from([None, MARK]), st.sampled_from([None, PICTURE, SOUND]), st.data())
def test_of_several_models_the_dearest_is_reserved(
    models: list[Model], mark: Any, media: Any, data: st.DataObject
) -> None:
    """Those that are not priced for each request cost no more than one of those that are."""
    parts = [part for part in (mark and {"type": "text", "text": "x", **mark}, media) if part]
    longest = data.draw(st.sampled_from([None, 10, 50_000]))
    request = asking(*parts, **({} if longest is None else {"max_tokens": longest}))
    catalog = {f"m{place}": model for place, model in enumerate(models)}
    prompt = Prompt(request)
    most = max(most_usd(model, request, prompt) for model in models)
    dearest = Dearest()
    assert [dearest.usd(request, catalog, tuple(catalog)) for _ in range(2)] == [most, most]


def test_a_model_that_is_dearer_in_every_respect_is_priced_alone() -> None:
    cheap = replace(PLAIN, usd_per_mtok_in=0.5)
    long = replace(PLAIN, usd_per_mtok_in=0.1, max_output=2000)
    assert dear([cheap, PLAIN, PLAIN, long]) == [PLAIN, long]


def test_another_catalog_has_other_prices() -> None:
    dearest, request = Dearest(), asking()
    first = dearest.usd(request, {"m": PLAIN}, ("m",))
    assert dearest.usd(request, {"m": replace(PLAIN, usd_per_mtok_in=9.0)}, ("m",)) > first
    assert dearest.usd(request, {}, ("m",)) == 0.0


def test_letters_beyond_ascii_cost_no_more_than_they_must() -> None:
    """Counted one by one, one large body would hold up everybody."""
    text = "é" + "word " * 400_000

    def took(work: Callable[[], object]) -> float:
        began = time.thread_time()
        work()
        return time.thread_time() - began

    def by_the_letter() -> int:
        return sum(char < "\x80" for char in text)

    tries = [(took(lambda: tokens.count(text)), took(by_the_letter)) for _ in range(3)]
    assert tokens.count("é" + "a" * 29) == int(29 / 3 + 1 / 0.8) + 1
    assert 5 * min(one for one, _ in tries) < min(other for _, other in tries)
