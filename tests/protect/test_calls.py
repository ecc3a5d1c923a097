"""Calls of tools named after a term, on their way out and back, whole and in pieces."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

import pytest

from emafusion.protect.entities import Entity
from emafusion.protect.placeholders import Mint
from emafusion.protect.returning import Returning, returned
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Protected, Shield
from emafusion.protect.vault import Vault
from emafusion.types import Chunk, Completion, Request, Usage

MAIL = 'jane "roe"'
ALLOWED = re.compile(r"[a-zA-Z0-9_-]{1,64}")
NAMES = ("halcyon-search", "halcyon_search", "find_halcyon", "halcyon", "2halcyon_x-halcyon")


class Terms:
    """Finds one term."""

    name = "terms"

    async def detect(self, text: str) -> Sequence[Entity]:
        found = re.finditer("halcyon", text)
        return [Entity(kind="TERM", start=one.start(), end=one.end()) for one in found]


async def protected(request: Request) -> Protected:
    shield = Shield(Mint(b"a secret of sixteen bytes"), [Terms()], rules=Rules())
    return await shield.protect(request)


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_stays_one_that_upstreams_take(name: str) -> None:
    function = {"name": name, "description": f"Asks {name}", "parameters": {"type": "object"}}
    params: dict[str, Any] = {
        "tools": [{"type": "function", "function": function}],
        "tool_choice": {"type": "function", "function": {"name": name}},
        "response_format": {"type": "json_schema", "json_schema": {"name": name, "schema": {}}},
    }
    found = await protected(
        Request(id="d", messages=({"role": "user", "content": "?"},), params=params)
    )
    sent: Any = found.request.params
    called = sent["tools"][0]["function"]["name"]
    assert "halcyon" not in json.dumps(sent)
    assert ALLOWED.fullmatch(called)
    assert sent["tool_choice"]["function"]["name"] == called
    assert sent["response_format"]["json_schema"]["name"] == called
    call = {"id": "c", "type": "function", "function": {"name": called, "arguments": "{}"}}
    whole = returned(Completion(text="", tool_calls=(call,), usage=Usage()), found.vault)
    assert cast(Mapping[str, str], whole.tool_calls[0]["function"])["name"] == name
    piece = streamed(found.vault, {"tool_calls": [{"index": 0, **call}]})
    assert piece[0]["tool_calls"][0]["function"]["name"] == name


def streamed(vault: Vault, *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    """What a caller reads of these pieces, and of what was held back."""
    stream = Returning(vault)
    pieces = [
        stream.of(Chunk(text="", raw={"choices": [{"index": 0, "delta": delta}]}))
        for delta in deltas
    ]
    raws: list[Any] = [piece.raw for piece in (*pieces, *stream.end())]
    return [raw["choices"][0]["delta"] for raw in raws]


def joined(deltas: Sequence[Mapping[str, Any]], kind: str, field: str) -> str:
    """All that a call's `field` is told in pieces."""
    said = []
    for delta in deltas:
        calls = (
            [delta[kind]] if kind in delta else [one[kind] for one in delta.get("tool_calls", ())]
        )
        said += [call.get(field) or "" for call in calls]
    return "".join(said)


@pytest.mark.parametrize(
    ("kind", "field"),
    [("function_call", "arguments"), ("custom", "input"), ("function", "arguments")],
)
def test_a_call_comes_back_however_it_is_cut(kind: str, field: str) -> None:
    vault = Vault(Mint(b"a secret of sixteen bytes"), "s")
    said = json.dumps({"to": vault.put("PERSON", MAIL)})
    whole = vault.unmask(said, in_json=field == "arguments")
    assert "PERSON" not in whole
    for cut in range(len(said) + 1):
        calls = [{field: said[a:b]} for a, b in pairwise((0, cut, len(said)))]
        deltas: list[dict[str, Any]] = [
            {kind: call} if kind == "function_call" else {"tool_calls": [{"index": 0, kind: call}]}
            for call in calls
        ]
        assert joined(streamed(vault, *deltas), kind, field) == whole, cut
        assert joined(streamed(vault, *deltas, {"content": "."}), kind, field) == whole, cut
