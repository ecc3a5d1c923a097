"""Gates take up other settings with the client, while requests pass them."""

from __future__ import annotations

from emafusion.client import identifier
from emafusion.config.settings import (
    CacheSettings,
    GatewaySettings,
    Settings,
    TelemetrySettings,
)
from emafusion.gateway.callers import Passage
from emafusion.gateway.entrance import Entrance
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.opening import opened, resumed
from emafusion.types import Request

from .parts import Script, client_of


async def cached(exchange: Exchange) -> str | None:
    """What a question's answer says of the cache."""
    message = {"role": "user", "content": "Where is the Louvre?"}
    passage = Passage(request=Request(id=identifier(), messages=(message,)))
    await exchange.answer(passage)
    return passage.reply_headers.get("x-emafusion-cache")


async def test_places_and_caches_follow_a_reload_and_the_rest_is_named() -> None:
    now = [Settings()]
    client = client_of({"small": Script()})
    exchange, operations = opened(
        now[0], client, make=lambda: client_of({"small": Script()}), chosen=lambda: now[0]
    )
    entrance, reload = operations.keeper, operations.reload
    assert isinstance(entrance, Entrance)
    assert reload is not None
    async with reload.running(), entrance.open():
        assert [await cached(exchange) for _ in range(2)] == [None, None]
        now[0] = Settings(
            cache=CacheSettings(answers="exact"), gateway=GatewaySettings(places=7, workers=3)
        )
        assert await reload()
        assert [await cached(exchange) for _ in range(2)] == ["miss", "hit"]
        assert entrance.shedder.places == 7
        assert reload.late == ("gateway.workers",)
        now[0] = Settings(cache=CacheSettings(answers="exact", ttl_s=60.0))
        assert await reload()
        assert await cached(exchange) == "hit", "what was kept is kept still"
        assert entrance.shedder.places == 512
        assert not reload.late
        now[0] = Settings(gateway=GatewaySettings(valkey="env:NOWHERE_SET", places=9))
        serving = exchange.client
        assert not await reload()
        assert exchange.client is serving
        assert entrance.shedder.places == 512
        assert "NOWHERE_SET" in reload.refused
        now[0] = Settings()
        assert await reload()
        assert await cached(exchange) is None
    await exchange.client.aclose()


async def test_who_takes_anothers_place_after_a_reload_begins_with_what_was_in_effect() -> None:
    began = Settings(gateway=GatewaySettings(places=5, accounts="there.sqlite3"))
    taken = Settings(
        cache=CacheSettings(answers="exact"),
        gateway=GatewaySettings(places=7),
        telemetry=TelemetrySettings(log="json"),
    )
    found = resumed(began, taken)
    assert found.gateway == GatewaySettings(places=7, accounts="there.sqlite3")
    assert found.telemetry == began.telemetry
    assert found.cache == taken.cache
    client = client_of({"small": Script()})
    found = resumed(Settings(), taken)
    _, operations = opened(found, client, make=lambda: client, chosen=lambda: taken)
    assert operations.reload is not None
    assert operations.reload.late == ("telemetry.log",)
    await client.aclose()
