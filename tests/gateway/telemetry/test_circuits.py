"""Circuit breakers as gauges and probes read them."""

from __future__ import annotations

import contextlib

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from emafusion.errors import ProviderError, UnavailableError
from emafusion.gateway.readiness import Readiness, answering
from emafusion.gateway.telemetry.circuits import breakers, queues
from emafusion.gateway.telemetry.traces import Traces
from emafusion.providers.resilience import Resilient, Terms

from ..parts import Script, Scripted, broken, client_of


@pytest.mark.parametrize("traced", [False, True])
async def test_an_open_breaker_is_told_by_its_models_name(traced: bool) -> None:
    scripts = {"small": Script(), "down": Script(failure=broken(UnavailableError))}
    provider = Resilient(Scripted(scripts), terms=Terms(failures=1, open_s=60.0))
    client = client_of(scripts, providers={"scripted": provider})
    if traced:
        Traces(TracerProvider(), MeterProvider()).attach(client.engine)
    async with contextlib.aclosing(client):
        assert breakers(client) == {}
        await client.answer("Hi", models=["small"])
        with pytest.raises(ProviderError):
            await client.answer("Hi", models=["down"])
        assert breakers(client) == {"small": "closed", "down": "open"}
        assert queues(client) == {"scripted": 0.0}
        ready = Readiness({"models": answering(lambda: client, lambda: breakers(client))})
        assert await ready.look()
