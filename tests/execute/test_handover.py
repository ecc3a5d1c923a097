"""What another vendor's model is shown of a turn of tool calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from emafusion.execute import Ledger, Limits
from emafusion.execute.handover import handed_over, identifiers
from emafusion.providers.marks import carried
from emafusion.testing import ScriptedProvider
from emafusion.types import Model, Turn

USER: dict[str, Any] = {"role": "user", "content": "Add what you see"}
SEALED = {"google": {"thought_signature": "sealed"}}


class Clock:
    """Always the same moment."""

    def now(self) -> float:
        return 0.0

    def tick(self) -> float:
        return 0.0


def called(name: str, **more: Any) -> dict[str, Any]:
    """An assistant's message that calls a tool, with all that vendors put in one."""
    function = {"name": "add", "arguments": "{}", "provider_specific_fields": {"seal": "sealed"}}
    call = {"id": name, "type": "function", "function": function, "index": 0}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{**call, "extra_content": SEALED}],
        "reasoning_content": "sealed",
        "reasoning_details": [{"type": "reasoning.encrypted", "data": "sealed"}],
        "thinking_blocks": [{"type": "thinking", "signature": "sealed"}],
        "audio": {"id": "sealed"},
        **more,
    }


def result(name: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": name, "content": "1"}


def read(message: Mapping[str, Any]) -> tuple[str, ...]:
    """The calls that `message` makes or answers."""
    return identifiers(message) or (message["tool_call_id"],)


def test_what_one_vendor_sealed_no_other_is_shown() -> None:
    history = [USER, called("call_one of theirs"), result("call_one of theirs")]
    user, assistant, tool = handed_over(history)
    assert user is USER
    assert "sealed" not in repr(assistant)
    assert assistant.keys() == {"role", "content", "tool_calls"}
    assert assistant["content"] is None
    calls: Any = assistant["tool_calls"]
    [call] = calls
    assert call.keys() == {"id", "type", "function"}
    assert call["function"] == {"name": "add", "arguments": "{}"}
    # The strictest vendor takes nine letters and digits, and results name the calls they are of.
    assert len(call["id"]) == 9
    assert call["id"].isalnum()
    assert tool == {**result(call["id"])}
    assert handed_over(history) == [user, assistant, tool]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("So be it.", "So be it."),
        (None, ""),
        ([{"type": "text", "text": "So "}, {"type": "text", "text": "be it."}], "So be it."),
        ([{"type": "thinking", "thinking": "sealed"}, {"type": "text", "text": "No."}], "No."),
        ([{"type": "reasoning", "text": "sealed"}], ""),
        ([{"type": "refusal", "refusal": "No."}], "No."),
        ([{"type": "text", "text": "Kept.", **carried({"type": "ephemeral"})}], "Kept."),
    ],
)
def test_of_what_was_said_the_words_are_left(content: object, told: str) -> None:
    said = {"role": "assistant", "content": content, "reasoning": "sealed"}
    assert handed_over([said]) == [{"role": "assistant", "content": told}]


def test_older_calls_have_no_identifiers() -> None:
    older = {"role": "assistant", "content": None, "function_call": {"name": "a", "arguments": ""}}
    answer = {"role": "function", "name": "a", "content": "1"}
    assert handed_over([older, answer]) == [older, answer]


def test_a_models_own_calls_stay_as_they_are() -> None:
    theirs = [USER, called("a"), result("a"), {"role": "user", "content": "Be brief."}]
    own = [called("b"), result("b"), called("c"), result("c")]
    found = handed_over([*theirs, *own], after="a")
    assert found[4:] == own
    assert found[:4] == handed_over(theirs)
    assert [read(one) for one in found[4:]] == [("b",), ("b",), ("c",), ("c",)]
    # A history that was cut since has nothing of theirs left.
    assert handed_over(own, after="a") == own


def model(name: str, provider: str) -> Model:
    return Model(
        name=name, provider=provider, upstream=name, usd_per_mtok_in=1.0, usd_per_mtok_out=1.0
    )


async def test_who_is_asked_reads_what_its_vendor_wrote() -> None:
    here, there = ScriptedProvider("x"), ScriptedProvider("y")
    models = [model("caller", "here"), model("sister", "here"), model("other", "there")]
    named = {one.name: one for one in models}
    history = [USER, called("a"), result("a"), called("b"), result("b")]

    async def shown(turn: Turn | None, name: str) -> list[Any]:
        ledger = Ledger(
            named,
            {"here": here, "there": there},
            clock=Clock(),
            limits=Limits(max_cost_usd=1.0),
            turn=turn,
        )
        await ledger.complete(name, history)
        return list((here if name != "other" else there).calls[-1].messages)

    assert await shown(None, "other") == history
    for name in ("caller", "sister"):
        assert await shown(Turn(model="caller"), name) == history
        since = await shown(Turn(model="caller", after="a"), name)
        assert since == handed_over(history, after="a") != history
    for turn in (Turn(model="caller"), Turn(model="caller", after="a"), Turn(model="gone")):
        assert await shown(turn, "other") == handed_over(history)
