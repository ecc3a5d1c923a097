"""What is on record, on the budgets and in the metrics is one sum, to the billionth of a dollar."""

from __future__ import annotations

import http.client
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from ..parts import until
from .conftest import PRICES
from .house import House, body, nano
from .vendor import Vendor

LONG = "word " * 1500


def test_record_budgets_metrics_and_the_vendors_bill_agree(
    house: House, watcher: str, supplier: Vendor
) -> None:
    house.cli("teams create payers")
    key = house.key("payer", "--team payers")
    for holder in ("team:payers", "key:payer", "model:south"):
        house.cli(f"budget set {holder} 1 --per total")
    house.refresh()
    before = _spent(house, watcher)
    south = supplier.bill("south", PRICES["south"])
    seen = set(house.outcomes())

    turns = [{"role": "user", "content": LONG}]
    for _ in range(3):  # the vendor has the second and third turn's beginning in its cache
        told = house.ask(key, "south", messages=turns).json
        turns += [told["choices"][0]["message"], {"role": "user", "content": "Go on."}]
    fusion = {"arrangement": "fusion", "models": ["small", "large", "north"], "prefer": 1.0}
    asked = [
        house.ask(key, knobs=fusion, text="Which is it, one or two?"),
        house.ask(key, knobs={"arrangement": "cascade"}, text="What is seven times six?"),
        house.ask(key, "small", text="Who wrote Faust?", stream=True),
        house.ask(key, "small", text="Tell me who wrote Faust?"),
        house.ask(key, "wrong-json"),
        house.ask(key, "close-midway", stream=True),
    ]
    assert [one.status for one in asked[:4]] == [200] * 4
    assert asked[3].headers["x-emafusion-cache"] == "similar"

    found = [one for name, one in house.outcomes().items() if name not in seen]
    recorded = sum(nano(one.cost_usd) for one in found)
    assert sum(step.usage.cached_tokens for one in found for step in one.steps) > 3000
    assert max(len(one.steps) for one in found) > 1
    assert sum(one.cost_usd == 0.0 and one.cached != "" for one in found) == 1
    until(lambda: house.spent("team:payers") == (recorded, 0))
    held = house.cli("keys show payer --json")["budgets"]
    assert [nano(one["spent_usd"]) for one in held] == [recorded]
    assert nano(_spent(house, watcher) - before) == recorded
    assert house.spent("model:south")[0] == supplier.bill("south", PRICES["south"]) - south


def _spent(house: House, watcher: str) -> float:
    return house.counted(watcher, "emafusion_spent_usd_total")


def test_budgets_settle_whatever_an_upstream_does(house: House) -> None:
    key = house.key("unlucky")
    house.cli("budget set key:unlucky 1 --per total")
    house.refresh()
    seen = set(house.outcomes())
    knobs = {"max_latency_s": 1.0}
    models = ["close-midway", "wrong-json", "no-usage", "error-midway", "silent", "slow-stream"]

    def ask(told: tuple[str, bool]) -> Any:
        return house.ask(key, told[0], stream=told[1], knobs=knobs, temperature=1.0)

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(ask, [(model, stream) for model in models for stream in (False, True)]))
    found = [one for name, one in house.outcomes().items() if name not in seen]
    assert len(found) == 12
    recorded = sum(nano(one.cost_usd) for one in found)
    assert recorded > 0
    identity = house.cli("keys show unlucky --json")["key"]["id"]
    until(lambda: house.spent(f"key:{identity}") == (recorded, 0))
    assert house.ask(key, "small").status == 200


@pytest.mark.parametrize(("model", "stream"), [("slow-stream", True), ("silent", False)])
def test_who_hangs_up_before_the_bill_pays_what_was_reserved(
    house: House, model: str, stream: bool
) -> None:
    """Else a budget would buy any number of answers, each left just before its end."""
    key = house.key(f"hasty-{model}")
    house.cli(f"budget set key:hasty-{model} 1 --per total")
    house.refresh()
    holder = f"key:{house.cli(f'keys show hasty-{model} --json')['key']['id']}"
    asked = body(model, stream=stream, max_tokens=1000, temperature=1.0, text=f"Hm, {model}?")
    link = http.client.HTTPConnection("127.0.0.1", house.port, timeout=30)
    with closing(link):
        link.request(
            "POST",
            "/v1/chat/completions",
            json.dumps(asked),
            {"authorization": f"Bearer {key}"},
        )
        if stream:
            assert b"data: " in link.getresponse().read(6)
        else:
            until(lambda: house.spent(holder)[1] > 0)
        assert link.sock is not None
        link.sock.shutdown(socket.SHUT_RDWR)
    until(lambda: house.spent(holder)[0] > 0 and house.spent(holder)[1] == 0)
    [recorded] = [one for one in house.outcomes().values() if f"Hm, {model}?" in one.prompt]
    assert recorded.cost_usd < 100e-6
    assert house.spent(holder)[0] >= nano(1000 * PRICES["small"][1] / 1e6)


def test_a_budget_does_not_lift_the_settings_own_limit(house: House) -> None:
    """What a request may cost at most is the least of all that was said."""
    key = house.key("capped")
    house.cli("budget set key:capped 5 --per total")
    house.refresh()
    refused = house.ask(key, "large", text=LONG * 4)
    assert refused.status == 402, refused.content
    assert "0.05" in refused.error["message"]


def test_a_models_spent_budget_does_not_widen_the_pool(house: House) -> None:
    key = house.key("pooled")
    house.cli("budget set model:spare 0.000000001 --per total")
    house.refresh()
    assert house.ask(key, "spare", temperature=1.0).status == 200
    until(lambda: house.ask(key, "spare", temperature=1.0).status == 402)
    outcome = house.outcome(house.ask(key, text="Which models may answer this?"))
    considered = {one.model for one in outcome.forecast.estimates}
    assert considered == {"small", "large"}
