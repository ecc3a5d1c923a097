"""Rates, cached answers, a full house, and conversations that stay where they are cheap."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

from ..parts import Reply
from .conftest import settings
from .house import House, body, decision, opened
from .vendor import Vendor

LONG = "word " * 1500
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "note", "parameters": {"type": "object"}}}
]


def test_a_key_keeps_its_rate(house: House) -> None:
    key = house.key("hasty", "--requests-per-minute 3")
    said = [house.ask(key, "small", text=f"Number {n}") for n in range(4)]
    assert [one.status for one in said] == [200, 200, 200, 429]
    assert said[0].headers["x-ratelimit-remaining-requests"] == "2"
    assert 0 < float(said[3].headers["retry-after"]) <= 20
    assert said[3].error["code"] == "rate_limit_exceeded"
    streamed = house.ask(key, "small", text="Number 5", stream=True)
    assert streamed.status == 429


def test_a_teams_tokens_are_shared_by_its_keys(house: House) -> None:
    house.cli("teams create wordy --tokens-per-minute 1000")
    one, other = house.key("first", "--team wordy"), house.key("second", "--team wordy")
    assert house.ask(one, "small", text="word " * 700, max_tokens=100).status == 200
    assert house.ask(other, "small", text="word " * 700, max_tokens=100).status == 429


def test_answers_are_given_again_to_their_tenant_alone(house: House, supplier: Vendor) -> None:
    house.cli("teams create red")
    one, mate = house.key("red-1", "--team red"), house.key("red-2", "--team red")
    other = house.key("green")
    calls = supplier.calls["north"]
    question = "What is the capital of France?"
    first = house.ask(one, "north", text=question)
    exact = house.ask(mate, "north", text=question)
    similar = house.ask(one, "north", text="what's the capital of france")
    streamed = house.ask(one, "north", text=question, stream=True)
    assert [each.headers["x-emafusion-cache"] for each in (first, exact, similar, streamed)] == [
        "miss",
        "hit",
        "similar",
        "hit",
    ]
    assert exact.json["emafusion"]["cost_usd"] == 0.0
    assert exact.headers["x-emafusion-cached-decision"] == decision(first)
    assert supplier.calls["north"] == calls + 1
    elsewhere = house.ask(other, "north", text="what's the capital of france")
    assert elsewhere.headers["x-emafusion-cache"] == "miss"
    unwanted = house.ask(one, "north", text=question, headers={"cache_control": "no-store"})
    assert "x-emafusion-cache" not in unwanted.headers
    assert supplier.calls["north"] == calls + 3


def test_a_full_house_turns_away_at_once_and_goes_on(supplier: Vendor, tmp_path: Path) -> None:
    more = '[gateway]\naccounts = "FOLDER/accounts.db"\nplaces = 8\ndrain_s = 1\n'
    supplier.pause_s = 0.3
    try:
        with opened(tmp_path, settings(supplier, more)) as house:
            keys = house.key("crowd"), house.key("neighbour")
            counts, neighbour_s = asyncio.run(_crowd(house, *keys))
            assert counts[503] > 50
            assert set(counts) <= {200, 503}
            # Two of the eight places are no tenant's alone.
            assert neighbour_s < 60.0
            assert house.get("/healthz").status == 200
    finally:
        supplier.pause_s = 0.0


async def _crowd(house: House, key: str, neighbour: str) -> tuple[Counter[int], float]:
    """What came of 400 requests at once, and how long a neighbour's took."""
    url = f"{house.url}/v1/chat/completions"

    async def ask(token: str) -> int:
        named = {"authorization": f"Bearer {token}"}
        async with session.post(url, json=body("small"), headers=named) as response:
            await response.read()
            if response.status == 503:
                assert float(response.headers["retry-after"]) >= 1
            return response.status

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        crowd = [asyncio.create_task(ask(key)) for _ in range(400)]
        async with asyncio.timeout(60):
            while sum(task.done() for task in crowd) <= 60:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        began = time.monotonic()
        while await ask(neighbour) != 200:  # noqa: ASYNC110 - as a client does
            await asyncio.sleep(0.1)
        took_s = time.monotonic() - began
        counts = Counter(task.result() for task in crowd if task.done())
        for task in crowd:
            task.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
    return counts, took_s


def test_a_long_conversation_stays_while_that_is_cheaper(house: House, supplier: Vendor) -> None:
    """South's list price is higher, but it has the conversation in its cache."""
    key = house.key("talker")
    turns: list[Any] = [{"role": "user", "content": LONG}]
    both = {"models": ["north", "south"], "arrangement": "single", "prefer": 0.0}
    fresh = house.ask(key, messages=turns, knobs=both)
    assert fresh.json["model"] == "north"

    def turn(session: str, knobs: Any) -> Reply:
        headers = {"x_emafusion_session": session}
        said = house.ask(key, messages=turns, knobs=knobs, headers=headers)
        turns.append(said.json["choices"][0]["message"])
        turns.append({"role": "user", "content": "Go on."})
        return said

    turn("mine", {**both, "models": ["south"]})
    later = [turn("mine", both) for _ in range(3)]
    assert [one.json["model"] for one in later] == ["south"] * 3
    first, last = house.outcome(fresh), house.outcome(later[-1])
    costs = {one.model: one.cost_usd for one in last.forecast.estimates}
    usual = {one.model: one.cost_usd for one in first.forecast.estimates}
    assert costs["south"] < costs["north"]
    assert usual["south"] > usual["north"]
    assert last.cost_usd < first.cost_usd
    assert turn("another", both).json["model"] == "north"
    cheaper = {**both, "models": ["north", "south", "weak"]}
    assert turn("mine", cheaper).json["model"] == "weak"


def test_tool_results_go_back_to_who_asked_for_them(house: House) -> None:
    key = house.key("agent")
    turns: list[Any] = [{"role": "user", "content": "Take a note, please."}]
    both = {"models": ["north", "south"], "prefer": 0.0}
    named = {**both, "models": ["south"]}
    called = house.ask(key, messages=turns, tools=TOOLS, knobs=named).json
    assert called["choices"][0]["finish_reason"] == "tool_calls"
    turns.append(called["choices"][0]["message"])
    turns.append({"role": "tool", "tool_call_id": "call_1", "content": "noted"})
    told = house.ask(key, messages=turns, tools=TOOLS, knobs=both).json
    assert told["model"] == "south"
    turns.append({"role": "assistant", "content": "I have taken a note."})
    turns.append({"role": "user", "content": "Take another note."})
    assert house.ask(key, messages=turns, tools=TOOLS, knobs=both).json["model"] == "north"
