"""The machine's clock is set while the server runs: what was promised by the time still holds."""

from __future__ import annotations

import time
from pathlib import Path

from ..parts import until
from .clock import Clock
from .conftest import settings
from .house import House, nano, opened
from .siege import QUESTION
from .test_signals import Asking
from .vendor import Vendor

DAY_S = 86_400
ACCOUNTS = '[gateway]\naccounts = "FOLDER/accounts.db"\n'


def test_a_clock_that_jumps_breaks_nothing(supplier: Vendor, tmp_path: Path) -> None:
    clock = Clock(tmp_path)
    with opened(tmp_path, settings(supplier, ACCOUNTS), **clock.environment) as house:
        key = house.key("ada", "--requests-per-minute 10000")
        poor = house.key("poor")
        cost = _cost(house, key)
        house.cli(f"budget set key:poor {2.5 * cost / 1e9:.9f} --per day")
        house.refresh()
        assert _spend(house, poor) == 2

        for ahead_s, left in ((2 * DAY_S, 2), (-2 * DAY_S, 2), (0, 0), (2 * DAY_S, 0)):
            calls = supplier.calls["slow-stream"]
            stream = Asking(house, key, "slow-stream")
            until(lambda calls=calls: supplier.calls["slow-stream"] > calls)
            clock.set(ahead_s)
            begun = time.monotonic()
            assert stream.events[-1] == "[DONE]"
            assert house.ask(key, "small", temperature=1.0).status == 200
            assert time.monotonic() - begun < 60  # of days that the clock went on or back
            assert house.get("/readyz").status == 200
            # Each day has its own money: one that comes again has spent it already.
            assert _spend(house, poor) == left

        late = house.ask(key, "silent", knobs={"max_latency_s": 0.5})
        assert (late.status, late.error["code"]) == (504, "deadline_exceeded")
        assert "Traceback" not in house.printed


def _cost(house: House, key: str) -> int:
    """What :func:`_spend` spends at once, in billionths of a dollar."""
    reply = house.send("/v1/chat/completions", key, QUESTION)
    return nano(reply.json["emafusion"]["cost_usd"])


def _spend(house: House, key: str) -> int:
    """How many requests a budget still pays for."""
    said = [house.send("/v1/chat/completions", key, QUESTION).status for _ in range(4)]
    assert set(said) <= {200, 402}
    return said.count(200)
