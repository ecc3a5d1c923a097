"""Values out of JSON and back: what they mean, written as JSON where JSON is."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.protect.bare import Numbers
from emafusion.protect.forms import spoken
from emafusion.protect.meanings import meanings
from emafusion.protect.nested import Unescaped
from emafusion.protect.placeholders import ANY, Mint
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Protected, Shield
from emafusion.protect.structured import Structured
from emafusion.protect.vault import Unmasking, Vault
from emafusion.types import Request
from growth import LINEAR, growth

MINT = Mint(b"a secret of sixteen bytes")
PASSWORD = 'Tr0"ub4\\dor9'
PHONE = 14155552671


async def read(content: str, **params: Any) -> Protected:
    asked = Request(id="d", messages=({"role": "tool", "content": content},), params=params)
    return await Shield(MINT, [Structured()], rules=Rules()).protect(asked)


def placeholder(found: Protected) -> str:
    one = ANY.search(str(found.request.messages[0]["content"]))
    assert one is not None
    return one[0]


def everyway(vault: Vault, said: str, *, in_json: bool = False) -> str:
    """`said` as its caller reads it, and that at every cut."""
    whole = vault.unmask(said, in_json=in_json)
    for cut in range(len(said) + 1):
        stream = Unmasking(vault, in_json=in_json)
        assert stream.feed(said[:cut]) + stream.feed(said[cut:]) + stream.end() == whole, cut
    stream = Unmasking(vault, in_json=in_json)
    assert "".join(map(stream.feed, said)) + stream.end() == whole
    return whole


@pytest.mark.parametrize("deep", [0, 1, 2])
@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"password": PASSWORD}, PASSWORD),
        ({"password": "S3cr3t\\x9!"}, "S3cr3t\\x9!"),
        ({"address": "221 Baker Street\nLondon NW1 6XE"}, "221 Baker Street\nLondon NW1 6XE"),
        ({"note": 'say "hi" to jané@harbour.example'}, "jané@harbour.example"),
    ],
)
async def test_what_comes_out_of_json_goes_back_as_what_it_means(
    given: object, value: str, deep: int
) -> None:
    text = json.dumps(given)
    for _ in range(deep):
        text = json.dumps({"result": text})
    found = await read(text)
    said = placeholder(found)
    assert everyway(found.vault, f"It is {said}.") == f"It is {value}."
    for body in (said, [f"x {said}"], ["y", said], {"a b": said}):
        answer: Any = json.dumps(body) if isinstance(body, dict) else json.dumps({"v": body})
        for depth in range(3):
            back = json.loads(everyway(found.vault, answer, in_json=True))
            assert json.loads(everyway(found.vault, answer)) == back
            for _ in range(depth):
                back = json.loads(back["body"])
            assert next(iter(back.values())) in (value, [f"x {value}"], ["y", value])
            answer = json.dumps({"body": answer}, indent=depth)
    echoed = found.vault.unmask(str(found.request.messages[0]["content"]))
    for _ in range(deep):
        echoed = json.loads(echoed)["result"]
    assert json.loads(echoed) == given


async def test_a_field_of_json_among_prose_is_one_both_ways() -> None:
    text = f"The file says:\n{json.dumps({'password': PASSWORD}, indent=1)}\nand no more."
    found = await read(text)
    said = placeholder(found)
    assert found.vault.unmask(said) == PASSWORD
    assert everyway(found.vault, str(found.request.messages[0]["content"])) == text
    assert everyway(found.vault, f'Use "{said}" there') == f'Use "{PASSWORD}" there'


async def test_what_is_no_json_is_as_it_is_written() -> None:
    found = await read(r"password: S3cr3t\x9! and more")
    assert found.vault.unmask(placeholder(found)) == r"S3cr3t\x9!"


async def test_a_value_of_json_is_found_as_what_it_means_elsewhere() -> None:
    asked = Request(
        id="d",
        messages=(
            {"role": "tool", "content": json.dumps({"password": PASSWORD})},
            {"role": "user", "content": f"is {PASSWORD} right?"},
        ),
    )
    found = await Shield(MINT, [Structured()], rules=Rules()).protect(asked)
    assert "ub4" not in str(found.request.messages)


def test_half_a_character_is_left_as_it_is_written() -> None:
    assert meanings('{"a": "x\\ud83d"}', [(7, 14)]) == ["x\\ud83d"]
    assert meanings('{"a": "x\\ud83d\\ude00"}', [(7, 20)]) == ["x\U0001f600"]


@given(st.text(), st.integers(0, 1))
def test_every_place_of_a_string_is_known(text: str, ascii_: int) -> None:
    said = json.dumps(text, ensure_ascii=bool(ascii_))[1:-1]
    found = Unescaped(said)
    assert found.text == text
    places = [found.stood(n) for n in range(len(text) + 1)]
    assert [found.place(one) for one in places] == list(range(len(text) + 1))
    for n, (start, end) in enumerate(pairwise(places)):
        assert json.loads(f'"{said[start:end]}"') == text[n]


FORM = {
    "type": "object",
    "properties": {
        "to": {"type": "string"},
        "all": {"type": "array", "items": {"type": ["string", "null"]}},
        "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "n": {"type": "integer"},
        "any": {},
        "inner": {"type": "object", "properties": {"deep": {"type": "string"}}},
        "both": {"type": "string"},
    },
}
OTHER = {"properties": {"both": {"type": "number"}}}
TOOLS = [{"type": "function", "function": {"name": "sms", "parameters": form}}
         for form in (FORM, OTHER)]  # fmt: skip


def test_which_fields_are_text_is_for_the_forms_to_say() -> None:
    assert spoken({"tools": TOOLS}) == {"to", "all", "either", "deep"}
    assert spoken({"tools": "?", "functions": [None, {"properties": 1}]}) == frozenset()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"to": 0}, True),
        ({"all": [0, 0]}, True),
        ({"all": ["x" * 200, 0, "y" * 200, 0]}, True),
        ({"either": 0, "z": {"deep": 0}}, True),
        ({"n": 0}, False),
        ({"any": [0], "both": 0, "unknown": 0}, False),
    ],
)
async def test_a_number_is_text_where_the_form_says_so(given: dict[str, Any], text: bool) -> None:
    found = await read(json.dumps({"phone": PHONE}), tools=TOOLS)
    said = placeholder(found)

    def filled(value: Any, known: object) -> Any:
        if isinstance(value, dict):
            return {name: filled(one, known) for name, one in value.items()}
        if isinstance(value, list):
            return [filled(one, known) for one in value]
        return known if value == 0 else value

    written = json.dumps(filled(given, said))
    told = json.loads(everyway(found.vault, written, in_json=True))
    assert told == filled(given, str(PHONE) if text else PHONE)


async def test_a_placeholder_whose_brackets_are_coded_comes_back() -> None:
    found = await read("Write to jane.roe@harbour.example, please.")
    said = placeholder(found)
    coded = said.replace("[", "%5B").replace("]", "%5D")
    assert everyway(found.vault, f"https://x.example/?to={coded}&n=1 100%") == (
        "https://x.example/?to=jane.roe%40harbour.example&n=1 100%"
    )
    for slash in ("\\", "\\\\"):
        coded = said.replace("[", f"{slash}u005b").replace("]", f"{slash}u005d")
        assert everyway(found.vault, f"a{coded}b") == "ajane.roe@harbour.exampleb"


def nested(size: int) -> None:
    """Read many values of a text of JSON within another."""
    within = json.dumps([{"a": f'{n}"', "n": n} for n in range(size)])
    text = json.dumps({"r": within, "s": "\\" * size, "t": "[" * size})
    spans = [(place, place + 3) for place in range(10, len(text) - 4, 40)]
    meanings(text, spans)
    Numbers(text)


def test_what_is_within_json_is_read_in_linear_time() -> None:
    assert growth(nested, 1000, 4000) < LINEAR
