"""What an answer's pieces make: one block after another."""

from __future__ import annotations

import pytest

from emafusion.errors import BadResponseError
from emafusion.gateway.pieces import Blocks, Said


def call(place: int, text: str, *, id: str = "", name: str = "") -> Said:
    return Said("call", text, place, id, name)


def told(*pieces: Said) -> list[tuple[str, str]]:
    """What each step does, and what it says; of a call's beginning its identifier."""
    blocks = Blocks("m")
    steps = [*blocks.take(pieces), *blocks.close()]
    said = [step.said.text if step.act == "add" else step.said.id for step in steps]
    return list(zip([step.act for step in steps], said, strict=True))


def test_calls_under_one_index_are_told_apart_by_their_identifiers() -> None:
    assert told(
        call(0, "{", id="a", name="f"),
        call(0, "}", id="z"),
        call(0, "[", id="b", name="g"),
        call(0, "]"),
        call(1, "", id="c", name="f"),
        call(0, "1", id="d", name="f"),
    ) == [
        ("begin", "a"),
        ("add", "{"),
        ("add", "}"),
        ("end", "a"),
        ("begin", "b"),
        ("add", "["),
        ("add", "]"),
        ("end", "b"),
        ("begin", "c"),
        ("end", "c"),
        ("begin", "d"),
        ("add", "1"),
        ("end", "d"),
    ]


@pytest.mark.parametrize("third", [call(0, "}"), call(0, "}", id="a", name="f")])
def test_pieces_of_two_calls_by_turns_are_no_blocks(third: Said) -> None:
    with pytest.raises(BadResponseError, match="by turns"):
        told(call(0, "{", id="a", name="f"), call(1, "{", id="b", name="f"), third)
