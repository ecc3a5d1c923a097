"""What one worker heard of a conversation another knows, and no other tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from emafusion.client import Client
from emafusion.config.sessions import SHORTEST, Sessions
from emafusion.config.settings import Settings
from emafusion.gateway.callers import Caller, Passage
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.notes import FileNotes, Notes, ValkeyNotes, key
from emafusion.gateway.opening import _notes, opened
from emafusion.gateway.valkey import Link
from emafusion.types import Request, Usage, replace

from .parts import Now, Script, catalog, client_of
from .valkeys import Server

LONG = "and then? " * SHORTEST
CACHED = Usage(prompt_tokens=2 * SHORTEST, completion_tokens=3)


@pytest.fixture(params=["file", "valkey"])
async def notes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Notes]:
    found: Notes = FileNotes(tmp_path / "notes")
    if request.param == "valkey":
        server: Server = request.getfixturevalue("valkey")
        server.clear()
        found = ValkeyNotes(Link(server.url, timeout_s=1.0))
    yield found
    await found.aclose()


def worker(cached: float | None = 0.1) -> Client:
    models = [replace(one, usd_per_mtok_cached=cached) for one in catalog(["small"])]
    client = client_of({"small": Script(usage=CACHED)}, models=models)
    client.engine.stages = replace(client.engine.stages, dialogues=Sessions(Now()))
    return client


def passage(words: str = LONG, team: str = "a") -> Passage:
    request = Request(
        id="d", messages=({"role": "user", "content": words},), session=f"{team}'s conversation"
    )
    return Passage(request=request, caller=Caller(team=team))


async def known(exchange: Exchange, found: Passage) -> object:
    """What a worker thinks that caches hold of a conversation when its next turn comes."""
    await exchange.recollection.recall(found, exchange.client)
    sessions = exchange.client.engine.stages.dialogues
    assert isinstance(sessions, Sessions)
    return msgspec.json.decode(sessions.told(found.request.session))


async def test_workers_tell_one_another_what_caches_hold(notes: Notes) -> None:
    one, other = Exchange(worker(), notes=notes), Exchange(worker(), notes=notes)
    assert await known(other, passage()) == {}
    await one.answer(passage())
    found = await known(other, passage())
    assert isinstance(found, dict)
    assert found["small"][0] == 2 * SHORTEST  # as the vendor counts
    assert await known(other, passage(team="b")) == {}


async def test_what_no_cache_holds_is_not_told(notes: Notes) -> None:
    for told, client in ((passage("Hi"), worker()), (passage(), worker(cached=None))):
        await Exchange(client, notes=notes).answer(told)
        assert await known(Exchange(worker(), notes=notes), passage()) == {}


async def test_what_cannot_be_read_changes_nothing(notes: Notes) -> None:
    found = passage()
    name = key("session", found.caller.tenant, found.request.session)
    for odd in (b"{", b'{"small": 1}', b"\xff"):
        await notes.put(name, odd, 60.0)
        assert await known(Exchange(worker(), notes=notes), found) == {}


async def test_a_conversation_goes_on_without_valkey(tmp_path: Path) -> None:
    nowhere = ValkeyNotes(Link(f"unix://{tmp_path}/none", timeout_s=0.2))
    exchange = Exchange(worker(), notes=nowhere)
    assert (await exchange.answer(passage())).text == "Paris."
    assert (await known(exchange, passage())) != {}, "this worker heard it itself"
    await nowhere.aclose()


def test_notes_lie_where_workers_find_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTED_VALKEY", "unix:///nowhere.sock")
    alone = msgspec.convert({"gateway": {}}, Settings)
    shared = msgspec.convert({"gateway": {"valkey": "env:TESTED_VALKEY"}}, Settings)
    assert opened(alone, worker())[0].notes is None
    assert isinstance(opened(shared, worker())[0].notes, ValkeyNotes)
    beside = _notes(None, tmp_path)
    assert isinstance(beside, FileNotes)
    assert beside.path.parent == tmp_path
    assert beside.path.suffix != ".db", "those are the workers' counts"
