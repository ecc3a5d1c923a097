"""Settings in, a gateway out: its exchange with every gate, and what its operators get.

Knows which setting each part is made of. Binds nothing and serves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from msgspec import structs

from emafusion.client import Client
from emafusion.config.load import address, secret
from emafusion.config.settings import GatewaySettings, Settings, TelemetrySettings
from emafusion.errors import ConfigError, StoreError, UnavailableError
from emafusion.gateway.assembly import Choices, Collector, assembled
from emafusion.gateway.entrance import Doors, Entrance
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.notes import FileNotes, Notes, ValkeyNotes
from emafusion.gateway.operations import Operations
from emafusion.gateway.readiness import Check
from emafusion.gateway.valkey import Link
from emafusion.gateway.workers import COUNTS
from emafusion.providers.outgoing import HEADERS

AT_RESTART = {
    "gateway": tuple(name for name in GatewaySettings.__struct_fields__ if name != "places"),
    "telemetry": TelemetrySettings.__struct_fields__,
}
"""Settings that a reload does not take up."""


def opened(
    settings: Settings,
    client: Client,
    *,
    make: Callable[[], Client] | None = None,
    environment: Mapping[str, str] | None = None,
    chosen: Callable[[], Settings] | None = None,
) -> tuple[Exchange, Operations]:
    """The exchange that `client` answers through, and its operations.

    Parameters
    ----------
    settings : Settings
        What was configured; `client` is built of it.
    client : Client
        Who answers.
    make : callable, optional
        Builds a client of the settings as they are when it is called: what a reload does.
    environment : mapping, optional
        Where a worker's parent says where workers share their counts, and their notes.
    chosen : callable, optional
        The settings that `make` built its last client of; the gates take them up, too. Where they
        differ from `settings` already, that is what waits for a restart.

    Raises
    ------
    ConfigError, MissingExtraError
        A setting cannot be met.
    """
    serving: list[Exchange] = []
    entrance = Entrance(_doors(settings), lambda: serving[0].client if serving else client)
    counts = (environment or {}).get(COUNTS)
    folder = None if counts is None else Path(counts)
    url = secret(settings.gateway.valkey, "gateway.valkey")
    link = None if url is None else Link(url)
    notes = _notes(link, folder)
    exchange = Exchange(client, entrance.gates, notes=notes, rates=entrance.rates)
    serving.append(exchange)
    operations = assembled(
        exchange,
        _choices(settings),
        make=make,
        folder=folder,
        checks=_checks(entrance, exchange),
        outgoing=HEADERS,
    )
    if operations.sampler is not None and link is not None:
        operations.sampler.valkey = link.answers
        operations.readiness.beside = partial(_beside, link)
    if operations.reload is not None and chosen is not None:
        operations.reload.renew = partial(_renewed, entrance, exchange, began=settings, now=chosen)
        operations.reload.late = _late(chosen(), settings)
    return exchange, structs.replace(operations, keeper=entrance)


def resumed(began: Settings, taken: Settings) -> Settings:
    """What a server that began with `began` serves with once it has taken up `taken`."""
    gateway = structs.replace(began.gateway, places=taken.gateway.places)
    return structs.replace(taken, gateway=gateway, telemetry=began.telemetry)


def _renewed(
    entrance: Entrance, exchange: Exchange, *, began: Settings, now: Callable[[], Settings]
) -> Callable[[], tuple[str, ...]]:
    """What has the gates take up what is chosen now; it tells what only a restart takes up."""
    chosen = now()
    doors = _doors(chosen)

    def take() -> tuple[str, ...]:
        entrance.renew(doors)
        exchange.gates = entrance.gates
        return _late(chosen, began)

    return take


def _late(chosen: Settings, began: Settings) -> tuple[str, ...]:
    """The settings of `chosen` that only a restart takes up where `began` is in effect."""
    return tuple(
        f"{table}.{name}"
        for table, fixed in AT_RESTART.items()
        for name in fixed
        if getattr(getattr(chosen, table), name) != getattr(getattr(began, table), name)
    )


def _doors(settings: Settings) -> Doors:
    chosen = settings.gateway
    return Doors(
        accounts=address(chosen.accounts, "gateway.accounts"),
        valkey=secret(chosen.valkey, "gateway.valkey"),
        places=chosen.places,
        workers=chosen.workers,
        answers=settings.cache.answers,
        ttl_s=settings.cache.ttl_s,
        megabytes=settings.cache.megabytes,
    )


def _beside(link: Link) -> Mapping[str, object]:
    """What ``/readyz`` tells of Valkey, whose absence is no reason to send requests elsewhere."""
    return {"valkey": "ok" if link.well else "it does not answer; each process counts rates alone"}


def _notes(link: Link | None, folder: Path | None) -> Notes | None:
    """Where workers leave notes for one another: in Valkey, else where they share their counts."""
    if link is not None:
        return ValkeyNotes(link)
    # Not named .db: those are counts.
    return None if folder is None else FileNotes(folder / "conversations.sqlite3")


def _choices(settings: Settings) -> Choices:
    chosen, telemetry = settings.gateway, settings.telemetry
    if chosen.baseline is not None and chosen.baseline not in settings.models:
        raise ConfigError(
            f"gateway.baseline is {chosen.baseline!r}, but the configured models are: "
            f"{', '.join(settings.models)}"
        )
    collector = None
    if telemetry.otlp is not None:
        collector = Collector(endpoint=telemetry.otlp, content=telemetry.content)
    return Choices(
        baseline=chosen.baseline,
        log="info" if telemetry.log == "json" else None,
        collector=collector,
        grace_s=chosen.grace_s,
    )


def _checks(entrance: Entrance, exchange: Exchange) -> Mapping[str, Check]:
    """What must be in order beside the record and the models: detectors, and keys if there are."""
    accounts = entrance.accounts

    async def detectors() -> None:
        shield = exchange.client.shield
        if shield is not None and shield.down:
            raise UnavailableError(f"detectors are down: {', '.join(shield.down)}", "")

    async def keys() -> None:
        if accounts is not None and accounts.trouble is not None:
            raise StoreError(accounts.trouble)

    return {"detectors": detectors} | ({} if accounts is None else {"accounts": keys})
