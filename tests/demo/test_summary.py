"""The verdict says what the rows say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.demo.rows import Attempt, Row
from emafusion.demo.summary import figures, verdict


def attempt(score: float, cost_usd: float) -> Attempt:
    return Attempt(score=score, cost_usd=cost_usd, latency_s=1.0, text="", calls=())


def row(score: float, cost_usd: float, **singles: Attempt) -> Row:
    return Row(
        id="q", question="h", kind="k", prompt="p", reference="r", decision_id="d", labels={},
        arrangement="single", plan=(), tried=(), votes=(), model="m", confidence=0.5,
        escalated=False, score=score, cost_usd=cost_usd, latency_s=1.0, text="", calls=(),
        singles=singles,
    )  # fmt: skip


def test_better_beyond_chance() -> None:
    rows = [row(1.0, 0.5, big=attempt(0.0, 1.0)) for _ in range(20)]
    found = verdict(rows, ["big"])
    assert found.text.startswith("At least as many right as the best single model, at 50% of its")
    assert "more accurate beyond chance" in found.text
    assert "better on 20 and worse on 0" in found.text


def test_worse_beyond_chance() -> None:
    rows = [row(0.0, 2.0, big=attempt(1.0, 1.0)) for _ in range(20)]
    found = verdict(rows, ["big"])
    assert found.text.startswith("Fewer right than the best single model, at 200% of its cost")
    assert "less accurate beyond chance" in found.text


def test_a_small_difference_is_called_uncertain() -> None:
    rows = [row(1.0, 0.6, big=attempt(1.0, 1.0)) for _ in range(19)]
    rows.append(row(0.0, 0.6, big=attempt(1.0, 1.0)))
    found = verdict(rows, ["big"])
    assert found.text.startswith("Fewer right")
    assert "20 questions cannot tell the two apart" in found.text
    assert found.comparison is not None
    low, high = found.comparison.difference_ci95
    assert low < -0.04 < high <= 0.0


def test_equal_marks_on_few_questions_prove_little() -> None:
    found = verdict([row(1.0, 0.6, big=attempt(1.0, 1.0)) for _ in range(6)], ["big"])
    assert found.comparison is not None
    # No difference in 6 questions: up to 39 % of such questions could show one.
    assert found.comparison.difference_ci95 == pytest.approx((-0.393, 0.393), abs=0.001)
    assert "6 questions cannot tell the two apart" in found.text


def test_the_best_single_is_the_most_accurate_and_of_equals_the_cheapest() -> None:
    rows = [row(1.0, 1.0, dear=attempt(1.0, 9.0), fair=attempt(1.0, 3.0), bad=attempt(0.0, 0.1))]
    found = verdict(rows, ["dear", "fair", "bad"]).comparison
    assert found is not None
    assert found.best == "fair"
    assert list(figures(rows)) == ["emafusion", "bad", "fair", "dear"]


def test_nothing_is_claimed_while_a_model_is_not_measured_alone() -> None:
    all_, some = attempt(0.0, 1.0), attempt(1.0, 1.0)
    rows = [row(1.0, 1.0, all=all_, some=some), row(1.0, 1.0, all=all_)]
    found = verdict(rows, ["all", "some", "none"])
    assert found.comparison is None
    assert found.text.startswith("No verdict")
    assert found.text.endswith("not measured so far: some, none.")
    assert verdict(rows, ["all"]).comparison is not None
    assert verdict([], []).text.startswith("No verdict")


def test_a_free_rival_has_no_share() -> None:
    found = verdict([row(1.0, 1.0, free=attempt(1.0, 0.0))], ["free"])
    assert "which costs nothing" in found.text
    assert found.comparison is not None
    assert found.comparison.cost_share is None


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0.1, 9), st.floats(0, 1), st.floats(0.1, 9)),
        min_size=1,
        max_size=30,
    )
)
def test_the_intervals_hold_what_was_measured_and_the_claim_its_sign(
    pairs: list[tuple[float, float, float, float]],
) -> None:
    rows = [row(ours, paid, big=attempt(theirs, price)) for ours, paid, theirs, price in pairs]
    found = verdict(rows, ["big"]).comparison
    assert found is not None
    share = sum(pair[1] for pair in pairs) / sum(pair[3] for pair in pairs)
    assert found.cost_share == pytest.approx(share)
    assert found.difference == pytest.approx(
        sum(pair[0] - pair[2] for pair in pairs) / len(pairs), abs=1e-9
    )
    assert verdict(rows, ["big"]).text.startswith("Fewer") == (found.difference < 0)
    assert found.won + found.lost <= len(rows)
