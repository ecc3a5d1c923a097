"""A conversation in mid-call stays with the model that made the call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from emafusion.gateway.callers import Caller, Passage
from emafusion.gateway.returns import Returns
from emafusion.types import Completion, Request, Usage, replace

from . import upstreams
from .parts import Script, Served, client_of, served
from .test_events import answer

USER: dict[str, Any] = {"role": "user", "content": "Add what you see"}
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
CALLS = tuple(upstreams.CALLS)


@pytest.fixture
def house() -> Iterator[Served]:
    """The dear model calls tools; the cheap one would be asked by a request of its own."""
    scripts = {
        "cheap": Script(text="Cheap."),
        "dear": Script(
            text="", raw=upstreams.TOOL_BODY, chunks=upstreams.TOOL_CHUNKS, tool_calls=CALLS
        ),
    }
    with served(client_of(scripts)) as found:
        yield found


def chat(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "emafusion", "messages": [USER, *messages], "tools": TOOLS, **fields}


RESULTS = [{"role": "tool", "tool_call_id": call["id"], "content": "1"} for call in CALLS]
TURN = [{"role": "assistant", "content": None, "tool_calls": list(CALLS)}, *RESULTS]


@pytest.mark.parametrize("stream", [False, True])
def test_results_go_to_the_model_that_called(house: Served, stream: bool) -> None:
    economy = {"prefer": 0.0, "models": ["cheap", "dear"]}
    assert house.ask(chat(*TURN, emafusion=economy)).json["model"] == "cheap"
    first = house.ask(chat(stream=stream, emafusion={"models": ["dear"]}))
    assert first.status == 200
    body = house.ask(chat(*TURN, emafusion=economy)).json
    assert body["model"] == "dear"
    # A question that follows the results is routed anew.
    assert house.ask(chat(*TURN, USER, emafusion=economy)).json["model"] == "cheap"
    # Whoever allows other models only is not given this one.
    assert house.ask(chat(*TURN, emafusion={"models": ["cheap"]})).json["model"] == "cheap"


def test_anthropics_clients_are_kept_too(house: Served) -> None:
    tools = [{"name": "add", "input_schema": {}}]
    body: dict[str, Any] = {"model": "emafusion", "max_tokens": 9, "tools": tools}
    body["emafusion"] = {"models": ["dear"]}
    first = house.ask({**body, "messages": [USER]}, path="/v1/messages").json
    results = [
        {"type": "tool_result", "tool_use_id": block["id"], "content": "1"}
        for block in first["content"]
    ]
    turn = [
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": results},
    ]
    body["emafusion"] = {"prefer": 0.0}
    second = house.ask({**body, "messages": [USER, *turn]}, path="/v1/messages").json
    assert second["model"] == "dear"


def passage(*messages: Any, team: str = "a") -> Passage:
    request = Request(id="dec_1", messages=(USER, *messages))
    return Passage(request=request, caller=Caller(key="k", team=team))


def test_another_tenant_or_question_is_not_taken_for_it() -> None:
    returns = Returns()
    made = answer(Completion(text="", usage=Usage(), tool_calls=CALLS))
    returns.note(passage(), made)
    assert returns.model(passage(*TURN)) == "small"
    assert returns.model(passage(*TURN, team="b")) is None
    other = passage(*TURN)
    other.request = replace(other.request, messages=({**USER, "content": "Else"}, *TURN))
    assert returns.model(other) is None
    assert returns.model(passage(TURN[0])) is None
    assert returns.model(passage({"role": "assistant", "content": "x"}, RESULTS[0])) is None


def test_the_memory_is_bounded_and_keeps_the_latest() -> None:
    returns = Returns(limit=2)
    for name in ("a", "b", "a", "c"):
        calls = ({**CALLS[0], "id": name},)
        returns.note(passage(), answer(Completion(text="", usage=Usage(), tool_calls=calls)))
    known = {
        name: returns.model(
            passage(
                {"role": "assistant", "tool_calls": [{**CALLS[0], "id": name}]},
                {"role": "tool", "tool_call_id": name, "content": "1"},
            )
        )
        for name in ("a", "b", "c")
    }
    assert known == {"a": "small", "b": None, "c": "small"}
