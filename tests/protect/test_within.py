"""Values back into answers and arguments: escaped as often as the strings they are in ask for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.protect.placeholders import Mint
from emafusion.protect.rules import Rules
from emafusion.protect.shield import Protected, Shield
from emafusion.protect.structured import Structured
from emafusion.protect.vault import Unmasking, Vault
from emafusion.protect.within import Within
from emafusion.types import Request
from growth import LINEAR, growth

VALUE = 'Tr0"ub4d\\or9\n2'
VAULT = Vault(Mint(b"a secret of sixteen bytes"), "s")
HELD = VAULT.put("KEY", VALUE)
NUMBER = VAULT.put_number("PHONE", "14155552671")


def back(said: str, *, in_json: bool = False) -> str:
    """`said` as its caller reads it, whole and character by character."""
    whole = VAULT.unmask(said, in_json=in_json)
    stream = Unmasking(VAULT, in_json=in_json)
    assert "".join(map(stream.feed, said)) + stream.end() == whole
    for cut in range(0, len(said), 7):
        stream = Unmasking(VAULT, in_json=in_json)
        assert stream.feed(said[:cut]) + stream.feed(said[cut:]) + stream.end() == whole, cut
    return whole


SHAPES: list[Any] = [
    [["a", HELD]], [1, HELD], [None, HELD], [-1.5e3, True, HELD], [[], {}, HELD], {"a": HELD},
    {"a": [HELD, f"x {HELD}"]}, {"letter": f"Dear Sir, at {HELD}"}, {"a": [1, {"b": HELD}], "c": 2},
    {"a": f'say "x" {HELD}', "b": f"{{{HELD}"}, ["{", "]", HELD], {"a": "\\", "b": HELD},
    {"a": 'x": ', "b": HELD}, {"a\\": HELD},
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ("", ""),
        ("Here:\n```json\n", "\n```\nThat is it."),
        ("Lines:\n", "\n"),
        ("As (`", "`), see [1] or {x}."),
        ('[1]: "x" and \'y [z]: ', " [a"),
        ('{"a": 1}\n', '\n{"b": "c"}'),
    ],
)
def test_what_is_json_in_an_answer_stays_json(
    shape: Any, indent: int | None, before: str, behind: str
) -> None:
    said = json.dumps(shape, indent=indent)
    told = back(before + said + behind)
    assert told.startswith(before)
    assert told.endswith(behind)
    found = told[len(before) : len(told) - len(behind)]
    assert json.loads(found) == filled(shape)


def filled(shape: Any) -> Any:
    if isinstance(shape, dict):
        return {name: filled(one) for name, one in shape.items()}
    if isinstance(shape, list):
        return [filled(one) for one in shape]
    return shape.replace(HELD, VALUE) if isinstance(shape, str) else shape


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("ascii_", [False, True])
def test_json_in_arguments_is_escaped_as_deep_as_it_is(shape: Any, ascii_: bool) -> None:
    for before in ("", "# Notes\n```json\n", "please note this sentence. " * 8, 'say "x": '):
        said = before + json.dumps(shape)
        for depth in range(4):
            told: Any = back(said, in_json=True) if depth else back(said)
            for _ in range(depth):
                told = json.loads(told)["body"]
            assert told.startswith(before)
            assert json.loads(told[len(before) :]) == filled(shape)
            said = json.dumps({"n": depth, "body": said})
            # As some write quotes and backslashes.
            said = said.replace('\\"', "\\u0022") if ascii_ else said


@pytest.mark.parametrize(
    "text",
    [
        'He wrote: "use {} now"',
        'The new one, "{}", works',
        'Please print: "{}"',
        'user,pw\n"bob", "{}"',
        'user,pw\n"bob","{}"\n"eve","{}"\n',
        'password: "\n{}',
        'curl -d "{{}}" -p {}',
        'SELECT "a", "b" FROM t WHERE pw = \'{}\'',
        'login --name "bob", --pass {}',
        'Size: 3.5" screen; pw {}',
        '{{"a": 1}}\n\nSo the password is {}',
        '["a"] is the list; {}',
        '[1] "{}" and [EMAIL_x "{}"] {{see "{}"}}',
        'a[0] = "{}"; if (x) {{ say("{}") }}',
        '{{"unclosed\nthen {}',
    ],
)
def test_quotes_in_prose_and_tables_escape_nothing(text: str) -> None:
    said, value = text.format(*[HELD] * 3), text.format(*[VALUE] * 3)
    assert back(said) == value
    for shape in ({"text": said}, {"a": 1, "b": ["x", said]}):
        told = json.loads(back(json.dumps(shape), in_json=True))
        assert told == filled(shape)
        assert json.loads(back(json.dumps({"b": json.dumps(shape)}), in_json=True)) == {
            "b": json.dumps(filled(shape))
        }


def test_a_number_without_quotes_ends_no_json() -> None:
    for said in (f'{{"n": {NUMBER}, "a": "x {HELD}"}}', f'so: [{NUMBER}, "{NUMBER}", "{HELD}"]'):
        told = json.loads(back(said).removeprefix("so: "))
        held = list(told.values()) if isinstance(told, dict) else told
        assert (held[0], held[-1].removeprefix("x ")) == (14155552671, VALUE)


def test_json_whose_quotes_are_escaped_in_a_command_is_escaped_once_more() -> None:
    command = f'curl -d "{{\\"a\\": \\"x {HELD}\\"}}" -H "{HELD}"'
    once, twice = (json.dumps(one)[1:-1] for one in (VALUE, json.dumps(VALUE)[1:-1]))
    assert once != twice
    wanted = f'curl -d "{{\\"a\\": \\"x {twice}\\"}}" -H "{VALUE}"'
    assert back(command) == wanted
    assert json.loads(back(json.dumps({"cmd": command}), in_json=True)) == {"cmd": wanted}


async def read(content: str) -> Protected:
    asked = Request(id="d", messages=({"role": "tool", "content": content},))
    shield = Shield(Mint(b"a secret of sixteen bytes"), [Structured()], rules=Rules())
    return await shield.protect(asked)


@pytest.mark.parametrize(
    "text",
    [
        'Mend this:\n```json\n["x", {"password": "Tr0\\"ub4dor9"}]\n```',
        '{"password": "S3cr3t\\\\x9!"} and so on',
        '> [{}, {"letter": "Dear Sir, I live at 12 High Street\\nLondon SW1A 1AA"}]',
        'x {"a": "{\\"password\\": \\"Tr0\\\\\\"ub4dor9\\"}"}',
    ],
)
async def test_what_is_read_in_json_goes_back_as_it_stood(text: str) -> None:
    for _ in range(2):
        found = await read(text)
        sent = str(found.request.messages[0]["content"])
        assert sent != text
        assert found.vault.unmask(sent) == text
        text = json.dumps({"content": text})


@pytest.mark.parametrize("said", ['"{}"{}"', '"{}"{}', '{}"{}"', '\\"{}\\"{}\\"x', '"{}""{}"'])
def test_a_quote_goes_with_one_number_wherever_a_stream_is_cut(said: str) -> None:
    text = said.format(NUMBER, NUMBER)
    for cut in range(len(text) + 1):
        stream = Unmasking(VAULT)
        told = stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.end()
        assert told == VAULT.unmask(text), cut


TEXTS = st.lists(
    st.sampled_from([*'{}[]":,\\\n nu1x', '{"', '\\"', '": "', "\\u0022", "\\\\", HELD, "[1, "]),
    max_size=30,
).map("".join)


@given(TEXTS, st.booleans(), st.integers(0, 99))
def test_where_a_text_is_cut_says_nothing(text: str, always: bool, cut: int) -> None:
    whole, cuts, each = (Within(always=always) for _ in range(3))
    whole.read(text)
    cuts.read(text[:cut])
    cuts.read(text[cut:])
    for c in text:
        each.read(c)
    probe = ' "a": "\\"b\\": \\"'
    for c in probe:
        assert whole.depth == cuts.depth == each.depth
        for one in (whole, cuts, each):
            one.read(c)


@given(TEXTS, st.booleans())
def test_streams_say_what_the_whole_says(text: str, in_json: bool) -> None:
    back(text, in_json=in_json)


def reading(size: int) -> None:
    """Read what opens much and ends little, in pieces."""
    for said in ('{"a": [', '{\\"', '": "', "\\u005c", "\\", "[", '{"x": "\\"y\\": \\"'):
        text, within = said * size, Within()
        for place in range(0, len(text), 5):
            within.read(text[place : place + 5])
            within.depth  # noqa: B018


def test_a_text_is_read_along_in_linear_time() -> None:
    assert growth(reading, 1000, 4000) < LINEAR


def at_once(size: int) -> None:
    """Read a string whose beginning was not seen, and that has no end."""
    Within().read('INFO {\\"image\\": \\"' + "QUJD" * size)


def test_a_long_string_is_read_in_linear_time() -> None:
    assert growth(at_once, 2500, 10_000) < LINEAR


@pytest.mark.parametrize("word", ["NaN", "-Infinity", "Infinity", "None", "null"])
def test_words_of_numbers_do_not_end_json(word: str) -> None:
    within = Within()
    within.read(f'[{word}, "')
    assert within.depth == 1
