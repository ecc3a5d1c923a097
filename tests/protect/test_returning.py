"""Answers and streams as their caller reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import cast

import pytest

from emafusion.protect.placeholders import Mint
from emafusion.protect.returning import Returning, asks_json
from emafusion.protect.returning import returned as completed
from emafusion.protect.vault import Vault
from emafusion.types import Chunk, Completion, Request, Usage

MAIL, ODD = "jane.roe@harbour.example", 'a "b" \\ c'


def filled() -> tuple[Vault, str, str]:
    vault = Vault(Mint(b"a secret of sixteen bytes"), "s")
    return vault, vault.put("EMAIL", MAIL), vault.put("KEY", ODD)


def chunk(finish: str | None = None, **delta: object) -> Chunk:
    raw = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return Chunk(text=cast(str, delta.get("content") or ""), raw=raw, finish_reason=finish)


def call(arguments: str, index: int = 0, **begin: object) -> list[object]:
    return [{"index": index, "function": {"arguments": arguments, **begin}}]


def told(chunks: Sequence[Chunk], field: str) -> str:
    """All that `chunks` say in `field`."""
    said = []
    for one in chunks:
        for choice in cast(list[Mapping[str, Mapping[str, str]]], (one.raw or {})["choices"]):
            said += [choice["delta"].get(field) or ""]
    return "".join(said)


def arguments(chunks: Sequence[Chunk]) -> list[tuple[int, str]]:
    """The pieces of all tool calls, in the order they came."""
    found = []
    for one in chunks:
        for choice in cast(
            list[dict[str, dict[str, list[dict[str, object]]]]], (one.raw or {})["choices"]
        ):
            for made in choice["delta"].get("tool_calls", ()):
                function = cast(dict[str, str], made["function"])
                found.append((cast(int, made["index"]), function["arguments"]))
    return found


def test_every_cut_of_a_stream_says_the_whole() -> None:
    vault, mail, _ = filled()
    text = f"Write to {mail}."
    for cut in range(len(text) + 1):
        stream = Returning(vault)
        chunks = [stream.of(one) for one in (chunk(content=text[:cut]), chunk(content=text[cut:]))]
        chunks.append(stream.of(chunk("stop")))
        assert told(chunks, "content") == f"Write to {MAIL}."
        assert "".join(one.text for one in chunks) == f"Write to {MAIL}."
        assert not list(stream.end())


def test_arguments_stay_json_at_every_cut() -> None:
    vault, mail, odd = filled()
    whole = json.dumps({"to": mail, "key": odd})
    for cut in range(len(whole) + 1):
        stream = Returning(vault)
        chunks = [
            stream.of(chunk(tool_calls=call(whole[:cut], name="send"))),
            stream.of(chunk(tool_calls=call(whole[cut:]))),
            stream.of(chunk("tool_calls")),
        ]
        said = "".join(piece for _, piece in arguments(chunks))
        assert json.loads(said) == {"to": MAIL, "key": ODD}


def test_what_was_held_back_comes_before_what_follows_it() -> None:
    vault, mail, _ = filled()
    stream = Returning(vault)
    chunks = [
        stream.of(chunk(content=f"see {mail[:-1]}")),
        stream.of(chunk(tool_calls=call(f'"{mail[1:-1]}', 0))),
        stream.of(chunk(tool_calls=call(f'"{mail[1:-1]}', 1))),
        stream.of(chunk(content="[EM")),
        *stream.end(),
    ]
    assert told(chunks, "content") == f"see {MAIL}[EM"
    assert told(chunks[:2], "content") == f"see {MAIL}"
    said = arguments(chunks)
    assert [place for place, _ in said] == sorted(place for place, _ in said)
    assert "".join(piece for place, piece in said if place == 0) == f'"{MAIL}'
    assert "".join(piece for place, piece in said if place == 1) == f'"{MAIL}'


def test_a_stream_of_text_alone_says_all() -> None:
    vault, mail, _ = filled()
    stream = Returning(vault)
    said = [stream.of(Chunk(text=c)).text for c in f"to {mail}"]
    said += [one.text for one in stream.end()]
    assert "".join(said) == f"to {MAIL}"
    assert stream.of(Chunk(text="[", finish_reason="stop")).text == "["


@pytest.mark.parametrize("in_json", [False, True])
def test_a_whole_answer_is_given_its_values_everywhere(in_json: bool) -> None:
    vault, mail, odd = filled()
    text = json.dumps({"k": odd}) if in_json else f"key {odd} of {mail}"
    made = {"id": mail, "function": {"name": "f", "arguments": json.dumps({"k": odd})}}
    raw = {"choices": [{"message": {"content": text, "tool_calls": [made]}}]}
    whole = Completion(text=text, usage=Usage(), tool_calls=(made,), raw=raw)
    found = completed(whole, vault, in_json=in_json)
    assert (json.loads(found.text)["k"] if in_json else found.text) == (
        ODD if in_json else f"key {ODD} of {MAIL}"
    )
    function = cast(dict[str, str], found.tool_calls[0]["function"])
    assert json.loads(function["arguments"]) == {"k": ODD}
    assert found.tool_calls[0]["id"] == mail
    message = cast(list[dict[str, dict[str, object]]], (found.raw or {})["choices"])[0]
    assert message["message"]["content"] == found.text


def test_who_asks_for_json_is_known_by_the_format() -> None:
    asked = Request(id="x", messages=(), params={"response_format": {"type": "json_object"}})
    assert asks_json(asked)
    assert not asks_json(Request(id="x", messages=()))
