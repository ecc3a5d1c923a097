"""Another configuration taken up while serving."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from emafusion import load
from emafusion.client import Client, identifier
from emafusion.errors import ConfigError
from emafusion.gateway.callers import Passage
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.reload import Reload
from emafusion.types import Request

from .parts import Script, Scripted, client_of, until
from .processes import Running


def saying(text: str, wait_s: float = 0.0) -> Client:
    return client_of({"small": Script(text=text, wait_s=wait_s)})


def closed(client: Client) -> bool:
    provider = client.engine.providers["scripted"]
    assert isinstance(provider, Scripted)
    return provider.closed


class Source:
    """What is configured now."""

    def __init__(self, *clients: Client | ConfigError) -> None:
        self.left = list(clients)

    def __call__(self) -> Client:
        found = self.left.pop(0)
        if isinstance(found, ConfigError):
            raise found
        return found


async def test_the_new_client_answers_and_the_old_one_is_closed() -> None:
    old, new = saying("old"), saying("new")
    exchange = Exchange(old)
    told: list[str] = []
    reload = Reload(exchange, Source(new), told=told.append)
    async with reload.running():
        assert await reload()
        assert exchange.client is new
    assert closed(old)
    assert not closed(new)
    assert told == ["taken"]
    await new.aclose()


async def test_what_cannot_be_built_changes_nothing_and_says_why() -> None:
    old, new = saying("old"), saying("new")
    exchange = Exchange(old)
    told: list[str] = []
    why = ConfigError("emafusion.toml: unknown key 'modles'")
    reload = Reload(exchange, Source(why, new), told=told.append)
    async with reload.running():
        assert not await reload()
        assert exchange.client is old
        assert reload.fields()["configuration"] == {
            "loaded": reload.fields()["configuration"]["loaded"],  # type: ignore[index]  # a dict
            "refused": str(why),
        }
        assert await reload()
        assert "refused" not in str(reload.fields())
    assert told == ["refused", "taken"]
    await new.aclose()


async def test_settings_without_end_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "emafusion.toml"
    path.write_text(f"deep = {'[' * 100_000}")
    old = saying("old")
    reload = Reload(Exchange(old), lambda: load(path))
    assert not await reload()
    assert reload.refused == "the settings are nested too deeply"
    await old.aclose()


async def test_gates_are_renewed_after_the_client_and_what_waits_for_a_restart_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exchange = Exchange(saying("old"))
    why = ConfigError("broken")
    reload = Reload(exchange, Source(saying("new"), why, saying("newer")))
    answering: list[Client] = []
    late = ["gateway.workers", "telemetry.otlp"]

    def renew() -> list[str]:
        answering.append(exchange.client)
        return late

    reload.renew = lambda: renew
    with caplog.at_level("INFO", logger="emafusion.gateway"):
        async with reload.running():
            assert await reload()
            assert answering == [exchange.client]
            assert "takes effect at restart: gateway.workers, telemetry.otlp" in caplog.text
            told = reload.fields()["configuration"]
            assert isinstance(told, dict)
            assert told["takes_effect_at_restart"] == late
            assert not await reload()
            assert len(answering) == 1, "what is refused renews nothing"
            late.clear()
            assert await reload()
            assert "takes_effect_at_restart" not in str(reload.fields())
    await exchange.client.aclose()


async def test_gates_that_cannot_be_renewed_leave_everything_as_it_was() -> None:
    old, new, newer = saying("old"), saying("new"), saying("newer")
    exchange = Exchange(old)
    reload = Reload(exchange, Source(new, newer))

    def refuses() -> Callable[[], Sequence[str]]:
        raise ConfigError("gateway.valkey is taken from a variable which is unset")

    reload.renew = refuses
    async with reload.running():
        assert not await reload()
        assert exchange.client is old
        assert closed(new)
        assert "gateway.valkey" in reload.refused
        reload.renew = lambda: tuple
        assert await reload()
        assert exchange.client is newer
    await newer.aclose()


async def test_a_file_is_taken_up_when_it_has_changed_and_rests(tmp_path: Path) -> None:
    file = tmp_path / "emafusion.toml"
    file.write_text("first")
    old, new = saying("old"), saying("new")
    exchange = Exchange(old)
    reload = Reload(exchange, Source(new), look_s=0.02)
    async with reload.running(file):
        await asyncio.sleep(0.1)
        assert exchange.client is old
        # As editors and orchestrators do it: another file in its place.
        other = tmp_path / "other.toml"
        other.write_text("second")
        other.replace(file)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if exchange.client is new:
                break
        assert exchange.client is new
        # What is gone is no configuration.
        file.unlink()
        await asyncio.sleep(0.1)
    await new.aclose()


async def test_requests_under_way_are_finished_by_the_client_they_began_with() -> None:
    old, new = saying("old", wait_s=0.3), saying("new")
    exchange = Exchange(old)
    reload = Reload(exchange, Source(new))
    async with reload.running():
        under_way = asyncio.create_task(exchange.answer(question()))
        await asyncio.sleep(0.1)
        assert await reload()
        assert (await exchange.answer(question())).text == "new"
        assert not closed(old)
        assert (await under_way).text == "old"
    assert closed(old)
    await new.aclose()


async def test_a_client_that_cannot_warm_up_is_closed_and_refused() -> None:
    old, new = saying("old"), saying("new")
    new.engine.providers = {"scripted": Cold({"small": Script()})}
    reload = Reload(Exchange(old), Source(new))
    assert not await reload()
    assert reload.refused == "no such file of weights"
    assert closed(new)
    assert not closed(old)
    await old.aclose()


class Cold(Scripted):
    """A provider that cannot begin."""

    async def warm(self) -> None:
        raise ConfigError("no such file of weights")


def question() -> Passage:
    message = {"role": "user", "content": "Hi"}
    return Passage(request=Request(id=identifier(), messages=(message,)))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    found = Running(tmp_path)
    yield found
    found.kill()


def test_sighup_takes_up_the_configuration_and_drops_no_request(running: Running) -> None:
    asked = []
    for text in ("second", "third"):
        running.answers.write_text(text)
        asked += [running.asking("musing") for _ in range(3)]
        running.signal(signal.SIGHUP)
        until(lambda text=text: running.ask().text == text)
    assert {each.answer.text for each in asked} <= {"first", "second", "third"}
    running.answers.write_text("")
    running.signal(signal.SIGHUP)
    until(lambda: "refused" in running.get("/readyz").json["configuration"])
    reply = running.get("/readyz")
    assert reply.status == 200
    assert "write an answer in it" in reply.json["configuration"]["refused"]
    assert running.ask().text == "third"
    counted = running.get("/metrics").content.decode()
    assert 'emafusion_reloads_total{result="taken"} 2.0' in counted
    assert 'emafusion_reloads_total{result="refused"} 1.0' in counted


def test_sighup_while_starting_is_done_once_it_serves(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    hanging_up = threading.Thread(target=hang_up, args=(starts,))
    hanging_up.start()
    running = Running(tmp_path, starts=str(starts))
    hanging_up.join()
    try:
        taken = 'emafusion_reloads_total{result="taken"} 1.0'
        until(lambda: taken in running.get("/metrics").content.decode())
        assert running.ask().status == 200
    finally:
        running.kill()


def hang_up(starts: Path) -> None:
    """Send SIGHUP to who is about to serve."""
    until(lambda: starts.exists() and starts.read_text().endswith("\n"), within_s=30.0)
    os.kill(int(starts.read_text().split()[0]), signal.SIGHUP)
