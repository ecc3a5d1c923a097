"""A policy serves once it is shown to be better, and not before."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from emafusion import artefacts, config, encoders
from emafusion.artefacts import Artefact, Serving, Versions
from emafusion.config.build import replaying
from emafusion.errors import ArtefactError, ConfigError, DataError
from emafusion.evaluate.recorded import Recorded, read
from emafusion.learn.bootstrap import Estimate
from emafusion.learn.compare import DIAL, Comparison, HeldOut, Rule, Setup, compare
from emafusion.learn.crossing import PARTS, stand_ins
from emafusion.learn.fit import fit
from emafusion.learn.kin import kin
from emafusion.learn.promote import KEPT, consider, explained
from emafusion.types import replace
from emafusion.understand import FastClassifier
from learn.benchmark.test_run import world

from .labelling.drafting import recorded

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

SETUP = Setup(build=replaying, prefer=0.6)


@pytest.fixture(scope="module")
def default() -> Artefact:
    """The policy that ships: it knows none of the world's models."""
    return artefacts.read(Path(config.__file__).parent / "policy")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, default: Artefact) -> Artefact:
    base = tmp_path_factory.mktemp("fitted")
    world(base / "train", count=200, splits=("train", "train", "train", "val"), seed=1)
    encoder = encoders.Remembered(encoders.default())
    reader = FastClassifier.from_arrays(default.under("understand"), encoder)
    return fit(base / "train", base / "policy", classifier=reader)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    base = tmp_path_factory.mktemp("held-out")
    world(base / "test", count=120, splits=("test",), seed=2)
    return read(base / "test")


@pytest.fixture(scope="module")
def better(default: Artefact, fitted: Artefact, held_out: Recorded) -> Comparison:
    return compare(default, fitted, recorded=held_out, setup=replace(SETUP, frontier=True))


def spoilt(policy: Artefact, member: int = 0) -> Artefact:
    """The policy bound to one member, whatever the dial says."""
    safe = np.full_like(policy.arrays["plan/lookahead_safe"], member)
    return replace(policy, arrays={**policy.arrays, "plan/lookahead_safe": safe})


def test_a_fitted_policy_beats_the_default_and_by_its_own_figures(
    better: Comparison, held_out: Recorded
) -> None:
    assert better.verdict == "better"
    assert better.queries == 120
    assert better.needed is None
    assert 0.0 < better.gain.low < better.gain.value < better.gain.high
    assert better.accuracy.value == pytest.approx(
        better.candidate.accuracy - better.incumbent.accuracy
    )
    price = better.usd_per_quality
    assert price is not None
    assert better.gain.value == pytest.approx(better.accuracy.value - better.cost_usd.value / price)
    assert better.gain.value == pytest.approx(better.candidate.utility - better.incumbent.utility)
    assert (better.candidate.aiq or 0.0) > (better.incumbent.aiq or 1.0)
    assert better.candidate.cost_usd < held_out.costs.sum(axis=1).mean()


def test_a_policy_is_no_better_than_itself(fitted: Artefact, held_out: Recorded) -> None:
    same = compare(fitted, fitted, recorded=held_out, setup=SETUP)
    assert same.gain.value == same.gain.ceiling == 0.0
    # The rule of three: of 120 queries none was lost, so up to 3 in 121 may be.
    assert same.gain.floor == pytest.approx(-3 / 121, abs=1e-3)
    assert same.verdict == "too little to tell"
    assert same.needed is None
    assert "a margin may" in explained(same)
    assert same.incumbent == same.candidate
    verdicts = [
        compare(fitted, fitted, recorded=held_out, setup=replace(SETUP, rule=Rule(margin=margin)))
        for margin in (0.01, 0.03)
    ]
    assert [one.verdict for one in verdicts] == ["too little to tell", "no worse"]
    assert verdicts[0].needed == pytest.approx(3 / 0.01, abs=10)


def test_a_worse_policy_is_called_so_and_few_queries_tell_nothing(
    fitted: Artefact, held_out: Recorded
) -> None:
    setup = replace(SETUP, prefer=1.0)
    worse = compare(fitted, spoilt(fitted), recorded=held_out, setup=setup)
    assert worse.verdict == "worse"
    assert worse.usd_per_quality is None
    few = compare(fitted, spoilt(fitted), recorded=held_out.rows(range(20)), setup=setup)
    assert few.verdict == "too little to tell"
    assert few.needed is not None
    assert few.needed >= 50
    assert explained(few).endswith(f"about {few.needed} would tell")


def test_at_cost_alone_a_dollar_saved_is_the_gain(fitted: Artefact, held_out: Recorded) -> None:
    found = compare(fitted, spoilt(fitted, 2), recorded=held_out, setup=replace(SETUP, prefer=0.0))
    assert found.gain.value == pytest.approx(-found.cost_usd.value)


def test_queries_that_some_model_did_not_answer_are_left_out(
    fitted: Artefact, held_out: Recorded
) -> None:
    scores = held_out.scores.copy()
    scores[:70, 1] = np.nan
    assert (
        compare(fitted, fitted, recorded=replace(held_out, scores=scores), setup=SETUP).queries
        == 50
    )
    with pytest.raises(DataError, match="answered by every model"):
        compare(fitted, fitted, recorded=replace(held_out, scores=scores * np.nan), setup=SETUP)


def test_the_first_policy_replaces_the_default_and_the_history_says_why(
    tmp_path: Path, default: Artefact, fitted: Artefact, held_out: Recorded
) -> None:
    versions = Versions(tmp_path / "policies")
    name = versions.add(fitted)
    done = consider(versions, name, held_out=held_out, default=default, setup=SETUP, canary=0.1)
    # There is nothing yet to try it beside.
    assert (done.promoted, done.share) == (True, 1.0)
    assert versions.current() == Serving(id=name)
    (event,) = versions.history()
    assert event.why == done.why
    assert event.why.startswith("better: utility +0.")
    assert event.figures["queries"] == 120
    again = consider(versions, name, held_out=held_out, default=default, setup=SETUP)
    assert (again.why, again.share) == ("it serves already", 1.0)
    assert len(versions.history()) == 1


def test_a_worse_policy_stays_out_and_a_better_one_is_tried_first(
    tmp_path: Path, default: Artefact, fitted: Artefact, held_out: Recorded
) -> None:
    versions = Versions(tmp_path / "policies")
    bad, good = versions.add(spoilt(fitted)), versions.add(fitted)
    versions.promote(bad, why="by hand")
    setup = replace(SETUP, prefer=1.0)
    done = consider(versions, good, held_out=held_out, default=default, setup=setup, canary=0.1)
    assert (done.promoted, done.share) == (True, 0.1)
    assert versions.current() == Serving(id=bad, candidate=good, share=0.1)
    held = consider(versions, bad, held_out=held_out, default=default, setup=setup)
    assert (held.why, held.share) == ("it serves already", 0.9)
    versions.promote(good, why="it did well")
    done = consider(versions, bad, held_out=held_out, default=default, setup=setup)
    assert not done.promoted
    assert done.why.startswith("worse: quality -0.")
    assert versions.current() == Serving(id=good)


@pytest.mark.parametrize("canary", [None, 0.1])
def test_another_promotion_meanwhile_is_not_undone(
    tmp_path: Path,
    default: Artefact,
    fitted: Artefact,
    held_out: Recorded,
    canary: float | None,
) -> None:
    versions = Versions(tmp_path / "policies")
    bad, good, third = (
        versions.add(one) for one in (spoilt(fitted), fitted, spoilt(fitted, member=1))
    )
    versions.promote(bad, why="by hand")

    def tick() -> None:
        current = versions.current()
        if current is not None and current.id == bad:
            versions.promote(third, why="by another process")

    setup = replace(SETUP, prefer=1.0, tick=tick)
    with pytest.raises(ArtefactError, match=f"compared with '{bad}', but '{third}' serves"):
        consider(versions, good, held_out=held_out, default=default, setup=setup, canary=canary)
    assert versions.current() == Serving(id=third)


def test_policies_that_are_never_let_in_do_not_pile_up(
    tmp_path: Path, default: Artefact, fitted: Artefact, held_out: Recorded
) -> None:
    versions = Versions(tmp_path / "policies")
    bad, good, *others = (
        versions.add(other(one, number))
        for number, one in enumerate([spoilt(fitted), *[fitted] * (KEPT + 3)])
    )
    versions.promote(good, why="by hand")
    setup = replace(SETUP, prefer=1.0)
    done = consider(versions, bad, held_out=held_out, default=default, setup=setup)
    assert not done.promoted
    # Neither the one that serves nor the one that is looked at counts.
    assert versions.ids() == (bad, good, *others[-KEPT:])


def other(policy: Artefact, number: int) -> Artefact:
    """The same policy under another id."""
    return replace(policy, manifest=replace(policy.manifest, queries=number))


def test_a_damaged_folder_is_mended_before_the_comparison(
    tmp_path: Path, default: Artefact, fitted: Artefact, held_out: Recorded
) -> None:
    versions = Versions(tmp_path / "policies")
    bad, good = versions.add(spoilt(fitted)), versions.add(fitted)
    versions.promote(bad, why="by hand")
    (versions.folder / "current").write_bytes(b"{")
    setup = replace(SETUP, prefer=1.0)
    assert consider(versions, good, held_out=held_out, default=default, setup=setup).promoted
    assert versions.previous() == bad


def test_a_canary_of_no_sense_is_refused_before_anything_is_replayed(
    tmp_path: Path, default: Artefact, held_out: Recorded
) -> None:
    versions = Versions(tmp_path)
    with pytest.raises(ConfigError, match="share"):
        consider(versions, "x", held_out=held_out, default=default, setup=SETUP, canary=1.0)
    with pytest.raises(ArtefactError, match="no policy 'x'"):
        consider(versions, "x", held_out=held_out, default=default, setup=SETUP)


def test_rows_of_the_fit_count_where_a_policy_without_them_stands_in(
    default: Artefact, fitted: Artefact, held_out: Recorded
) -> None:
    mine, further = held_out.rows(range(60)), held_out.rows(range(40, 120))
    setup = replace(SETUP, prefer=1.0)
    alone = compare(default, fitted, recorded=mine, setup=setup)
    whole = compare(default, fitted, recorded=held_out, setup=setup)
    # Twenty of these rows were counted before: each counts once.
    same = HeldOut(policy=fitted, recorded=further)
    joined = compare(default, fitted, recorded=mine, setup=setup, stand_ins=[same])
    assert (alone.queries, joined.queries) == (60, 120)
    assert joined.gain.value == pytest.approx(whole.gain.value)
    assert joined.gain.high - joined.gain.low < alone.gain.high - alone.gain.low
    poor = HeldOut(policy=spoilt(fitted), recorded=further)
    spoiled = compare(default, fitted, recorded=mine, setup=setup, stand_ins=[poor])
    assert spoiled.gain.value < joined.gain.value


def test_stand_ins_never_saw_the_rows_they_are_measured_on(held_out: Recorded) -> None:
    prompts = ("the same",) * 3 + held_out.prompts[3:]
    recorded = replace(held_out, prompts=prompts)
    seen: list[Recorded] = []

    def fit_on(rows: Recorded) -> Artefact:
        seen.append(rows)
        return artefacts.read(Path(config.__file__).parent / "policy")

    found = stand_ins(recorded, fit_on, seed=3)
    assert len(found) == PARTS
    for rows, one in zip(seen, found, strict=True):
        assert not set(rows.prompts) & set(one.recorded.prompts)
        assert set(rows.queries) | set(one.recorded.queries) == set(recorded.queries)
    asked = [query for one in found for query in one.recorded.queries]
    assert sorted(asked) == sorted(recorded.queries)
    assert max(len(one.recorded.queries) for one in found) <= 27
    assert stand_ins(recorded.rows(range(45)), fit_on) == []


def test_what_is_alike_is_in_one_part_and_rows_without_a_score_in_none(held_out: Recorded) -> None:
    scores = held_out.scores.copy()
    scores[:10] = np.nan
    recorded = replace(held_out, scores=scores)
    items = {query: f"item {place // 4}" for place, query in enumerate(recorded.queries)}
    policy = artefacts.read(Path(config.__file__).parent / "policy")
    found = stand_ins(recorded, lambda _: policy, kin=lambda _: items)
    where = [{items[query] for query in one.recorded.queries} for one in found]
    assert sum(map(len, where)) == len(set.union(*where))
    asked = {query for one in found for query in one.recorded.queries}
    assert asked == set(recorded.queries[10:])
    scores[:80] = np.nan
    assert stand_ins(replace(held_out, scores=scores), lambda _: policy) == []


def test_queries_that_are_alike_count_as_fewer(
    default: Artefact, fitted: Artefact, held_out: Recorded
) -> None:
    items = {query: f"item {place // 6}" for place, query in enumerate(held_out.queries)}
    plain = compare(default, fitted, recorded=held_out, setup=SETUP)
    alike = compare(default, fitted, recorded=held_out, setup=replace(SETUP, kin=lambda _: items))
    assert (alike.queries, alike.clusters) == (120, 20)
    assert alike.gain.value == pytest.approx(plain.gain.value)
    assert alike.gain.high - alike.gain.low != plain.gain.high - plain.gain.low


def test_of_few_kin_nothing_is_concluded_however_many_queries(
    default: Artefact, fitted: Artefact, held_out: Recorded
) -> None:
    """A table of three held-out rows gives any number of questions, and three of them."""
    rows_of = {query: f"row {place % 3}" for place, query in enumerate(held_out.queries)}
    found = compare(default, fitted, recorded=held_out, setup=replace(SETUP, kin=lambda _: rows_of))
    assert (found.queries, found.clusters) == (120, 3)
    assert found.gain.floor > 0.0
    assert found.verdict == "too little to tell"
    assert found.needed is not None
    assert found.needed >= 400
    assert "variants of 3, and of fewer than 10 nothing is concluded" in explained(found)


def test_rows_that_nobody_scored_do_not_spoil_the_parts_of_those_that_count() -> None:
    preamble = " ".join(f"word{n}" for n in range(90))
    prompts = [f"{preamble} {n}" for n in range(90)]
    prompts += [f"Question of its own, number {n}." for n in range(600)]
    rows = recorded([["a"]] * len(prompts), models=["m"], prompts=prompts)
    scores = np.full((len(prompts), 1), np.nan)
    scores[:90] = 1.0
    policy = artefacts.read(Path(config.__file__).parent / "policy")
    found = stand_ins(replace(rows, scores=scores), lambda _: policy, kin=partial(kin, []))
    assert [len(one.recorded.queries) for one in found] == [18] * PARTS


def test_parts_are_of_equal_size_where_kin_are_not(held_out: Recorded) -> None:
    sizes = (20, 20, 20, 10, 10, 10, 10, 8, 6, 4, 2)
    names = [name for name, size in enumerate(sizes) for _ in range(size)]
    alike = {query: str(name) for query, name in zip(held_out.queries, names, strict=True)}
    policy = artefacts.read(Path(config.__file__).parent / "policy")
    for seed in range(5):
        found = stand_ins(held_out, lambda _: policy, kin=lambda _: alike, seed=seed)
        assert max(len(one.recorded.queries) for one in found) <= 30


def test_a_policy_that_is_worse_where_most_requests_are_is_worse(
    fitted: Artefact, held_out: Recorded
) -> None:
    safe = fitted.arrays["plan/lookahead_safe"].copy()
    safe[28:33] = 0
    poor = replace(fitted, arrays={**fitted.arrays, "plan/lookahead_safe": safe})
    setup = replace(SETUP, prefer=None)
    found = compare(fitted, poor, recorded=held_out, setup=setup)
    assert found.gain.value < 0.0
    assert found.verdict == "worse"
    margin = Rule(margin=0.9)
    setup = replace(setup, rule=margin)
    lenient = compare(fitted, poor, recorded=held_out.rows(range(60)), setup=setup)
    assert lenient.verdict == "no worse"


def test_stand_ins_count_only_over_what_was_not_fitted_on_their_rows(
    tmp_path: Path, default: Artefact, fitted: Artefact, held_out: Recorded
) -> None:
    versions = Versions(tmp_path / "policies")
    mine, further = held_out.rows(range(60)), held_out.rows(range(60, 120))
    setup = replace(
        SETUP, stand_ins=lambda: [HeldOut(policy=spoilt(fitted), recorded=further)], prefer=1.0
    )
    done = consider(versions, versions.add(fitted), held_out=mine, default=default, setup=setup)
    assert done.comparison is not None
    assert done.comparison.queries == 120
    versions.promote(versions.add(spoilt(fitted)), why="by hand")
    done = consider(versions, versions.add(fitted), held_out=mine, default=default, setup=setup)
    assert done.comparison is not None
    assert done.comparison.queries == 60


def test_where_no_setting_is_fixed_a_policy_is_worth_its_mean_over_the_dial(
    default: Artefact, fitted: Artefact, held_out: Recorded
) -> None:
    rows = held_out.rows(range(40))
    found = compare(default, fitted, recorded=rows, setup=replace(SETUP, prefer=None))
    each = [
        compare(default, fitted, recorded=rows, setup=replace(SETUP, prefer=prefer))
        for prefer in DIAL
    ]
    assert found.gain.value == pytest.approx(np.mean([one.gain.value for one in each]))
    assert found.accuracy.value == pytest.approx(np.mean([one.accuracy.value for one in each]))
    assert found.prefer is None
    assert found.usd_per_quality is None
    assert found.candidate.aiq is not None
    assert "held-out queries over the dial" in explained(found)
    assert "prefer" not in found.figures


def test_an_undecided_comparison_says_how_many_queries_would_decide(better: Comparison) -> None:
    gain = Estimate(value=0.01, low=-0.02, high=0.04, floor=-0.01, ceiling=0.03, above=0.7)
    found = replace(better, gain=gain, verdict="too little to tell", needed=480)
    assert explained(found).endswith("at prefer 0.6; about 480 would tell")


def test_more_queries_narrow_the_gain_as_was_told(
    default: Artefact, fitted: Artefact, held_out: Recorded
) -> None:
    setup = replace(SETUP, rule=Rule(fewest=1))
    found = (
        compare(default, fitted, recorded=held_out.rows(range(n)), setup=setup)
        for n in (12, 16, 20, 24)
    )
    unsure = [one for one in found if one.gain.value > 0.0 >= one.gain.floor]
    assert unsure
    for one in unsure:
        assert one.verdict == "too little to tell"
        assert one.needed is not None
        assert one.queries <= one.needed < 2000
