from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emafusion.answers.structured import Json
from emafusion.errors import DataError
from emafusion.evaluate import Grader
from emafusion.evaluate.graders import types


def mark(type: str, text: str, reference: str, **params: Json) -> float:
    return Grader(type=type, params=params).grade(text, reference)


@pytest.mark.parametrize(
    ("text", "earned"),
    [
        ("42", 1.0),
        ("There are 42 of them.", 1.0),
        ("6 * 7 = 42", 1.0),
        ("**Answer:** 42.0", 1.0),
        ("41", 0.0),
        ("41 or 42", 0.0),
        ("42 or maybe 43", 0.0),
        ("The answer is either 40 or 42.", 0.0),
        ("", 0.0),
        ("I cannot say.", 0.0),
    ],
)
def test_number(text: str, earned: float) -> None:
    assert mark("number", text, "42") == earned


def test_number_tolerances() -> None:
    assert mark("number", "3.14", "3.14159", tolerance=0.01) == 1.0
    assert mark("number", "3.1", "3.14159", tolerance=0.01) == 0.0
    assert mark("number", "1010", "1000", relative=0.01) == 1.0
    assert mark("number", "1011", "1000", relative=0.01) == 0.0
    assert mark("number", "0.3333", "1/3", tolerance=0.001) == 1.0
    assert mark("number", "It is 5.", "5", bare=True) == 0.0
    assert mark("number", "5", "5", bare=True) == 1.0


@pytest.mark.parametrize(
    ("text", "earned"),
    [
        ("B", 1.0),
        ("The answer is (B).", 1.0),
        ("B) Oslo", 1.0),
        ("Oslo", 1.0),
        ("The capital is Oslo.", 1.0),
        ("A", 0.0),
        ("A or B", 0.0),
        ("Both (A) and (B)", 0.0),
        ("Oslo or Rome", 0.0),
        ("Paris", 0.0),
    ],
)
def test_choice(text: str, earned: float) -> None:
    assert mark("choice", text, "B", options={"A": "Rome", "B": "Oslo", "C": "Lima"}) == earned


@pytest.mark.parametrize(
    ("text", "earned"),
    [
        ("Miguel de Cervantes", 1.0),
        ("cervantes", 1.0),
        ("It was written by Cervantes in Spain.", 1.0),
        ("The author is **Miguel de Cervantes**.", 1.0),
        ("Not Cervantes", 0.0),
        ("Cervantes or Shakespeare", 0.0),
        ("Shakespeare, or perhaps Cervantes", 0.0),
        ("Shakespeare", 0.0),
        ("Cervantessson", 0.0),
        ("", 0.0),
    ],
)
def test_exact(text: str, earned: float) -> None:
    assert mark("exact", text, "Miguel de Cervantes", aliases=["Cervantes"]) == earned


def test_an_answer_that_names_a_rival_is_wrong() -> None:
    rivals: list[Json] = ["negative", "neutral"]
    assert mark("exact", "The tone is positive.", "positive", others=rivals) == 1.0
    assert mark("exact", "Both positive and negative", "positive", others=rivals) == 0.0


def test_an_or_elsewhere_does_not_hedge() -> None:
    reply = "A sestina is a poem that repeats a word or phrase at the end of its lines."
    assert mark("exact", reply, "poem") == 1.0


def test_a_long_reply_is_not_searched_for_the_answer() -> None:
    assert mark("exact", "Oslo " + "and then some more words " * 20, "Oslo") == 0.0


@pytest.mark.parametrize(
    ("text", "earned"),
    [
        ("HELLO", 1.0),
        ("`HELLO`", 1.0),
        ("HELLO.", 1.0),
        ('In capitals, "hello" is "HELLO".', 1.0),
        ("hello", 0.0),
        ("HELLO WORLD", 0.0),
    ],
)
def test_sensitive_exact(text: str, earned: float) -> None:
    assert mark("exact", text, "HELLO", sensitive=True) == earned


_ORDER = '{"name": "Ana", "items": ["pens", "mugs"], "total": 12.5, "due": "2024-03-01"}'


@pytest.mark.parametrize(
    ("text", "earned"),
    [
        (_ORDER, 1.0),
        (f"```json\n{_ORDER}\n```", 1.0),
        (f"[{_ORDER}]", 1.0),
        ('{"Name":"ana","items":["pens","mug"],"total":"12.50","due":"1 March 2024","x":0}', 1.0),
        ('{"name":"Ana","items":["mugs","pens"],"total":12.5,"due":"2024-03-01"}', 0.0),
        ('{"name":"Ana","items":["pens"],"total":12.5,"due":"2024-03-01"}', 0.0),
        ('{"name":"Ana","items":["pens","mugs"],"total":12.6,"due":"2024-03-01"}', 0.0),
        ('{"name":"Ana","total":12.5}', 0.0),
        ("Ana, 12.5", 0.0),
    ],
)
def test_json(text: str, earned: float) -> None:
    assert mark("json", text, _ORDER) == earned


def test_json_parameters() -> None:
    swapped = '{"name":"Bo","items":["mugs","pens"],"total":12.4,"due":"2024-03-01"}'
    assert mark("json", swapped, _ORDER, fields=["items"], unordered=True) == 1.0
    assert mark("json", swapped, _ORDER, fields=["total"], tolerance=0.2) == 1.0
    assert mark("json", swapped, _ORDER, partial=True) == 0.25
    assert mark("json", f"Here: {_ORDER}", _ORDER, only=True) == 0.0
    assert mark("json", "[1, 2.0]", "[1, 2]") == 1.0
    assert mark("json", '{"cost": "$1,250.50"}', '{"cost": 1250.5}') == 1.0
    assert mark("json", '{"cost": "1250.50 EUR"}', '{"cost": 1250.5}') == 1.0
    assert mark("json", '{"cost": "5 + 2"}', '{"cost": 7}') == 0.0
    assert mark("json", "{}", '{"a": null}') == 0.0
    assert mark("json", '{"a": null, "b": "true"}', '{"a": null, "b": true}') == 1.0


@pytest.mark.parametrize(
    ("text", "earned"),
    [
        ("ant, bee, cow", 1.0),
        ("[ant, bee, cow]", 1.0),
        ("1. ant\n2. bee\n3. cow", 1.0),
        ("The sorted list is: ant, bee and cow.", 1.0),
        ("ant -> bee -> cow", 1.0),
        ("ant bee cow", 1.0),
        ("bee, ant, cow", 0.0),
        ("ant, bee", 0.0),
        ("ant, bee, cow, dog", 0.0),
    ],
)
def test_list(text: str, earned: float) -> None:
    assert mark("list", text, '["ant", "bee", "cow"]') == earned


def test_an_unordered_list() -> None:
    assert mark("list", "3, 1, 2", "[1, 2, 3]", unordered=True) == 1.0
    assert mark("list", "3, 1, 1", "[1, 2, 3]", unordered=True) == 0.0


def test_date_and_literal() -> None:
    assert mark("date", "That is the 1st of March 2024.", "2024-03-01") == 1.0
    assert mark("date", "That is the 1st of March 2024.", "2024-03-01", iso=True) == 0.0
    assert mark("date", "2024-03-02", "2024-03-01") == 0.0
    assert mark("literal", "It prints `[1,2]`", "[1, 2]") == 1.0
    assert mark("literal", "(1, 2)", "[1, 2]") == 0.0


def test_a_grader_survives_json() -> None:
    grader = Grader(type="exact", params={"aliases": ["É", "e"], "sensitive": True})
    assert Grader.from_json(grader.to_json()) == grader


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "vibes"}',
        '{"type": "number", "slack": 1}',
        "[]",
        "{",
        '{"params": {}}',
        '{"type": 3}',
    ],
)
def test_a_malformed_grader_names_the_fault(text: str) -> None:
    with pytest.raises(DataError) as caught:
        Grader.from_json(text)
    assert str(caught.value)


def test_an_unknown_type_names_those_there_are() -> None:
    with pytest.raises(DataError, match=r"'vibes'.*constraint"):
        Grader(type="vibes")


def test_a_reference_of_the_wrong_kind_is_an_error() -> None:
    for type, reference in (("number", "seven"), ("json", "{"), ("list", "{}"), ("list", "a, b")):
        with pytest.raises(DataError, match="reference"):
            mark(type, "1", reference)


@given(st.text(max_size=120), st.sampled_from([t for t in types() if t not in ("code", "judged")]))
@settings(max_examples=300, deadline=None)
def test_any_reply_earns_between_nothing_and_everything(text: str, type: str) -> None:
    references = {
        "number": "1", "json": '{"a": 1}', "list": "[1]", "date": "2024-01-01", "sql": "SELECT 1"
    }  # fmt: skip
    params: dict[str, Json] = {"max_words": 5} if type == "constraint" else {}
    assert 0.0 <= mark(type, text, references.get(type, "A"), **params) <= 1.0


def test_what_judges_mark_has_no_mark_before_they_did() -> None:
    assert math.isnan(mark("judged", "any reply", ""))
