"""The references are worked out again here, from the prompt's own words and by other means."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import datetime
import io
import json
import re
from collections.abc import Callable
from fractions import Fraction

import pytest

from emafusion.errors import DataError
from emafusion.evaluate import AXES, Question
from emafusion.learn.families import FAMILIES, Split, generate
from emafusion.learn.families.facts import table

_SPLITS: tuple[Split, ...] = ("train", "val", "test")
_LABELS = {
    "task": {
        "extraction", "classification", "summarisation", "generation", "rewriting", "translation",
        "question_answering", "mathematical_reasoning", "logical_reasoning", "code_generation",
        "code_understanding", "planning", "tool_use", "conversation",
    },
    "complexity": {"recall", "single_step", "multi_step", "composite"},
    "domain": {
        "general", "mathematics", "science", "engineering", "software", "medicine", "law",
        "finance", "business", "humanities", "social_science",
    },
    "format": {"free_text", "choice", "number", "json", "code", "table", "long_context"},
}  # fmt: skip


@pytest.fixture(scope="module")
def drawn() -> dict[Split, list[Question]]:
    return {"train": generate(900, 5, "train"), "val": generate(250, 5, "val"),
            "test": generate(320, 5, "test")}  # fmt: skip


def _of(drawn: dict[Split, list[Question]], *families: str) -> list[Question]:
    found = [q for part in drawn.values() for q in part if q.family in families]
    assert len(found) >= 10
    return found


def test_there_are_enough_families_and_wordings() -> None:
    assert len(FAMILIES) >= 24
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        wordings = (*family.wordings, *family.held_out)
        assert len(set(wordings)) == len(wordings) >= 6
        assert not set(family.wordings) & set(family.held_out)


def test_a_family_without_enough_wordings_is_refused() -> None:
    family = FAMILIES[0]
    with pytest.raises(DataError, match="wordings"):
        dataclasses.replace(family, wordings=("a", "b"), held_out=("c",))


def test_the_same_seed_draws_the_same_questions_and_another_draws_others() -> None:
    first, again, other = generate(200, 3, "val"), generate(200, 3, "val"), generate(200, 4, "val")
    assert first == again
    assert len({q.id for q in first} & {q.id for q in other}) < 150
    assert generate(60, 3, "val") == first[:60]


def test_nothing_is_shared_between_splits_whatever_the_seed(
    drawn: dict[Split, list[Question]],
) -> None:
    prompts = {split: {q.prompt for q in part} for split, part in drawn.items()}
    prompts["test"] |= {q.prompt for q in generate(300, 99, "test")}
    prompts["val"] |= {q.prompt for q in generate(300, 98, "val")}
    assert not prompts["train"] & prompts["test"]
    assert not prompts["train"] & prompts["val"]
    assert not prompts["val"] & prompts["test"]


def test_a_fact_belongs_to_one_split_alone(drawn: dict[Split, list[Question]]) -> None:
    capitals = [f"capital of {fact.subject}" for fact in table() if fact.topic == "capital"]
    prompts = {split: " ".join(q.prompt for q in part) for split, part in drawn.items()}
    asked = [sum(capital in text for text in prompts.values()) for capital in capitals]
    assert set(asked) == {0, 1}


def test_held_out_wordings_are_in_the_test_split_alone(drawn: dict[Split, list[Question]]) -> None:
    for split, part in drawn.items():
        assert all(q.held_out == (split == "test") for q in part)
        for q in part:
            family = next(f for f in FAMILIES if f.name == q.family)
            assert q.held_out == (q.phrasing >= len(family.wordings))


def test_prompts_are_distinct_short_and_without_open_slots(
    drawn: dict[Split, list[Question]],
) -> None:
    for part in drawn.values():
        assert len({q.prompt for q in part}) == len(part)
        # Four characters make about a token.
        assert sum(len(q.prompt) for q in part) / len(part) / 4 < 80
        assert max(len(q.prompt) for q in part) / 4 < 120
        slot = re.compile(r"\{(?:text|what|name|thing|city)\}")
        assert not [q.prompt for q in part if slot.search(q.prompt)]


def test_any_prefix_is_balanced(drawn: dict[Split, list[Question]]) -> None:
    turns = sum(family.weight for family in FAMILIES)
    for split in _SPLITS:
        first = [q.family for q in drawn[split][:turns]]
        assert {family.name: family.weight for family in FAMILIES} == {
            name: first.count(name) for name in set(first)
        }
    levels = [q.difficulty for q in drawn["train"]]
    assert all(levels.count(level) > len(levels) / 6 for level in (1, 2, 3))


def test_labels_are_of_the_taxonomy_and_cover_its_tasks(drawn: dict[Split, list[Question]]) -> None:
    everything = [q for part in drawn.values() for q in part]
    for axis in AXES:
        assert {q.labels[axis] for q in everything} <= _LABELS[axis]
    assert {q.labels["task"] for q in everything} == _LABELS["task"]
    assert {q.labels["domain"] for q in everything} == _LABELS["domain"]
    assert {q.labels["format"] for q in everything} == _LABELS["format"] - {"long_context"}


def test_the_reference_earns_the_mark_and_nonsense_does_not(
    drawn: dict[Split, list[Question]],
) -> None:
    # Programs take a process each, so only some of them are run.
    sample = [q for q in drawn["test"] if q.family != "code_writing"]
    sample += [q for part in drawn.values() for q in part if q.family == "code_writing"][:8]
    for question in sample:
        assert question.grade(question.reference) == 1.0, question
        assert question.grade("I would rather not say.") == 0.0, question


def test_questions_survive_json(drawn: dict[Split, list[Question]]) -> None:
    assert [Question.from_json(q.to_json()) for q in drawn["val"]] == drawn["val"]


def test_asking_for_too_many_says_how_many_there_are() -> None:
    with pytest.raises(DataError, match="split"):
        generate(3, 1, "dev")  # type: ignore[arg-type]
    with pytest.raises(DataError):
        generate(-1, 1, "train")
    assert generate(0, 1, "train") == []


def _exactly(expression: str) -> Fraction:
    """Evaluates sums and products of numbers exactly, by Python's own grammar."""

    def walk(node: ast.expr) -> Fraction:
        if isinstance(node, ast.Constant):
            return Fraction(str(node.value))
        if isinstance(node, ast.UnaryOp):
            return -walk(node.operand)
        assert isinstance(node, ast.BinOp)
        left, right = walk(node.left), walk(node.right)
        operations: dict[type[ast.operator], Callable[[], Fraction]] = {
            ast.Add: lambda: left + right,
            ast.Sub: lambda: left - right,
            ast.Mult: lambda: left * right,
            ast.Div: lambda: left / right,
        }
        return operations[type(node.op)]()

    return walk(ast.parse(expression, mode="eval").body)


def test_sums_and_fractions(drawn: dict[Split, list[Question]]) -> None:
    for question in _of(drawn, "arithmetic", "fractions"):
        said = question.prompt.replace(" of ", " * ")
        expression = max(re.findall(r"[\d(][\d+*/() -]*\d\)?", said), key=len)
        assert _exactly(expression) == Fraction(question.reference), question


def test_equations_hold(drawn: dict[Split, list[Question]]) -> None:
    for question in _of(drawn, "equations"):
        found = re.search(r"[\dx(][\dx+*/() -]* = [-\dx][\dx+ -]*", question.prompt)
        assert found, question
        value = f"({question.reference})"
        sides = []
        for side in found.group().split(" = "):
            text = re.sub(r"(?<=\d)\(", "*(", re.sub(r"(?<=\d)x", "*x", side)).replace("x", value)
            sides.append(_exactly(text.strip()))
        assert sides[0] == sides[1], question


def test_percentages(drawn: dict[Split, list[Question]]) -> None:
    for question in _of(drawn, "percentages"):
        found = re.search(r"(\d+)% of (\d+)|(\d+) (increased|reduced) by (\d+)%", question.prompt)
        if found is None or "then reduced" in question.prompt or "of which" in question.prompt:
            continue
        share, base, start, way, change = found.groups()
        if share:
            value = int(share) * int(base) / 100
        else:
            value = int(start) * (100 + (-1 if way == "reduced" else 1) * int(change)) / 100
        assert float(question.reference) == pytest.approx(value), question


def test_dates(drawn: dict[Split, list[Question]]) -> None:
    iso = r"(\d{4}-\d\d-\d\d)"
    for question in _of(drawn, "date_shifts"):
        number, way = re.search(r"(\d+) days? (after|before)", question.prompt).groups()  # type: ignore[union-attr]
        start = datetime.date.fromisoformat(re.findall(iso, question.prompt)[0])
        span = datetime.timedelta(days=int(number))
        answer = start + span if way == "after" else start - span
        assert answer.isoformat() == question.reference
    for question in _of(drawn, "date_differences"):
        first, second = map(datetime.date.fromisoformat, sorted(re.findall(iso, question.prompt)))
        assert second.toordinal() - first.toordinal() == int(question.reference)


def test_weekdays(drawn: dict[Split, list[Question]]) -> None:
    # 1 January 2024 was a Monday.
    week = [datetime.date(2024, 1, n) for n in range(1, 8)]
    days = {day.strftime("%A"): day for day in week}
    for question in _of(drawn, "weekdays"):
        number, way = re.search(r"(\d+) days? (after|before)", question.prompt).groups()  # type: ignore[union-attr]
        start = days[re.findall(r"[A-Z][a-z]+day", question.prompt)[0]]
        answer = start + datetime.timedelta(days=int(number) * (1 if way == "after" else -1))
        assert answer.strftime("%A") == question.reference


def test_what_programs_print(drawn: dict[Split, list[Question]]) -> None:
    for question in _of(drawn, "code_output"):
        code = re.search(
            r"(?:^|\n)((?:(?:x =|t =|d =|a, b|def )[\s\S]*?)?print\(.*\))", question.prompt
        )
        assert code, question
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(code.group(1), {})
        assert printed.getvalue().strip() == question.reference, question


def test_tables(drawn: dict[Split, list[Question]]) -> None:
    mark = r"(?:,| \| |; )"
    line = rf"^(\w+){mark}(\w+){mark}(\d+){mark}(\d+)$"
    for question in _of(drawn, "table_lookup", "table_totals"):
        rows = re.findall(line, question.prompt, re.M)
        ages, scores = [int(row[2]) for row in rows], [int(row[3]) for row in rows]
        known = {
            "the sum of all scores": sum(scores),
            "the highest age": max(ages),
            "the lowest score": min(scores),
            "the number of people": len(rows),
            "the difference between the highest and the lowest age": max(ages) - min(ages),
            "the name of the oldest person": max(rows, key=lambda row: int(row[2]))[0],
            "the score of the youngest person": min(rows, key=lambda row: int(row[2]))[3],
        }
        for asked, answer in known.items():
            if re.search(rf"{asked}(?! aged)[?.,\s]", question.prompt):
                assert question.reference == str(answer), question


def test_sorting_and_counting(drawn: dict[Split, list[Question]]) -> None:
    for question in _of(drawn, "sorting"):
        ordered = json.loads(question.reference)
        numeric = ordered[0].isdigit()
        if "length" in question.prompt or "longest" in question.prompt:
            assert [len(word) for word in ordered] == sorted(len(word) for word in ordered)
        elif numeric:
            down = "largest to smallest" in question.prompt
            assert ordered == sorted(ordered, key=int, reverse=down)
        else:
            assert ordered == sorted(ordered)
        assert all(item in question.prompt for item in ordered)
    for question in _of(drawn, "counting"):
        quoted = re.findall(r'"([^"]*)"', question.prompt)
        if "occur" in question.prompt:
            assert quoted[1].count(quoted[0]) == int(question.reference)
        elif "letters are" in question.prompt:
            assert len(quoted[0]) == int(question.reference)


def test_extracted_fields_stand_in_the_text(drawn: dict[Split, list[Question]]) -> None:
    for question in _of(drawn, "contacts", "orders", "invoices", "single_field"):
        if question.difficulty < 3 and question.family != "single_field":
            fields = json.loads(question.reference)
            assert all(f"{value:g}" if isinstance(value, float) else str(value) in question.prompt
                       for value in fields.values()), question  # fmt: skip
        elif question.family == "single_field":
            assert question.reference in question.prompt


def test_facts_are_many_and_none_is_given_twice() -> None:
    facts = table()
    assert len(facts) >= 150
    assert len({(fact.topic, fact.subject) for fact in facts}) == len(facts)
    assert {fact.level for fact in facts} == {1, 2, 3}
    assert all(fact.answer not in fact.aliases for fact in facts)


def test_a_choice_has_one_right_option(drawn: dict[Split, list[Question]]) -> None:
    for question in _of(drawn, "choice_of_facts", "choice_of_terms"):
        options = question.grader.params["options"]
        assert isinstance(options, dict)
        assert len(set(options.values())) == 4
        assert question.reference in options
        assert all(f"{letter}) {text}" in question.prompt for letter, text in options.items())
