from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from emafusion.errors import DataError
from emafusion.evaluate import Question
from emafusion.learn.families import Split
from emafusion.learn.interchange import read_questions
from emafusion.learn.seeds import Source, read
from emafusion.learn.seeds.coverage import shares
from emafusion.learn.synthesise import Synthesis, from_seeds
from emafusion.types import Labels

pytest.importorskip("pyarrow")

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "seeds").glob("*.toml"))


@pytest.fixture(scope="module")
def sources() -> tuple[Source, ...]:
    return read(EXAMPLES)


@pytest.fixture(scope="module")
def made(sources: tuple[Source, ...]) -> Synthesis:
    return from_seeds(sources, 600, seed=5)


def everything(made: Synthesis) -> list[tuple[Split, Question]]:
    return [(split, question) for split, part in made.questions.items() for question in part]


def seed(tmp_path: Path, text: str) -> tuple[Source, ...]:
    path = tmp_path / "seeds.toml"
    path.write_text(text)
    return read([path])


def test_the_same_seed_writes_the_same_bytes_and_another_writes_others(
    sources: tuple[Source, ...], made: Synthesis, tmp_path: Path
) -> None:
    first = made.write(tmp_path / "first").read_bytes()
    again = from_seeds(read(EXAMPLES), 600, seed=5).write(tmp_path / "again").read_bytes()
    assert first == again
    other = from_seeds(sources, 600, seed=6)
    shared = {q.id for _, q in everything(made)} & {q.id for _, q in everything(other)}
    assert len(shared) < 200


def test_every_reference_earns_its_mark_and_another_ones_does_not(made: Synthesis) -> None:
    answered = [q for _, q in everything(made) if q.reference]
    for question in answered:
        assert question.grade(question.reference) == 1.0, question
    numbers = [q for q in answered if q.grader.type == "number"]
    assert len(numbers) > 60
    for a, b in itertools.pairwise(numbers):
        assert a.grade(b.reference) == float(float(a.reference) == float(b.reference))


def test_splits_share_nothing(made: Synthesis) -> None:
    assert made.report is not None
    leaks = made.report.leaks
    assert (leaks.prompts, leaks.items, leaks.rows, leaks.near) == (0, 0, 0, 0)
    assert made.report.shared == ()
    # The rows of a longer table, seen by other means: a ticket's text is in one split alone.
    tickets: dict[str, set[Split]] = {}
    for split, question in everything(made):
        if question.family == "support_triage":
            values = question.provenance["values"]
            assert isinstance(values, dict)
            ticket = values["ticket"]
            assert isinstance(ticket, dict)
            tickets.setdefault(str(ticket["text"]), set()).add(split)
    assert len(tickets) > 10
    assert all(len(splits) == 1 for splits in tickets.values())


def test_a_leak_would_be_counted(made: Synthesis) -> None:
    from emafusion.learn.seeds.coverage import leaks

    stolen = {**made.questions, "test": [*made.questions["test"], made.questions["train"][0]]}
    found = leaks(stolen)
    assert (found.prompts, found.items, found.near) == (1, 1, 1)
    assert found.wordings == 1


def test_no_prompt_has_an_open_slot_and_every_value_is_in_it(made: Synthesis) -> None:
    for _, question in everything(made):
        assert "\ue000" not in question.prompt
        assert "{prompt}" not in question.prompt
        assert "{context}" not in question.prompt
    invoices = [q for _, q in everything(made) if q.family == "invoice_extraction"]
    for question in invoices:
        fields = json.loads(question.reference)
        assert fields["vendor"] in question.prompt
        assert f"Invoice no. {fields['number']}" in question.prompt


def test_provenance_tells_where_a_question_is_from_and_survives_the_file(
    made: Synthesis, tmp_path: Path
) -> None:
    made.write(tmp_path)
    found = {q.id: q for part in read_questions(tmp_path).values() for q in part}
    for _, question in everything(made):
        assert found[question.id].provenance == question.provenance
    question = next(q for _, q in everything(made) if q.family == "scheduling")
    assert question.provenance["file"] == "workplace.toml"
    assert question.provenance["seed"] == "scheduling"
    assert set(question.provenance) >= {"wording", "values", "variations", "generator"}


def test_turns_keep_the_shares_of_the_seeds_in_any_prefix(made: Synthesis) -> None:
    first = Counter(question.family for question in made.questions["train"][:120])
    assert max(first.values()) <= 20
    assert len(first) == len({q.family for q in made.questions["train"]})


def test_seeds_of_one_task_do_not_crowd_out_the_others() -> None:
    labels = {f"sum{n}": {"task": "sums", "format": "number"} for n in range(9)}
    labels["mail"] = {"task": "mail", "format": "text"}
    found = shares(dict.fromkeys(labels, 1.0), labels)
    assert sum(found.values()) == pytest.approx(1.0)
    assert found["mail"] == pytest.approx(3 * found["sum0"])


SMALL = """
[[seed]]
name = "colours"
template = "Name the {thing}."
reference = "{thing}"
labels = { task = "generation", domain = "general", format = "free_text" }
slots = { thing = ["red", "green", "blue"] }
variations = false
"""


def test_seeds_that_run_out_are_reported(tmp_path: Path) -> None:
    made = from_seeds(seed(tmp_path, SMALL), 60, seed=1)
    assert made.report is not None
    assert made.report.made == 3
    assert made.report.short["colours"] == 57
    assert made.report.shared in ((), ("colours/w0",))


def test_a_filling_that_fails_names_its_seed(tmp_path: Path) -> None:
    slots = '["a", "b"], n = "1..9", ratio = { compute = "1 / (n - 5)" }'
    broken = SMALL.replace('["red", "green", "blue"]', slots)
    broken = broken.replace('"{thing}"', '"{thing}{ratio}"')
    with pytest.raises(DataError, match=r"'seeds\.toml', seed 'colours': .* cannot be worked out"):
        from_seeds(seed(tmp_path, broken), 60, seed=1)


def test_missing_labels_come_from_the_classifier_or_are_asked_for(tmp_path: Path) -> None:
    text = SMALL.replace('domain = "general", ', "").replace("free_text", "choice")
    unlabelled = seed(tmp_path, text)
    with pytest.raises(DataError, match="'colours': it states no domain"):
        from_seeds(unlabelled, 3, seed=1)

    def law(texts: object) -> list[Labels]:
        chances = {"law": 0.9, "general": 0.1}
        return [Labels(axes=dict.fromkeys(("task", "complexity", "domain", "format"), chances))]

    made = from_seeds(unlabelled, 3, seed=1, classifier=law)
    assert made.report is not None
    assert made.report.guessed == {"colours": {"domain": "law", "complexity": "law"}}
    (question, *_) = [question for _, question in everything(made)]
    assert dict(question.labels) == {
        "task": "generation", "complexity": "law", "domain": "law", "format": "choice",
    }  # fmt: skip


def test_the_classifier_reads_a_seed_without_slots_with_its_context(tmp_path: Path) -> None:
    text = "".join(
        f"""
        [[seed]]
        name = "text {number}"
        template = "How many letters has {{context}}?"
        context = "{"a" * number}"
        reference = "{number}"
        variations = false
        """
        for number in range(1, 9)
    )
    read_off: list[str] = []

    def law(texts: Sequence[str]) -> list[Labels]:
        read_off.extend(texts)
        axes = ("task", "complexity", "domain", "format")
        return [Labels(axes={axis: {"law": 1.0} for axis in axes})]

    found = everything(from_seeds(seed(tmp_path, text), 30, seed=1, classifier=law))
    # Each has one filling, in whichever split its hash decides.
    assert len({split for split, _ in found}) > 1
    assert sorted(read_off) == [f"How many letters has {'a' * n}?" for n in range(1, 9)]


def test_slots_that_a_generator_is_to_fill_need_one_or_values(tmp_path: Path) -> None:
    text = SMALL.replace('["red", "green", "blue"]', '{ generate = "colours" }')
    with pytest.raises(DataError, match="slot 'thing' has no values"):
        from_seeds(seed(tmp_path, text), 3, seed=1)
    text = SMALL.replace('["red", "green", "blue"]', '{ generate = "colours", values = ["red"] }')
    assert len(everything(from_seeds(seed(tmp_path, text), 3, seed=1))) == 1


def test_conditions_clauses_and_inner_slots(tmp_path: Path) -> None:
    text = """
    [[seed]]
    name = "pick"
    wordings = ["Use {case.text} in {place}.", "In {place}, use {case.text}."]
    held_out = ["What about {case.text} at {place}?"]
    clauses = ["Be brief.", "Use English."]
    reference = "{n}"
    labels = { task = "generation", domain = "general", format = "free_text" }
    where = ["n != 3", "place != 'Rome' or n > 4"]
    [seed.slots]
    n = "1..6"
    place = ["Rome", "Oslo"]
    case = { rows = [{ text = "{n} nails" }, { text = "{n} screws, {x}" }] }
    """
    found = everything(from_seeds(seed(tmp_path, text), 12, seed=2))
    assert len(found) >= 8
    for split, question in found:
        assert question.prompt.count("Be brief.") == question.prompt.count("Use English.") == 1
        assert f"{question.reference} nails" in question.prompt or (
            f"{question.reference} screws, {{x}}" in question.prompt
        )
        assert question.reference != "3"
        assert "Rome" not in question.prompt or int(question.reference) > 4
        assert ("What about" in question.prompt) == (split == "test")
