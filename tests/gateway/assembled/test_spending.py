"""What ``emafusion spend`` tells of callers without a budget is what the vendor billed them."""

from __future__ import annotations

from typing import Any

from ..parts import until
from .conftest import PRICES
from .house import House, nano
from .vendor import Vendor


def test_whoever_has_no_budget_is_told_what_was_spent(house: House, supplier: Vendor) -> None:
    house.cli("teams create readers")
    key = house.key("reader", "--team readers")
    bills = {name: supplier.bill(name, PRICES[name]) for name in ("small", "large")}
    seen = set(house.outcomes())
    cascade = {"arrangement": "cascade", "models": ["small", "large"]}
    answers = [
        house.ask(key, "small", text="Where does the Rhine rise?"),
        house.ask(key, "small", text="Where does the Elbe rise?", stream=True),
        house.ask(key, knobs=cascade, text="Is nine more than five?"),
        house.ask(key, "small", text="Where does the Rhine rise?"),
    ]
    assert [one.status for one in answers] == [200] * 4
    assert answers[3].headers["x-emafusion-cache"] != "miss"
    found = [one for name, one in house.outcomes().items() if name not in seen]
    recorded = sum(nano(step.cost_usd) for one in found for step in one.steps)
    assert recorded > 0

    def told() -> list[Any]:
        spent = house.cli("spend --by key,team,model --json")["spent"]
        return [one for one in spent if one["name"] == "reader"]

    until(lambda: sum(one["requests"] for one in told()) == len(answers))
    assert {one["team"] for one in told()} == {"readers"}
    assert sum(one["calls"] for one in told()) == sum(len(one.steps) for one in found)
    assert sum(nano(one["spent_usd"]) for one in told()) == recorded
    for one in told():
        name = one["model"]
        assert nano(one["spent_usd"]) == supplier.bill(name, PRICES[name]) - bills[name]
    house.cli("keys revoke reader")
    assert told()
