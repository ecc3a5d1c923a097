"""``[record] keep_days``: a serving process deletes what is older."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from emafusion.config import build
from emafusion.config.beat import EVERY_S
from emafusion.config.settings import (
    ModelSettings,
    OpenAIProviderSettings,
    RecordSettings,
    Settings,
)
from emafusion.record import Store
from emafusion.types import Forecast, Labels, Outcome

DAY_S = 86_400.0


def aged(days: float) -> Outcome:
    return Outcome(
        decision_id=f"{days:g}",
        created=time.time() - days * DAY_S,
        prompt="",
        labels=Labels(axes={}, familiarity=1.0),
        forecast=Forecast(estimates=()),
        plan=None,
        steps=(),
        verdicts=(),
        model="m",
        text="",
        confidence=1.0,
        cost_usd=0.0,
        latency_s=0.0,
    )


async def kept(path: Path, keep_days: float | None) -> set[str]:
    """What is left of two decisions once a server has been up for a few beats."""
    store = Store(path)
    for days in (1, 3):
        await store.record(aged(days))
    client = build(
        Settings(
            providers={"p": OpenAIProviderSettings(base_url="http://127.0.0.1:9/v1")},
            models={"m": ModelSettings(provider="p", usd_per_mtok_in=1.0, usd_per_mtok_out=1.0)},
            record=RecordSettings(path=str(path), keep_days=keep_days),
        )
    )
    client.begin()
    await asyncio.sleep(2 * EVERY_S)
    await client.aclose()
    found = {one.decision_id for one in await store.recent(9)}
    await store.aclose()
    return found


async def test_a_server_deletes_what_is_too_old(tmp_path: Path) -> None:
    gone, whole = await asyncio.gather(kept(tmp_path / "a.db", 2), kept(tmp_path / "b.db", None))
    assert gone == {"1"}
    assert whole == {"1", "3"}
