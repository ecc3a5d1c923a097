"""A value is found wherever it stands: in tables, keys, markup, logs and other languages' prose."""

from __future__ import annotations

import pytest

from corpus import load
from emafusion.protect.structured import Structured

CORPUS = load()
FOUND = Structured().found
VALUES = {
    "EMAIL": "jane@x.example",
    "PHONE": "+44 7700 900123",
    "CARD": "4111111111111111",
    "IBAN": "DE89370400440532013000",
    "ID": "123-45-6789",
    "KEY": "AKIAIOSFODNN7EXAMPLE",
    "IP": "203.0.113.7",
}
AROUND = [
    "it is {} now",
    "x: {}",
    '{{"a":"{}"}}',
    "a,{},b",
    "{},b",
    "a\t{}\tb",
    r"a\n{}\nb",
    r"a\t{}",
    "a: {}\n",
    "A={}",
    "**{}**",
    "_{}_",
    "|{}|",
    "({})",
    "<td>{}</td>",
    "'{}'",
    "{},5",
    "号码{}です",
    "- {}",
    "1.5,{}",
    "('{}',1)",
    "a_{}",
    "`{}`",
    "a;{};b",
    "«{}»",
    "…{}!",
    "x={}&y=1",
    "{}。",
]


def covered(text: str, value: str) -> bool:
    start = text.index(value)
    places = {n for one in FOUND(text) for n in range(one.start, one.end)}
    return all(start + n in places for n, c in enumerate(value) if c.isalnum())


@pytest.mark.parametrize("around", AROUND)
def test_no_neighbour_hides_a_value(around: str) -> None:
    missed = [kind for kind, value in VALUES.items() if not covered(around.format(value), value)]
    assert missed == []


@pytest.mark.parametrize("name", CORPUS.contexts.CONTEXTS)
def test_every_kind_is_found_in_every_context(name: str) -> None:
    texts = [one for one in CORPUS.Maker(4).placed(900) if one.language == name]
    assert {kind for one in texts for kind, _ in one.values} >= {"KEY", "ID", "BIRTH", "PASSPORT"}
    assert [one.text for one in texts if not covered(one.text, one.values[0][1])] == []


def test_what_was_held_out_is_mostly_found_and_hardly_anything_else() -> None:
    maker = CORPUS.Maker(4, held=True)
    asked = [*maker.placed(400), *maker.sensitive(400)]
    assert sum(covered(one.text, one.values[0][1]) for one in asked) >= 0.9 * len(asked)
    clean = [*maker.hard(300), *CORPUS.Maker(4).hard(300)]
    assert sum(bool(FOUND(one.text)) for one in clean) <= 0.03 * len(clean)


def test_json_stays_json_where_a_value_stands_behind_an_escape() -> None:
    text = r'{"t": "mail:\njane@x.example\nH\u00fcgel j\u00fcrgen\u0040x.example"}'
    said = [text[one.start : one.end] for one in FOUND(text)]
    assert set(said) == {"jane@x.example", r"j\u00fcrgen\u0040x.example"}


def test_columns_without_a_kind_are_left_alone() -> None:
    text = "id,total,code\n7,4155552671,123456789\n8,4155552672,987654321"
    assert FOUND(text) == []
    assert len(FOUND(text.replace("total", "phone").replace("code", "ssn"))) == 4


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{ telNo: '22 951 95 03' }", "22 951 95 03"),
        ("name=Jane&cell_phone=%2822%29+824+26+51&send=1", "%2822%29+824+26+51"),
        ("id=7&phone=%2B1+%28646%29+517-4837&send=1", "%2B1+%28646%29+517-4837"),
    ],
)
def test_numbers_in_queries_and_camel_case_are_whole(text: str, value: str) -> None:
    place = text.index(value)
    found = [(one.start, one.end) for one in FOUND(text) if one.kind == "PHONE"]
    assert (place, place + len(value)) in found
