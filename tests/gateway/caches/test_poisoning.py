"""Nobody reads or writes what another tenant, or another clearance, is answered."""

from __future__ import annotations

import asyncio
import random

import msgspec
import pytest

from emafusion.gateway.caches import Equal, Key, LocalShelf, SameQuestion, SharedShelf
from emafusion.gateway.caches.kept import packed, unpacked
from emafusion.gateway.callers import Caller, Passage
from emafusion.gateway.valkey import Link
from emafusion.types import Request

from .parts import House, hit, scope


def asked(content: object, caller: Caller, **fields: object) -> Passage:
    message = {"role": "user", "content": content, **fields}
    return Passage(request=Request(id="dec_1", messages=(message,)), caller=caller)


@pytest.mark.parametrize("kind", [Equal, SameQuestion])
def test_no_two_callers_of_different_tenants_share_a_key(kind: type[Equal | SameQuestion]) -> None:
    """Names made to look like another's, or like the border between two fields, do not help."""
    callers = [
        Caller(),
        Caller(key="a"),
        Caller(key="a", team="b"),
        Caller(team="a"),
        Caller(key="team:a"),
        Caller(team="key:a"),
        Caller(team='a","b'),
        Caller(team='a"'),
        Caller(team="a\x00"),
    ]
    keys = [kind(scope).of(asked("What is the time?", caller)) for caller in callers]
    assert None not in keys
    assert len(set(keys)) == len(callers)


@pytest.mark.parametrize("key", [Equal(scope), SameQuestion(scope)])
async def test_a_team_does_not_see_anothers_answers(key: Key) -> None:
    replies = iter(["for red", "for blue"])
    house = House(lambda call: next(replies), key=key)
    await house.ask(team="red")
    theirs = await house.ask(team="blue")
    assert theirs.answer is not None
    assert theirs.answer.text == "for blue"
    assert (house.calls, hit(theirs)) == (2, False)


@pytest.mark.parametrize("kind", [Equal, SameQuestion])
async def test_another_clearance_is_another_request(kind: type[Equal | SameQuestion]) -> None:
    clearance = ["public"]
    house = House(key=kind(lambda passage: (clearance[0],)))
    await house.ask()
    clearance[0] = "restricted"
    assert not hit(await house.ask())


def test_keys_of_one_team_that_may_ask_other_models_share_nothing() -> None:
    free = Caller(key="a", team="t")
    bound = Caller(key="b", team="t", models=frozenset({"small"}))
    kind = Equal(scope)
    assert kind.of(asked("Hello?", free)) != kind.of(asked("Hello?", bound))


def test_text_cannot_pose_as_another_field() -> None:
    kind, caller = Equal(scope), Caller(team="t")
    texts = ['x"},{"role":"user', 'x","name":"bob', "x\\", "x\\\\", "x\n", "x"]
    keys = {kind.of(asked(text, caller)) for text in texts}
    assert len(keys) == len(texts)
    assert kind.of(asked("x", caller, name="bob")) not in keys


def test_scope_and_words_keep_their_borders() -> None:
    """A scope's last name and a question's first word are not one."""

    def key(scope: tuple[str, ...], text: str) -> str | None:
        found = SameQuestion(lambda passage: scope).of(asked(text, Caller(team="t")))
        assert found is not None
        return found

    assert key(("a", "b"), "c d") != key(("a",), "b c d")
    assert key(("a b",), "c d") != key(("a", "b"), "c d")


async def test_what_lies_on_the_shelf_for_another_is_not_given(link: Link) -> None:
    """Whoever can write under a key still cannot pass another tenant's answer off as one's own."""
    house = House(shelf=SharedShelf(link))
    first = await house.ask(team="red")
    assert first.answer is not None
    foreign = packed(first.answer, tenant="team:red", now=house.clock.now())
    assert foreign is not None
    target = Equal(scope).of(house.passage(team="blue"))
    assert target is not None
    await house.shelf.put(target, foreign, 60)
    assert not hit(await house.ask(team="blue"))


async def test_callers_that_hang_up_do_not_shift_what_others_read(link: Link) -> None:
    """A command that is cancelled must not leave its answer for the next one to take."""
    shelf = SharedShelf(link)
    for number in range(50):
        await shelf.put(str(number), str(number).encode(), 60)
    chance = random.Random(3)

    async def read(number: int) -> tuple[int, bytes | None]:
        return number, await shelf.get(str(number))

    tasks = []
    for _ in range(600):
        tasks.append(asyncio.create_task(read(chance.randrange(50))))
        if chance.random() < 0.5:
            await asyncio.sleep(0)
            chance.choice(tasks[-20:]).cancel()
        if chance.random() < 0.1:
            await asyncio.sleep(0.001)
    await asyncio.wait(tasks)
    found = [task.result() for task in tasks if not task.cancelled()]
    assert 100 < len(found) < 600
    there = [(number, data) for number, data in found if data is not None]  # on a slow machine
    assert there
    assert all(data == str(number).encode() for number, data in there)


@pytest.mark.parametrize("data", [b"", b"\xff\xff", b"{}", msgspec.msgpack.encode(["team:red", 1])])
async def test_damaged_bytes_are_a_miss(data: bytes) -> None:
    house = House(shelf=LocalShelf(10_000, tick=lambda: 0.0))
    target = Equal(scope).of(house.passage())
    assert target is not None
    await house.shelf.put(target, data, 60)
    assert unpacked(data, tenant="team:red") is None
    assert not hit(await house.ask())
    assert hit(await house.ask())


async def test_one_caller_cannot_make_another_keys_answer_by_asking_oddly() -> None:
    """Within a team too, only an equal request sets what an equal request gets."""
    house = House(lambda call: str(call.messages[-1]["content"])[::-1])
    await house.ask("Say hello. ")
    plain = await house.ask("Say hello.")
    assert plain.answer is not None
    assert plain.answer.text == ".olleh yaS"
