"""A conversation in mid-call stays with the model that made the call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emafusion.client import Client
from emafusion.errors import UnavailableError
from emafusion.gateway.callers import Caller, Passage
from emafusion.gateway.exchange import Exchange
from emafusion.gateway.notes import FileNotes
from emafusion.gateway.returns import Returns, open_loop
from emafusion.types import Completion, Request, Turn, Usage, replace

from . import upstreams
from .parts import Script, Scripted, Served, broken, catalog, client_of, served
from .test_events import answer

USER: dict[str, Any] = {"role": "user", "content": "Add what you see"}
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {}}}]
CALLS = tuple(upstreams.CALLS)


@pytest.fixture
def house() -> Iterator[Served]:
    """The dear model calls tools; the cheap one would be asked by a request of its own."""
    with served(client_of(scripts())) as found:
        yield found


def scripts() -> dict[str, Script]:
    return {
        "cheap": Script(text="Cheap."),
        "dear": Script(
            text="", raw=upstreams.TOOL_BODY, chunks=upstreams.TOOL_CHUNKS, tool_calls=CALLS
        ),
    }


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
    # What the user says to the results is said before the model's turn is over ...
    hint = {"role": "user", "content": "Be brief."}
    assert house.ask(chat(*TURN, hint, emafusion=economy)).json["model"] == "dear"
    # ... which ends with its answer: the next question is routed anew.
    end = {"role": "assistant", "content": "2"}
    assert house.ask(chat(*TURN, end, USER, emafusion=economy)).json["model"] == "cheap"
    # Whoever allows other models only is not given this one.
    assert house.ask(chat(*TURN, emafusion={"models": ["cheap"]})).json["model"] == "cheap"


@pytest.mark.parametrize("stream", [False, True])
def test_a_turn_goes_on_elsewhere_where_its_model_is_down(stream: bool) -> None:
    with served(two_vendors()) as house:
        economy: dict[str, Any] = {"prefer": 0.0}
        first = house.ask(chat(emafusion={"models": ["dear"]}, stream=stream))
        assert first.status == 200
        house.script("dear").failure = broken(UnavailableError)
        sealed = [{**call, "extra_content": {"google": {"s": "sealed"}}} for call in CALLS]
        turn = [{**TURN[0], "tool_calls": sealed, "reasoning_details": ["sealed"]}, *RESULTS]
        found = house.ask(chat(*turn, emafusion=economy)).json
        assert found["model"] == "other"
        assert found["emafusion"]["models"] == ["dear", "other"]
        assert "sealed" in str(house.script("dear").calls[-1].messages)
        theirs = house.script("other").calls[-1].messages
        assert "sealed" not in str(theirs)
        # It goes on with what it called itself, and of that nothing is left out.
        own = {"id": "call_c", "type": "function", "extra_content": {"mark": "own"}}
        own["function"] = {"name": "add", "arguments": "{}"}
        more = [{"role": "assistant", "content": None, "tool_calls": [own]}]
        more.append({"role": "tool", "tool_call_id": "call_c", "content": "2"})
        house.script("dear").failure = None
        assert house.ask(chat(*turn, *more, emafusion=economy)).json["model"] == "other"
        assert house.script("other").calls[-1].messages == (*theirs, *more)
        # Who names a model has everything handed on to it.
        named = {**chat(*turn, *more), "model": "other"}
        assert house.ask(named).json["model"] == "other"
        assert "sealed" in str(house.script("other").calls[-1].messages)


def two_vendors() -> Client:
    """The dear model is one vendor's, `other` another's, which calls a tool, too."""
    call = {"id": "call_c", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    raw = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    told = {**scripts(), "other": Script(text="", raw=raw, tool_calls=(call,))}
    dear, other = catalog(["dear", "other"])
    elsewhere = [dear, replace(other, provider="elsewhere")]
    found = client_of(told, models=elsewhere)
    found.engine.providers = {**found.engine.providers, "elsewhere": Scripted(told)}
    return found


def test_who_may_not_see_it_does_not_stand_by() -> None:
    with served(client_of(scripts())) as house:
        assert house.ask(chat(emafusion={"models": ["dear"]})).status == 200
        house.script("dear").failure = broken(UnavailableError)
        alone = {"models": ["dear"], "prefer": 0.0}
        assert house.ask(chat(*TURN, emafusion=alone)).status == 502
        assert house.ask(chat(*TURN, emafusion={"private": True})).status == 400
        assert house.script("cheap").calls == []
        assert house.ask(chat(*TURN, emafusion={"prefer": 0.0})).json["model"] == "cheap"


@pytest.mark.parametrize("beside", [[], [{"type": "text", "text": "Be brief."}]])
def test_anthropics_clients_are_kept_too(house: Served, beside: list[Any]) -> None:
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
        {"role": "user", "content": [*results, *beside]},
    ]
    body["emafusion"] = {"prefer": 0.0}
    second = house.ask({**body, "messages": [USER, *turn]}, path="/v1/messages").json
    assert second["model"] == "dear"


@pytest.mark.parametrize("together", [False, True])
def test_openais_newer_clients_are_kept_too(house: Served, together: bool) -> None:
    tools = [{"type": "function", "name": "add", "parameters": {}}]
    body: dict[str, Any] = {"model": "emafusion", "tools": tools, "input": "Add what you see"}
    first = house.ask({**body, "emafusion": {"models": ["dear"]}}, path="/v1/responses").json
    calls = [item for item in first["output"] if item["type"] == "function_call"]
    results = [
        {"type": "function_call_output", "call_id": call["call_id"], "output": "1"}
        for call in calls
    ]
    body["emafusion"] = {"prefer": 0.0}
    if together:
        thought: Any = {"type": "reasoning", "summary": [], "content": []}
        user = {"role": "user", "content": "Add what you see"}
        body["input"] = [user, thought, calls[0], thought, calls[1], *results]
    else:
        body |= {"previous_response_id": first["id"], "input": results}
    assert house.ask(body, path="/v1/responses").json["model"] == "dear"


def test_another_worker_knows_who_called(tmp_path: Path) -> None:
    shared = [FileNotes(tmp_path / "notes") for _ in range(2)]
    economy = {"prefer": 0.0, "models": ["cheap", "dear"]}
    with (
        served(Exchange(client_of(scripts()), notes=shared[0])) as one,
        served(Exchange(client_of(scripts()), notes=shared[1])) as other,
    ):
        assert other.ask(chat(*TURN, emafusion=economy)).json["model"] == "cheap"
        one.ask(chat(stream=True, emafusion={"models": ["dear"]}))
        assert other.ask(chat(*TURN, emafusion=economy)).json["model"] == "dear"


def test_notes_that_cannot_be_read_fail_no_request(tmp_path: Path) -> None:
    broken = FileNotes(tmp_path)  # a folder is no file
    with served(Exchange(client_of(scripts()), notes=broken)) as house:
        economy = {"prefer": 0.0, "models": ["cheap", "dear"]}
        assert house.ask(chat(emafusion={"models": ["dear"]})).status == 200
        # What this process heard itself it knows all the same.
        assert house.ask(chat(*TURN, emafusion=economy)).json["model"] == "dear"


def passage(*messages: Any, team: str = "a") -> Passage:
    request = Request(id="dec_1", messages=(USER, *messages))
    return Passage(request=request, caller=Caller(key="k", team=team))


def model(returns: Returns, found: Passage) -> str | None:
    loop = open_loop(found.request.messages)
    turn = None if loop is None else returns.turn(found, loop)
    return None if turn is None else turn.model


async def test_another_tenant_or_question_is_not_taken_for_it(tmp_path: Path) -> None:
    notes = FileNotes(tmp_path / "notes")
    returns, remote = Returns(notes), Returns(notes)
    made = answer(Completion(text="", usage=Usage(), tool_calls=CALLS))
    await returns.note(passage(), made, after="call_z")
    loop = open_loop((USER, *TURN))
    assert loop is not None
    assert model(returns, passage(*TURN)) == "small"
    assert await remote.told(passage(*TURN), loop) == Turn(model="small", after="call_z")
    assert model(returns, passage(*TURN, team="b")) is None
    assert await remote.told(passage(*TURN, team="b"), loop) is None
    other = passage(*TURN)
    other.request = replace(other.request, messages=({**USER, "content": "Else"}, *TURN))
    assert model(returns, other) is None
    assert model(returns, passage(TURN[0])) is None
    assert model(returns, passage({"role": "assistant", "content": "x"}, RESULTS[0])) is None
    await notes.aclose()


def test_a_loop_is_open_until_the_model_answers() -> None:
    again = {"role": "assistant", "tool_calls": [{**CALLS[0], "id": "call_c"}]}
    result = {"role": "tool", "tool_call_id": "call_c", "content": "2"}
    hint = {"role": "user", "content": "Be brief."}
    second = open_loop((USER, *TURN, hint, again, result))
    assert second is not None
    assert (second.asked, second.calls) == ("Be brief.", ("call_c",))
    assert open_loop((USER, *TURN, again)) is None
    assert open_loop((USER, again, hint)) is None
    assert open_loop(()) is None


async def test_the_memory_is_bounded_and_keeps_the_latest() -> None:
    returns = Returns(limit=2)
    for name in ("a", "b", "a", "c"):
        calls = ({**CALLS[0], "id": name},)
        await returns.note(passage(), answer(Completion(text="", usage=Usage(), tool_calls=calls)))
    known = {
        name: model(
            returns,
            passage(
                {"role": "assistant", "tool_calls": [{**CALLS[0], "id": name}]},
                {"role": "tool", "tool_call_id": name, "content": "1"},
            ),
        )
        for name in ("a", "b", "c")
    }
    assert known == {"a": "small", "b": None, "c": "small"}
