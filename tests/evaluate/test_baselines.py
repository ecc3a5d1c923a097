"""What holds for every baseline: bills that add up, no peeping, gaps, repeatability."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from emafusion.errors import DataError
from emafusion.evaluate.baselines import BASELINES, singles
from emafusion.evaluate.baselines.plays import available
from emafusion.evaluate.runs import System, Table

from .tables import punched, replaced, tables

Array = NDArray[np.float64]

NAMES = sorted(BASELINES)
SEEING = [name for name in NAMES if name != "oracle"]
CALLING = [name for name in NAMES if name not in {"random", "zero_router"}]

TRAIN, VAL, TEST = tables(seed=3)
GAPS = tuple(punched(table, seed=place) for place, table in enumerate((TRAIN, VAL, TEST)))


@pytest.fixture(scope="module")
def whole() -> dict[str, System]:
    """Every baseline on the full tables."""
    return {name: BASELINES[name](TRAIN, VAL, TEST, seed=0) for name in NAMES}


@pytest.fixture(scope="module")
def holed() -> dict[str, System]:
    """Every baseline on tables in which a quarter of the answers are missing."""
    return {name: BASELINES[name](*GAPS, seed=0) for name in NAMES}


def bill(table: Table, system: System) -> None:
    """Check scores and costs of every run of `system` against the table."""
    place = {name: j for j, name in enumerate(table.models)}
    there = available(table)
    for run in system.runs:
        assert run.calls is not None
        assert run.sources is not None
        for i, (calls, source) in enumerate(zip(run.calls, run.sources, strict=True)):
            asked = [place[name] for name in calls]
            assert asked
            assert len(set(asked)) == len(asked)
            assert there[i, asked].all()
            assert source in calls
            assert run.costs[i] == pytest.approx(table.costs[i, asked].sum())
            assert run.scores[i] == table.scores[i, place[source]]


@pytest.mark.parametrize("name", NAMES)
def test_a_baseline_says_who_it_is_and_how_it_did_on_val(
    name: str, whole: dict[str, System]
) -> None:
    system = whole[name]
    assert system.name == name
    assert system.role == ("bound" if name == "oracle" else "baseline")
    assert system.source
    assert 1 <= len(system.runs) <= 20
    assert len({run.knob for run in system.runs}) == len(system.runs)
    for run in system.runs:
        assert run.scores.shape == run.costs.shape == (len(TEST.queries),)
        assert run.tuned is not None
        assert 0.0 <= run.tuned[0] <= 1.0
        assert run.tuned[1] > 0.0


@pytest.mark.parametrize("name", CALLING)
def test_every_call_is_billed_and_every_score_is_the_given_answers(
    name: str, whole: dict[str, System]
) -> None:
    bill(TEST, whole[name])


@pytest.mark.parametrize("name", CALLING)
def test_an_answer_that_is_not_recorded_is_never_asked_for(
    name: str, holed: dict[str, System]
) -> None:
    bill(GAPS[2], holed[name])


@pytest.mark.parametrize("name", NAMES)
def test_gaps_leave_every_figure_a_number(name: str, holed: dict[str, System]) -> None:
    for run in holed[name].runs:
        assert np.isfinite(run.scores).all()
        assert np.isfinite(run.costs).all()
        assert run.tuned is not None
        assert np.isfinite(run.tuned).all()


@pytest.mark.parametrize("name", SEEING)
def test_the_scores_of_test_rows_decide_nothing(name: str, whole: dict[str, System]) -> None:
    shuffled = np.random.default_rng(9).permutation(TEST.scores.ravel()).reshape(TEST.scores.shape)
    assert (shuffled != TEST.scores).any()
    again = BASELINES[name](TRAIN, VAL, replaced(TEST, scores=shuffled), seed=0)
    same_choices(whole[name], again)


@pytest.mark.parametrize("name", SEEING)
def test_the_costs_of_test_rows_decide_nothing(name: str, whole: dict[str, System]) -> None:
    costs = TEST.costs * np.random.default_rng(4).uniform(0.1, 9.0, TEST.costs.shape)
    again = BASELINES[name](TRAIN, VAL, replaced(TEST, costs=costs), seed=0)
    for before, after in zip(whole[name].runs, again.runs, strict=True):
        assert before.knob == after.knob
        assert before.calls == after.calls
        assert before.sources == after.sources


def test_the_oracle_does_look() -> None:
    flipped = BASELINES["oracle"](TRAIN, VAL, replaced(TEST, scores=1 - TEST.scores), seed=0)
    assert flipped.runs[0].calls != BASELINES["oracle"](TRAIN, VAL, TEST, seed=0).runs[0].calls


@pytest.mark.parametrize("name", NAMES)
def test_a_baseline_repeats_itself(name: str, whole: dict[str, System]) -> None:
    again = BASELINES[name](TRAIN, VAL, TEST, seed=0)
    same_choices(whole[name], again)
    for before, after in zip(whole[name].runs, again.runs, strict=True):
        assert (before.scores == after.scores).all()


@pytest.mark.parametrize("name", SEEING)
def test_confidences_are_probabilities(name: str, whole: dict[str, System]) -> None:
    for run in whole[name].runs:
        if run.confidences is not None:
            assert ((run.confidences >= 0) & (run.confidences <= 1)).all()


@pytest.mark.parametrize("name", [n for n in NAMES if n != "oracle"])
def test_no_baseline_beats_the_oracle(name: str, whole: dict[str, System]) -> None:
    bound = whole["oracle"].runs[0].scores
    for run in whole[name].runs:
        assert (run.scores <= bound + 1e-12).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_pool_of_one_model_leaves_no_choice(name: str) -> None:
    one = [
        replaced(
            table,
            models=table.models[:1],
            scores=table.scores[:, :1],
            costs=table.costs[:, :1],
            answers=table.answers[:, :1],
            surface=table.surface[:, :1],
        )
        for table in (TRAIN, VAL, TEST)
    ]
    for run in BASELINES[name](*one, seed=0).runs:
        assert run.costs == pytest.approx(TEST.costs[:, 0])
        assert run.scores == pytest.approx(TEST.scores[:, 0])


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_was_never_seen_is_asked_only_where_there_is_no_other(name: str) -> None:
    unseen = [
        replaced(table, scores=without(table.scores), costs=without(table.costs))
        for table in (TRAIN, VAL)
    ]
    for run in BASELINES[name](unseen[0], unseen[1], TEST, seed=0).runs:
        assert np.isfinite(run.scores).all()
        if name not in {"random", "oracle"} and run.calls is not None:
            assert not any(TEST.models[1] in calls for calls in run.calls)


def without(values: Array) -> Array:
    """`values` with nothing known of the second model."""
    return np.where(np.arange(values.shape[1]) == 1, np.nan, values)


def test_a_query_that_nobody_answered_is_named() -> None:
    scores = TEST.scores.copy()
    scores[4] = np.nan
    with pytest.raises(DataError, match=repr(TEST.queries[4])):
        BASELINES["knn"](TRAIN, VAL, replaced(TEST, scores=scores), seed=0)


def test_every_single_model_is_a_system() -> None:
    systems = singles.every(TRAIN, VAL, TEST)
    assert [system.name for system in systems] == list(TEST.models)
    for j, system in enumerate(systems):
        assert system.role == "single"
        assert (system.runs[0].scores == TEST.scores[:, j]).all()
        assert (system.runs[0].costs == TEST.costs[:, j]).all()


def same_choices(one: System, other: System) -> None:
    """Check that two systems asked and gave the same, at the same settings."""
    for before, after in zip(one.runs, other.runs, strict=True):
        assert before.knob == after.knob
        assert before.calls == after.calls
        assert before.sources == after.sources
        assert (before.costs == after.costs).all()
        assert before.tuned == after.tuned
