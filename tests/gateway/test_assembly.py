"""Everything operators get, as it was chosen."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest

from emafusion.config.settings import GatewaySettings, Settings
from emafusion.errors import ConfigError
from emafusion.gateway import opening
from emafusion.gateway.assembly import Choices, Collector, assembled
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.telemetry.observations import Witness

from .parts import Script, client_of, until
from .telemetry.collecting import Collecting, names_of_spans
from .telemetry.house import asking, opened
from .valkeys import running


@pytest.fixture
def collector() -> Iterator[Collecting]:
    with Collecting() as server:
        yield server


def exchange() -> Exchange:
    return Exchange(client_of({"small": Script()}), (Witness(),))


def test_without_choices_there_are_metrics_and_readiness() -> None:
    found = exchange()
    with opened(found, assembled(found, Choices())) as house:
        assert house.ask(asking(model="small")).status == 200
        reply = house.get("/readyz")
        assert reply.json == {"status": "ready", "checks": {"record": "ok", "models": "ok"}}
        counted = house.get("/metrics").content.decode()
    assert 'emafusion_tokens_total{kind="input",model="small"} 11.0' in counted
    assert "emafusion_ready 1.0" in counted


def test_valkey_that_is_away_is_told_of_and_is_no_reason_to_send_requests_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with running() as server:
        monkeypatch.setenv("SHARED", server.url)
        chosen = Settings(gateway=GatewaySettings(valkey="env:SHARED"))
        found, operations = opening.opened(chosen, client_of({"small": Script()}))
        server.stop()
        with opened(found, operations) as house:
            until(lambda: "emafusion_valkey 0.0" in house.get("/metrics").content.decode())
            reply = house.get("/readyz")
        server.start()
    assert reply.status == 200
    assert reply.json["valkey"].startswith("it does not answer")


def test_what_is_made_anew_is_traced_as_well(collector: Collecting) -> None:
    found = exchange()
    choices = Choices(collector=Collector(endpoint=collector.url))
    operations = assembled(found, choices, make=lambda: client_of({"fresh": Script()}))
    reload = operations.reload
    assert reload is not None
    assert asyncio.run(reload())
    with opened(found, operations) as house:
        assert house.ask(asking(model="fresh")).status == 200
        assert "configuration" in house.get("/readyz").json
    assert {"chat fresh", "plan", "POST /v1/chat/completions"} <= names_of_spans(collector)


def test_what_cannot_be_met_is_refused() -> None:
    with pytest.raises(ConfigError, match="HTTP address"):
        assembled(exchange(), Choices(collector=Collector(endpoint="localhost")))


def test_what_was_not_chosen_is_not_imported() -> None:
    code = (
        "import sys, emafusion.gateway, emafusion.gateway.assembly\n"
        "heavy = {'opentelemetry', 'prometheus_client'}\n"
        "print([name for name in sys.modules if name.split('.')[0] in heavy])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    assert done.stdout.strip() == "[]"
