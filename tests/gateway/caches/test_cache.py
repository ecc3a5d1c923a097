"""What is bought once is given again, to whom it may be given, and for as long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from emafusion.errors import StoreError, UnavailableError
from emafusion.gateway.caches import LocalShelf, Rules, SharedShelf, Shelf
from emafusion.gateway.caches.kept import packed, unpacked
from emafusion.gateway.valkey import Link
from emafusion.types import (
    Branch,
    Completion,
    Decompose,
    Knobs,
    Outcome,
    Part,
    Piece,
    Usage,
    replace,
)

from ..valkeys import Server
from .parts import House, hit

Told = dict[str, Any]


async def test_an_equal_request_is_answered_for_nothing(shelf: Shelf) -> None:
    house = House(shelf=shelf)
    first, again = await house.ask(), await house.ask()
    assert (hit(first), hit(again), house.calls) == (False, True, 1)
    assert first.answer is not None
    assert again.answer is not None
    assert (again.answer.text, again.answer.model) == (first.answer.text, "one")
    assert again.answer.plan == first.answer.plan
    assert first.answer.cost_usd > 0.0
    assert again.answer.cost_usd == again.spent_usd == 0.0


async def test_it_is_a_decision_of_its_own_that_names_the_first(shelf: Shelf) -> None:
    house = House(shelf=shelf)
    first, again = await house.ask(), await house.ask()
    found = await house.recorder.find(again.request.id)
    assert found is not None
    assert found.cached == first.request.id == again.reply_headers["x-emafusion-cached-decision"]
    assert (found.steps, found.cost_usd, found.text) == ((), 0.0, "Paris.")
    assert found.prompt == "What is the capital of France?"
    assert again.outcome == found
    assert f"the answer of {first.request.id}, given again" in found.explain()


async def test_a_third_request_names_the_first_too(shelf: Shelf) -> None:
    house = House(shelf=shelf)
    first, _, third = await house.ask(), await house.ask(), await house.ask()
    assert third.outcome is not None
    assert third.outcome.cached == first.request.id


DIFFERENT: list[Told] = [
    {"text": "What is the capital of Frances?"},
    {"team": "blue"},
    {"seed": 7},
    {"max_tokens": 5},
    {"unheard_of": {"deep": [1, 2]}},
    {"knobs": Knobs(prefer=0.9)},
    {"knobs": Knobs(private=True)},
    {"history": ({"role": "system", "content": "Be brief."},)},
    {"temperature": 0},
]


@pytest.mark.parametrize("told", DIFFERENT)
async def test_whatever_may_change_the_answer_makes_another_request(told: Told) -> None:
    house = House()
    await house.ask()
    other = await house.ask(**told)
    assert (hit(other), house.calls) == (False, 2)


@pytest.mark.parametrize("told", [{"user": "u1"}, {"metadata": {"a": "b"}}, {"stream": True}])
async def test_what_cannot_change_the_answer_does_not(told: Told) -> None:
    house = House()
    await house.ask()
    assert hit(await house.ask(**told))


@pytest.mark.parametrize(
    "told",
    [{"temperature": 0.7}, {"n": 2}, {"logprobs": True}, {"top_logprobs": 3}, {"audio": {"v": 1}}],
)
async def test_answers_of_chance_are_not_given_again(told: Told) -> None:
    house = House()
    await house.ask(**told)
    again = await house.ask(**told)
    assert house.calls == 2
    assert "x-emafusion-cache" not in again.reply_headers


async def test_the_rules_say_which_temperatures_are_taken() -> None:
    warm = House(rules=Rules(max_temperature=1.0))
    strict = House(rules=Rules(unset_temperature=False))
    for _ in range(2):
        await warm.ask(temperature=0.8)
        await strict.ask()
        await strict.ask(temperature=0)
    assert (warm.calls, strict.calls) == (1, 3)


CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def said(**told: Any) -> Completion:
    return Completion(usage=Usage(prompt_tokens=5, completion_tokens=5), **told)


@pytest.mark.parametrize(
    "reply",
    [
        said(text="Par", finish_reason="length"),
        said(text="", finish_reason="content_filter"),
        said(text="", finish_reason="tool_calls", tool_calls=(CALL,)),
        said(text="Looking.", tool_calls=(CALL,)),
    ],
)
async def test_truncated_filtered_and_calling_answers_are_not_kept(reply: Completion) -> None:
    house = House(reply)
    await house.ask()
    await house.ask()
    assert house.calls == 2


async def test_tool_calls_are_kept_where_the_rules_say_so() -> None:
    reply = said(text="", finish_reason="tool_calls", tool_calls=(CALL,))
    house = House(reply, rules=Rules(tool_calls=True))
    await house.ask()
    again = await house.ask()
    assert again.answer is not None
    assert again.answer.completion.tool_calls == (CALL,)
    assert house.calls == 1


async def test_failures_are_not_kept() -> None:
    down = [True]
    house = House(lambda call: UnavailableError("down", "one") if down else "Paris.")
    with pytest.raises(UnavailableError):
        await house.ask()
    down.clear()
    assert not hit(await house.ask())
    assert hit(await house.ask())


@pytest.mark.parametrize(
    ("header", "reads", "writes"),
    [
        ("", True, True),
        ("no-store", False, False),
        ("No-Cache", False, True),
        ("max-age=0, no-transform", True, True),
        ("max-age=3600", True, True),
        ("max-age=nonsense", True, True),
    ],
)
async def test_cache_control_is_heeded(header: str, reads: bool, writes: bool) -> None:
    house = House()
    await house.ask()
    assert hit(await house.ask(cache_control=header)) == reads
    fresh = House()
    await fresh.ask(cache_control=header)
    assert hit(await fresh.ask()) == writes


async def test_no_cache_brings_a_new_answer_that_takes_the_old_ones_place() -> None:
    replies = iter(["old", "new"])
    house = House(lambda call: next(replies))
    await house.ask()
    await house.ask(cache_control="no-cache")
    answer = (await house.ask()).answer
    assert answer is not None
    assert answer.text == "new"


async def test_max_age_bounds_how_old_an_answer_may_be() -> None:
    house = House()
    await house.ask()
    house.clock.time += 100
    young = await house.ask(cache_control="max-age=99")
    assert not hit(young)
    house.clock.time += 50
    old = await house.ask(cache_control="max-age=50")
    assert hit(old)
    assert old.reply_headers["age"] == "50"


async def test_answers_are_forgotten_after_their_time() -> None:
    house = House(rules=Rules(ttl_s=60.0))
    await house.ask()
    house.clock.time += 59.9
    assert hit(await house.ask())
    house.clock.time += 0.2
    assert not hit(await house.ask())


async def test_valkey_forgets_by_itself(link: Link) -> None:
    house = House(shelf=SharedShelf(link), rules=Rules(ttl_s=0.05))
    await house.ask()
    # What has run out is swept now and then, some of it at a time.
    async with asyncio.timeout(10):
        while await link.ask(lambda client: client.dbsize()):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.05)


async def test_a_clock_set_back_makes_nothing_immortal() -> None:
    house = House(rules=Rules(ttl_s=60.0))
    await house.ask()
    house.cache._clock.time -= 50_000  # type: ignore[attr-defined]
    assert hit(await house.ask())
    house.clock.time += 50_061
    assert not hit(await house.ask())


async def test_it_is_off_unless_it_is_asked_for() -> None:
    for mode, header, hits in [("off", "max-age=60", 0), ("ask", "", 0), ("ask", "max-age=60", 1)]:
        house = House(mode=mode)  # type: ignore[arg-type]
        await house.ask(cache_control=header)
        assert hit(await house.ask(cache_control=header)) == bool(hits)


async def test_equal_requests_at_once_are_bought_once() -> None:
    house = House(delay_s=0.02)
    found = await asyncio.gather(*(house.ask() for _ in range(20)))
    assert house.calls == 1
    assert len({each.request.id for each in found}) == 20
    assert sum(map(hit, found)) == 19


async def test_streams_do_not_wait_for_others() -> None:
    house = House(delay_s=0.02)
    await asyncio.gather(house.ask(stream=True), house.ask(stream=True))
    assert house.calls == 2


async def test_where_the_first_fails_the_others_go_on_at_once() -> None:
    house = House(UnavailableError("down", "one"), delay_s=0.05)
    one = asyncio.create_task(house.ask())
    await asyncio.sleep(0)
    others = [asyncio.create_task(house.ask()) for _ in range(5)]
    with pytest.raises(UnavailableError):
        await one
    bought = house.calls
    await asyncio.sleep(0.01)
    assert house.calls == bought + 5
    found = await asyncio.gather(*others, return_exceptions=True)
    assert all(isinstance(each, UnavailableError) for each in found)


async def test_where_the_first_hangs_up_the_others_go_on() -> None:
    house = House(delay_s=0.2)
    first = asyncio.create_task(house.ask())
    await asyncio.sleep(0)
    second = asyncio.create_task(house.ask())
    await asyncio.sleep(0)
    first.cancel()
    assert not hit(await second)
    assert house.calls == 2


async def test_waiting_takes_no_more_than_half_of_a_requests_time() -> None:
    house = House(delay_s=0.5)
    leading, following = (house.passage(knobs=Knobs(max_latency_s=0.6)) for _ in range(2))
    asks = [asyncio.create_task(house.send(each)) for each in (leading, following)]
    await asyncio.sleep(0.01)
    assert house.calls == 1
    house.clock.time += 0.3
    await asyncio.wait(asks)  # the second one's time is then too short for this model
    assert house.calls > 1
    assert not hit(following)
    assert following.request.knobs.max_latency_s == pytest.approx(0.3)
    await asyncio.gather(*asks, return_exceptions=True)


async def test_an_answer_whose_record_fails_is_not_given() -> None:
    house = House()
    await house.ask()

    async def full(outcome: Outcome) -> None:
        raise StoreError("the disk is full")

    house.cache._record = full
    asked = house.passage()
    with pytest.raises(StoreError):
        await house.send(asked)
    assert asked.answer is None


async def test_a_valkey_that_is_down_is_a_miss(valkey: Server) -> None:
    link = Link("unix:///nowhere/valkey.sock")
    house = House(shelf=SharedShelf(link))
    await house.ask()
    assert not hit(await house.ask())
    await link.aclose()


async def test_workers_share_what_valkey_keeps(link: Link) -> None:
    one, other = House(shelf=SharedShelf(link)), House(shelf=SharedShelf(link))
    await one.ask()
    assert hit(await other.ask())
    assert other.calls == 0


async def test_what_is_kept_holds_nothing_of_the_prompt(link: Link) -> None:
    house = House(shelf=SharedShelf(link))
    await house.ask("Where is Bartleby?", history=({"role": "system", "content": "Melville"},))
    keys = await link.ask(lambda client: client.keys())
    data = b"".join([await link.ask(lambda client, k=key: client.get(k)) for key in keys])  # type: ignore[misc]
    assert b"Paris." in data
    assert b"Bartleby" not in data + b"".join(keys)
    assert b"Melville" not in data


async def test_a_composite_prompts_parts_are_not_kept_either() -> None:
    answer = (await House().ask()).answer
    assert answer is not None
    parts = [Branch(part=Part(text="Who is Bartleby?"), plan=answer.plan) for _ in range(2)]
    plan = replace(answer.plan, arrangement=Decompose(branches=tuple(parts)))
    pieces = (Piece(prompt="Who is Bartleby?", text="A scrivener.", label="2."),)
    outcome = replace(answer.outcome, plan=plan, parts=pieces)
    data = packed(replace(answer, plan=plan, outcome=outcome), tenant="team:red", now=0.0)
    assert data is not None
    assert b"Bartleby" not in data
    kept = unpacked(data, tenant="team:red")
    assert kept is not None
    assert [piece.label for piece in kept.answer.outcome.parts] == ["2."]


async def test_what_cannot_be_written_down_is_answered_all_the_same() -> None:
    house = House(said(text="Paris.", raw={"id": 10**30}))
    deep: list[object] = []
    for _ in range(3000):
        deep = [deep]
    for told in ({"seed": 10**30}, {"seed": 10**30}, {"stop": deep}):
        assert not hit(await house.ask(**told))
    assert house.calls == 3


async def test_half_a_surrogate_pair_is_answered_and_not_kept() -> None:
    house = House("\ud83d broken")
    await house.ask()
    await house.ask()
    await house.ask("\ud83d?")
    assert (house.calls, len(house.shelf)) == (3, 0)  # type: ignore[arg-type]


async def test_memory_stays_within_its_bytes() -> None:
    shelf = LocalShelf(50_000, tick=lambda: 0.0)
    house = House(lambda call: "word " * 400, shelf=shelf)
    for number in range(60):
        await house.ask(f"Question {number}?")
        assert shelf.bytes <= 50_000
    assert 5 < len(shelf) < 25
    assert hit(await house.ask("Question 59?"))
    assert not hit(await house.ask("Question 0?"))


async def test_what_was_asked_for_last_stays_longest() -> None:
    shelf = LocalShelf(3000, tick=lambda: 0.0)
    for key in "abc":
        await shelf.put(key, b"x" * 500, 60)
    await shelf.get("a")
    await shelf.put("d", b"x" * 500, 60)
    assert [await shelf.get(key) is not None for key in "abcd"] == [True, False, True, True]


async def test_too_large_answers_are_not_kept_and_take_nobodys_place() -> None:
    house = House(lambda call: "long " * 3000, rules=Rules(max_bytes=10_000))
    await house.ask()
    assert len(house.shelf) == 0  # type: ignore[arg-type]
    shelf = LocalShelf(1000, tick=lambda: 0.0)
    await shelf.put("a", b"x" * 500, 60)
    await shelf.put("b", b"x" * 5000, 60)
    assert await shelf.get("a") is not None
