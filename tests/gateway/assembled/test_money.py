"""What is on record, on the budgets and in the metrics is one sum, to the billionth of a dollar."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ..parts import until
from .conftest import PRICES
from .house import House, nano
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
