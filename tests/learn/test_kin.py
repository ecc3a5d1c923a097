"""Queries that tell as much as one."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Question
from emafusion.learn.kin import families, kin
from growth import LINEAR, growth

from .labelling.drafting import recorded


def question(prompt: str, **provenance: object) -> Question:
    return Question(
        prompt=prompt,
        reference="1",
        grader=Grader(type="exact"),
        labels={},
        family="f",
        phrasing=0,
        held_out=False,
        difficulty=1,
        provenance=provenance,  # type: ignore[arg-type]  # JSON values, in every test
    )


def groups(prompts: Sequence[str], questions: Sequence[Question] = ()) -> list[set[int]]:
    """Which of the `prompts` are kin, of those that have any."""
    rows = recorded([["a"]] * len(prompts), models=["m"], prompts=prompts)
    ids = {one.prompt: one.id for one in questions}
    named = tuple(ids.get(p, q) for p, q in zip(rows.prompts, rows.queries, strict=True))
    found = kin(questions, replace(rows, queries=named))
    by_name: dict[str, set[int]] = {}
    for at, query in enumerate(named):
        by_name.setdefault(found[query], set()).add(at)
    return [one for one in by_name.values() if len(one) > 1]


FILLER = [f"Question of its own, number {n}." for n in range(40)]


def test_one_item_in_several_wordings_is_one() -> None:
    some = [question(f"Wording {n} of it", item="1f", rows=[]) for n in range(3)]
    assert groups([*FILLER, *(one.prompt for one in some)], some) == [{40, 41, 42}]


def test_a_row_makes_kin_wherever_it_stands() -> None:
    some = [
        question("of a and b", item="1", rows=["a", "b"]),
        question("of b", item="2", rows=["b"]),
        question("of c and b", item="3", rows=["c", "b"]),
        question("of d", item="4", rows=["d"]),
    ]
    assert groups([*FILLER, *(one.prompt for one in some)], some) == [{40, 41, 42}]


def test_nearly_equal_prompts_are_kin_whoever_asked_them() -> None:
    long = " ".join(f"word{n}" for n in range(60))
    prompts = [*FILLER, f"{long} please", f"{long} thanks", "Hello there", "hello, there!"]
    assert groups(prompts) == [{40, 41}, {42, 43}]


def test_many_prompts_that_are_nearly_one_are_each_held_against_one() -> None:
    """Held against all others, 4,000 take 20 times as long."""
    long = " ".join(f"word{n}" for n in range(90))
    prompts = [f"{long} {n}" for n in range(4000)]
    assert growth(groups, prompts[:1000], prompts) < LINEAR


def test_a_common_preamble_alone_has_no_prompts_held_against_each_other() -> None:
    """Held against all others, 4,000 take 16 times as long."""
    preamble = " ".join(f"word{n}" for n in range(90))
    tails = [" ".join(f"tail{n}of{m}" for m in range(20)) for n in range(4000)]
    prompts = [f"{preamble} {tail}" for tail in tails]
    assert groups(prompts) == []
    assert growth(groups, prompts[:1000], prompts) < LINEAR


def test_kin_are_counted_before_anything_is_asked() -> None:
    some = [question(f"Wording {n} of row {n % 3}", item=str(n), rows=[n % 3]) for n in range(30)]
    assert families(some) == 3
    assert families([question(f"Wording {n}", item=str(n), rows=[]) for n in range(30)]) == 30
    assert families([]) == 0


def test_a_preamble_that_all_share_does_not_make_them_one() -> None:
    """Else there were no parts to be measured on."""
    long = " ".join(f"word{n}" for n in range(90))
    sizes = [len(one) for one in groups([f"{long} {n}" for n in range(50)])]
    assert max(sizes) <= 10
