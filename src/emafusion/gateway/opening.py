"""Settings in, a gateway out: its exchange with every gate, and what its operators get.

Knows which setting each part is made of. Binds nothing and serves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from emafusion.client import Client
from emafusion.config.load import address, secret
from emafusion.config.settings import Settings
from emafusion.errors import ConfigError, StoreError
from emafusion.gateway.assembly import Choices, Collector, assembled
from emafusion.gateway.entrance import Doors, Entrance
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.operations import Operations
from emafusion.gateway.readiness import Check
from emafusion.gateway.workers import COUNTS
from emafusion.providers.outgoing import HEADERS


def opened(
    settings: Settings,
    client: Client,
    *,
    make: Callable[[], Client] | None = None,
    environment: Mapping[str, str] | None = None,
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
        Where a worker's parent says where workers share their counts.

    Raises
    ------
    ConfigError, MissingExtraError
        A setting cannot be met.
    """
    serving: list[Exchange] = []
    entrance = Entrance(_doors(settings), lambda: serving[0].client if serving else client)
    exchange = Exchange(client, entrance.gates)
    serving.append(exchange)
    counts = (environment or {}).get(COUNTS)
    operations = assembled(
        exchange,
        _choices(settings),
        make=make,
        folder=None if counts is None else Path(counts),
        checks=_checks(entrance),
        outgoing=HEADERS,
    )
    return exchange, replace(operations, keeper=entrance)


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


def _checks(entrance: Entrance) -> Mapping[str, Check]:
    """What must be in order beside the record and the models: the keys, where there are any."""
    accounts = entrance.accounts
    if accounts is None:
        return {}

    async def check() -> None:
        if accounts.trouble is not None:
            raise StoreError(accounts.trouble)

    return {"accounts": check}
