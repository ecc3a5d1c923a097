"""The pages for operators know every metric and every check there is."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from starlette.requests import Request

from emafusion.config.settings import GatewaySettings, Settings
from emafusion.gateway.opening import opened

from ..parts import Script, client_of
from .test_metrics import fresh

DOCS = Path(__file__).parents[3] / "docs"
TELEMETRY = (DOCS / "telemetry.md").read_text()
RUNBOOK = (DOCS / "runbook.md").read_text()


def rows(text: str, title: str) -> set[str]:
    """The words in code of a section's first column."""
    section = text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")]
    return {word for cell in cells for word in re.findall(r"`(\w+)`", cell)}


def test_every_metric_is_documented_and_every_documented_metric_exists() -> None:
    metrics = fresh()
    metrics.valkey(True)
    kinds = {"counter": "_total"}
    told = {f"{one.name}{kinds.get(one.type, '')}" for one in metrics.registry.collect()}
    assert told == {name for name in rows(TELEMETRY, "Metrics") if name.startswith("emafusion_")}


@pytest.fixture
async def checks(tmp_path: Path) -> set[str]:
    """The names of all checks of a server with keys."""
    gateway = GatewaySettings(accounts=str(tmp_path / "accounts.sqlite3"))
    _, operations = opened(Settings(gateway=gateway), client_of({"small": Script()}))
    reply = await operations.readiness.answer(Request({"type": "http"}))
    return set(msgspec.json.decode(reply.body)["checks"])


async def test_every_check_of_readiness_is_explained_and_has_a_remedy(checks: set[str]) -> None:
    assert checks >= {"record", "models", "accounts"}
    assert checks == rows(RUNBOOK, "`/readyz` says 503") - {"checks", "status", "draining"}
    (line,) = [each for each in TELEMETRY.splitlines() if each.startswith("| `checks` |")]
    assert checks <= set(re.findall(r"`(\w+)` \(", line))
