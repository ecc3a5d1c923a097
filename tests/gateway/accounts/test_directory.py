"""Who is let in, on both databases: tokens, their ends, their rotation; how soon it is known."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest
from msgspec import structs

from emafusion.databases import Connection
from emafusion.errors import ConfigError, StoreError
from emafusion.gateway.accounts import Registry, Terms, tokens
from emafusion.gateway.accounts.database import Database, Line
from emafusion.gateway.accounts.directory import Directory
from emafusion.gateway.callers import Caller

from .parts import Vanishing, soon

Connect = Callable[[], Database]


class Clock:
    """Seconds since 1970, as told; and a clock that can be put forward."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.ahead = 0.0

    def __call__(self) -> float:
        return self.now

    def ticks(self) -> float:
        return time.monotonic() + self.ahead


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(connect: Connect, clock: Clock) -> Registry:
    return Registry(connect(), clock=clock)


@pytest.fixture
def database(connect: Connect) -> Vanishing:
    return Vanishing(connect())


@pytest.fixture
async def directory(database: Vanishing, clock: Clock) -> AsyncIterator[Directory]:
    line = Line(database)
    one = Directory(line, clock=clock, ticks=clock.ticks)
    await one.begin()
    yield one
    await one.aclose()
    await line.aclose()


async def test_a_new_key_is_known_at_once(registry: Registry, directory: Directory) -> None:
    key, token = registry.create("alice", scopes=frozenset({"chat"}))
    caller = await directory.identify(token)
    assert caller == Caller(key=key.id, name="alice", scopes=frozenset({"chat"}))
    assert caller.tenant == f"key:{key.id}"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-1] + ("0" if token[-1] != "0" else "1"),
        lambda token: token[:10] + ("a" if token[10] != "a" else "b") + token[11:],
        lambda token: token + "0",
        lambda token: token[:-1],
        lambda token: token.upper(),
        lambda token: token.replace("_", "-"),
        lambda token: "",
        lambda token: "emf_",
        lambda token: "\ud800" * 81,
        lambda token: "x" * 100_000,
        lambda token: "Bearer " + token,
    ],
)
async def test_what_is_not_the_token_is_nobodys(
    registry: Registry, directory: Directory, spoil: Callable[[str], str]
) -> None:
    _, token = registry.create("alice")
    assert await directory.identify(token) is not None
    assert await directory.identify(spoil(token)) is None


async def test_a_revoked_key_is_nobodys_within_a_second(
    registry: Registry, directory: Directory
) -> None:
    _, token = registry.create("alice")
    assert await directory.identify(token) is not None
    registry.revoke("alice")
    await asyncio.sleep(0.95)
    assert await directory.identify(token) is None


async def test_a_key_expires(registry: Registry, directory: Directory, clock: Clock) -> None:
    _, token = registry.create("alice", expires=1010.0)
    assert await directory.identify(token) is not None
    clock.now = 1010.0
    assert await directory.identify(token) is None


async def test_a_rotated_key_has_two_secrets_for_a_while(
    registry: Registry, directory: Directory, clock: Clock
) -> None:
    key, old = registry.create("alice")
    _, new = registry.rotate("alice", grace_s=60)
    for token in (old, new):
        caller = await directory.identify(token)
        assert caller is not None
        assert caller.key == key.id
    clock.now += 60
    assert await directory.identify(old) is None
    assert await directory.identify(new) is not None


async def test_a_rotation_without_grace_ends_the_old_secret(
    registry: Registry, directory: Directory
) -> None:
    _, old = registry.create("alice")
    _, new = registry.rotate("alice", grace_s=0)
    assert await directory.identify(new) is not None
    assert await directory.identify(old) is None


async def test_a_leaked_secret_ends_though_the_operators_clock_is_ahead(
    connect: Connect, directory: Directory, clock: Clock
) -> None:
    ahead = Registry(connect(), clock=lambda: clock.now + 300)
    _, old = ahead.create("alice")
    _, new = ahead.rotate("alice", grace_s=0)
    assert await directory.identify(new) is not None
    assert await directory.identify(old) is None


async def test_a_key_without_its_team_is_nobodys(
    connect: Connect, registry: Registry, directory: Directory, clock: Clock
) -> None:
    """It would have none of the terms that bound it."""
    registry.create_team("ops", Terms(models=frozenset({"a"})))
    _, token = registry.create("alice", team="ops", expires=clock.now - 1)
    registry.remove_team("ops")
    with pytest.raises(ConfigError, match="no team 'ops'"):
        registry.change("alice", lambda one: structs.replace(one, expires=None))
    connect().transact(lambda one: one.run("UPDATE emf_keys SET expires = NULL"))
    fresh = Directory(Line(connect()), clock=clock)
    await fresh.begin()
    assert await fresh.identify(token) is None
    registry.create_team("ops", Terms())
    assert await fresh.identify(token) is not None
    await fresh.aclose()


async def test_a_teams_terms_bind_its_keys(registry: Registry, directory: Directory) -> None:
    registry.create_team("ops", Terms(models=frozenset({"a", "b"}), prefer=0.2, min_quality=0.5))
    terms = Terms(models=frozenset({"b", "c"}), min_quality=0.3, requests_per_minute=5)
    key, token = registry.create("alice", team="ops", terms=terms)
    caller = await directory.identify(token)
    assert caller is not None
    assert (caller.models, caller.prefer) == (frozenset({"b"}), 0.2)
    assert caller.min_quality == 0.5
    assert caller.tenant == "team:ops"
    [rates] = directory.rates(caller)
    assert (rates.holder, rates.requests_per_minute) == (f"key:{key.id}", 5)
    registry.change_team("ops", lambda _: Terms(tokens_per_minute=7))
    found = caller
    await soon(lambda: len(directory.rates(found)) == 2)
    caller = await directory.identify(token)
    assert caller is not None
    assert caller.models == frozenset({"b", "c"})
    assert [one.tokens_per_minute for one in directory.rates(caller)] == [None, 7]


async def test_a_key_that_changed_its_team_has_the_new_ones_bounds(
    registry: Registry, directory: Directory
) -> None:
    """A request that came before goes on with the old one's, and teaches the next none of them."""
    for team in ("old", "new"):
        registry.create_team(team, Terms(requests_per_minute=len(team)))
        registry.set_budget(f"team:{team}", "day", 1.0)
    key, token = registry.create("alice", team="old")
    before = await directory.identify(token)
    assert before is not None
    registry.change("alice", lambda one: structs.replace(one, team="new"))
    _, other = registry.create("bob")
    assert await directory.identify(other) is not None  # so it has looked
    after = await directory.identify(token)
    assert after is not None
    for caller in (before, after):
        holder = f"team:{caller.team}"
        assert [one.holder for one in directory.budgets(caller)] == [holder]
        assert [one.holder for one in directory.rates(caller)] == [holder]
    assert (before.team, after.team) == ("old", "new")
    assert after.key == key.id


async def test_budgets_are_found_key_first(registry: Registry, directory: Directory) -> None:
    registry.create_team("ops", Terms())
    key, token = registry.create("alice", team="ops")
    registry.set_budget("team:ops", "day", 3.0)
    registry.set_budget("key:alice", "total", 2.0)
    registry.set_budget("key:alice", "month", 1.0)
    registry.set_budget("model:gpt", "day", 1.0)
    caller = await directory.identify(token)
    assert caller is not None
    found = [(one.holder, one.period) for one in directory.budgets(caller)]
    mine = f"key:{key.id}"
    assert found == [(mine, "month"), (mine, "total"), ("team:ops", "day")]
    assert list(directory.models) == ["gpt"]
    registry.set_budget("key:alice", "total", None)
    await soon(lambda: len(directory.budgets(caller)) == 2)


async def test_keys_go_on_without_the_database_for_a_while(
    registry: Registry, directory: Directory, database: Vanishing, clock: Clock
) -> None:
    _, token = registry.create("alice")
    assert await directory.identify(token) is not None
    database.there = False
    assert await directory.identify(token) is not None
    with pytest.raises(StoreError, match="this key cannot be checked"):
        await directory.identify("emf_unknown")
    clock.ahead = 59.0
    assert await directory.identify(token) is not None
    clock.ahead = 61.0
    with pytest.raises(StoreError, match="have not answered for 60 s"):
        await directory.identify(token)
    database.there = True
    await asyncio.sleep(0.8)
    assert await directory.identify(token) is not None
    assert await directory.identify("emf_unknown") is None


async def test_an_unknown_key_does_not_wait_for_a_database_that_hangs(
    registry: Registry, database: Vanishing
) -> None:
    _, token = registry.create("alice")
    line = Line(database)
    one = Directory(line, look_s=0.2)
    await one.begin()
    begun, over = threading.Event(), threading.Event()

    def hang(_: Connection) -> None:
        begun.set()
        assert over.wait(60)

    blocked = asyncio.ensure_future(line.ask(hang))
    await soon(begun.is_set)
    with pytest.raises(StoreError, match=r"did not answer for 0\.2 s"):
        await one.identify("emf_unknown")
    assert await one.identify(token) is not None
    over.set()
    await blocked
    await one.aclose()
    await line.aclose()


async def test_a_flood_of_unknown_keys_asks_the_database_seldom(
    registry: Registry, directory: Directory, database: Vanishing
) -> None:
    await directory.identify("emf_x")
    before, began = database.asked, time.monotonic()
    found = await asyncio.gather(*(directory.identify(f"emf_{n}") for n in range(2000)))
    assert set(found) == {None}
    assert database.asked - before <= 4 + (time.monotonic() - began) / 0.05


def test_a_token_is_split_into_equal_work() -> None:
    """Whatever is sent, a secret of one length is hashed with a salt of one length."""
    token = tokens.join(tokens.new_id(), tokens.new_secret())
    assert len(token) == tokens.LENGTH
    for sent in (token, "", "x" * 10_000, token[:-1], "é" * 81, token[:-1] + "é"):
        assert len(tokens.split(sent)[1]) == tokens.SECRET_LENGTH
    assert len(tokens.NOTHING.salt) == len(tokens.digest("s").salt)
    assert len(tokens.NOTHING.value) == len(tokens.digest("s").value)


async def test_every_refusal_takes_as_long_to_find(
    registry: Registry, directory: Directory
) -> None:
    """An unknown id, a wrong secret and a revoked key: medians within each other's half."""
    _, token = registry.create("alice")
    _, gone = registry.create("bob")
    registry.revoke("bob")
    assert await directory.identify(token) is not None
    wrong = {
        "secret": token[:-64] + "0" * 64,
        "id": "emf_aaaaaaaaaaaa_" + "0" * 64,
        "revoked": gone,
        "shape": "0" * tokens.LENGTH,
    }
    took: dict[str, list[int]] = {name: [] for name in wrong}
    for _ in range(3000):
        for name, sent in wrong.items():
            began = time.perf_counter_ns()
            directory._check(sent)
            took[name].append(time.perf_counter_ns() - began)
    medians = [statistics.median(times) for times in took.values()]
    assert max(medians) < 1.5 * min(medians)
