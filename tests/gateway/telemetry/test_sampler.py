"""What is looked at beside requests, and what becomes of counts when that ends."""

from __future__ import annotations

import asyncio

from emafusion.gateway.telemetry.observations import GONE, Observation
from emafusion.gateway.telemetry.sampler import Sampler

from .test_metrics import figures, fresh

GONE_REQUESTS = f"emafusion_requests_total////v1/models/{GONE}"


async def test_a_server_that_ends_in_good_order_loses_no_count() -> None:
    metrics = fresh()

    def hung_up() -> None:
        seen = Observation("/v1/models", {"method": "GET", "state": {}})
        metrics.began(seen)
        seen.end()
        metrics.ended(seen)

    async with Sampler(metrics).running(every_s=600.0):
        hung_up()
    assert figures(metrics.exposition().decode())[GONE_REQUESTS] == 1
    # One that the drain has cancelled may end after that.
    hung_up()
    assert figures(metrics.exposition().decode())[GONE_REQUESTS] == 2


async def test_valkey_is_asked_again_and_again_where_one_is_used() -> None:
    metrics = fresh()
    well = [False, True]
    asked = asyncio.Event()

    async def answers() -> bool:
        if len(well) == 1:
            asked.set()
            return well[0]
        return well.pop()

    sampler = Sampler(metrics)
    sampler.valkey = answers
    async with sampler.running(every_s=0.001):
        await asked.wait()
        await asyncio.sleep(0)
    assert figures(metrics.exposition().decode())["emafusion_valkey"] == 0
