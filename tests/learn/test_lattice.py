"""The look-ahead on worlds whose best policy is known."""

from __future__ import annotations

import numpy as np
import pytest

from emafusion.learn.fit import lattice
from emafusion.learn.fit.answering import States
from emafusion.learn.fit.evidence import NOBODY, Evidence
from emafusion.plan.lookahead import STOP, Standing
from emafusion.types import replace

CHEAP, DEAR = 0, 1
MEMBERS = (CHEAP, DEAR)
BILLS = (1e-4, 1e-3)


def world(seed: int, queries: int = 800, *, told: bool = True) -> tuple[Evidence, States]:
    """A cheap model that is right six times in ten, and a dear one nine times in ten.

    The cheap draft's surface tells whether it is right, where `told`; else it is always as sure.
    Where the cheap draft is trusted it stays the answer once both have spoken.
    """
    rng = np.random.default_rng(seed)
    right = rng.random((queries, 2)) < (0.6, 0.9)
    sure = np.where(right[:, CHEAP], 0.95, 0.05) if told else np.full(queries, 0.6)
    sure = np.clip(sure + rng.normal(0.0, 0.01, queries), 0.01, 0.99)
    dear = np.clip(np.full(queries, 0.9) + rng.normal(0.0, 0.01, queries), 0.01, 0.99)
    keep = sure > dear
    one = np.zeros((queries, 2), dtype=bool)
    first, second, both = one.copy(), one.copy(), one.copy()
    first[:, CHEAP] = second[:, DEAR] = True
    both[keep, CHEAP] = both[~keep, DEAR] = True
    states = States(
        best={0: np.zeros(queries), 1: sure, 2: dear, 3: np.maximum(sure, dear)},
        second={0: np.zeros(queries), 1: np.zeros(queries), 2: np.zeros(queries),
                3: np.minimum(sure, dear)},
        tops={0: one, 1: first, 2: second, 3: both},
    )  # fmt: skip
    bills = np.array(BILLS) * rng.uniform(0.8, 1.2, (queries, 2))
    evidence = Evidence(
        pool=("cheap", "dear"),
        priors=np.tile(np.log([1.5, 9.0]), (queries, 1)),
        expected=np.tile(BILLS, (queries, 1)),
        surplus=np.zeros((queries, 2)),
        surfaces=np.zeros((queries, 2, 1)),
        answers=np.tile([0, 1], (queries, 1)),
        flagged=np.zeros((queries, 2), dtype=bool),
        scores=right.astype(float),
        costs=bills,
        fold=np.arange(queries) % 5,
    )
    return evidence, states


FITTED = lattice.fit(*world(0), MEMBERS)
SETTINGS = range(lattice.SETTINGS)


def unseen(setting: int, *, told: bool = True) -> tuple[lattice.Walk, Evidence, States]:
    """The fitted rule on queries of the same world that no fit has seen."""
    evidence, states = world(1)
    rules = lattice.decide(FITTED.lookahead, evidence, states, members=MEMBERS)
    walked = lattice.walk(rules, evidence, states, members=MEMBERS, setting=setting)
    return walked, evidence, states


def test_the_cheap_model_is_asked_first_and_doubted_drafts_go_on() -> None:
    """At this price the dear model's nine in ten are worth its bill only after a bad surface."""
    walked, _, states = unseen(FITTED.lookahead.setting(0.5))
    doubted = states.best[1] < 0.5
    assert (walked.calls[:, 0] == CHEAP).all()
    assert (walked.calls[doubted, 1] == DEAR).all()
    assert (walked.calls[~doubted, 1] == STOP).all()


def test_the_rule_beats_the_best_single_model_at_lower_cost() -> None:
    walked, evidence, _ = unseen(FITTED.lookahead.setting(0.5))
    assert walked.score.mean() > evidence.scores[:, DEAR].mean() + 0.03
    assert walked.cost.mean() < 0.7 * evidence.costs[:, DEAR].mean()
    assert abs(walked.confidence.mean() - walked.score.mean()) < 0.05


def test_a_surface_that_tells_nothing_is_not_paid_for_twice() -> None:
    """No draft of the cheap model is worth keeping at a price that pays for the dear one."""
    rules = lattice.fit(*world(2, told=False), MEMBERS)
    evidence, states = world(3, told=False)
    decided = lattice.decide(rules.lookahead, evidence, states, members=MEMBERS)
    dearest = lattice.walk(decided, evidence, states, members=MEMBERS, setting=lattice.SETTINGS - 1)
    cheapest = lattice.walk(decided, evidence, states, members=MEMBERS, setting=0)
    assert (dearest.calls[:, 0] == DEAR).all()
    assert (dearest.calls[:, 1] == STOP).all()
    assert (cheapest.calls[:, 0] == CHEAP).all()
    assert (cheapest.calls[:, 1] == STOP).all()


def test_cost_falls_as_the_price_of_quality_falls() -> None:
    spent = [unseen(setting)[0].cost.mean() for setting in SETTINGS]
    assert (np.diff(spent) >= -1e-9).all()
    assert spent[0] < spent[-1]
    assert (np.diff(FITTED.lookahead.prices) > 0.0).all()


@pytest.mark.parametrize("setting", [0, lattice.SETTINGS // 2, lattice.SETTINGS - 1])
def test_a_walk_costs_the_sum_of_its_calls_and_returns_one_of_them(setting: int) -> None:
    walked, evidence, states = unseen(setting)
    for query, calls in enumerate(walked.calls.tolist()):
        asked = [member for member in calls if member != STOP]
        assert asked
        assert len(set(asked)) == len(asked)
        assert calls == asked + [STOP] * (2 - len(asked))
        assert walked.cost[query] == pytest.approx(sum(evidence.costs[query, m] for m in asked))
        assert walked.source[query] in asked
        assert walked.score[query] == evidence.scores[query, walked.source[query]]
        number = sum(1 << member for member in asked)
        assert walked.confidence[query] == states.best[number][query]


def test_the_outlook_is_what_walks_bring_on_average() -> None:
    for prefer in (0.2, 0.5, 1.0):
        setting = FITTED.lookahead.setting(prefer)
        walked, evidence, states = unseen(setting)
        start = Standing(
            best=states.best[0],
            second=states.second[0],
            priors=evidence.priors,
            costs=evidence.expected,
        )
        quality, cost = FITTED.lookahead.expect(setting, start).mean(axis=0)
        assert quality == pytest.approx(walked.score.mean(), abs=0.05)
        assert cost == pytest.approx(walked.cost.mean(), rel=0.1)


def test_a_querys_own_outcome_never_decides_its_walk() -> None:
    """Held-out decisions do not move when the query's own states beyond the decision change."""
    evidence, states = world(4, queries=200)
    before = lattice.fit(evidence, states, MEMBERS).decisions
    changed = States(best=dict(states.best), second=states.second, tops=states.tops)
    changed.best[3] = states.best[3].copy()
    changed.best[3][evidence.fold == 2] = 0.0
    after = lattice.fit(evidence, changed, MEMBERS).decisions
    own = evidence.fold == 2
    for key, choice in before.items():
        assert np.array_equal(choice[own], after[key][own]), key
    assert any(not np.array_equal(choice[~own], after[key][~own]) for key, choice in before.items())


def test_rows_outside_every_fold_teach_nothing() -> None:
    evidence, states = world(5, queries=200)
    plain = lattice.fit(evidence.rows(np.arange(150)), _rows(states, 150), MEMBERS)
    fold = evidence.fold.copy()
    fold[150:] = NOBODY
    fields = {name: getattr(evidence, name) for name in evidence.__struct_fields__}
    marked = lattice.fit(Evidence(**{**fields, "fold": fold}), states, MEMBERS)
    for name, array in plain.lookahead.to_arrays(evidence.pool).items():
        assert marked.lookahead.to_arrays(evidence.pool)[name] == pytest.approx(array, abs=1e-6)


def test_depth_bounds_how_many_are_asked() -> None:
    evidence, states = world(6)
    rules = lattice.fit(evidence, states, MEMBERS, depth=1)
    for setting in SETTINGS:
        walked = lattice.walk(rules, evidence, states, members=MEMBERS, setting=setting)
        assert (walked.calls[:, 1] == STOP).all()


def _rows(states: States, count: int) -> States:
    return States(
        best={number: array[:count] for number, array in states.best.items()},
        second={number: array[:count] for number, array in states.second.items()},
        tops={number: array[:count] for number, array in states.tops.items()},
    )


def test_a_rule_that_shows_no_worth_gives_way_to_the_best_single_model() -> None:
    """Nothing tells a right cheap draft, and the cheap model is never right where it costs most."""
    evidence, states = world(4, told=False)
    evidence = replace(evidence, costs=evidence.costs * (6.0, 1.0))
    evidence = replace(evidence, expected=evidence.expected * (6.0, 1.0))
    rules = lattice.fit(evidence, states, MEMBERS)
    kept = [rules.lookahead.safe(setting) for setting in SETTINGS]
    assert DEAR in kept
    setting = kept.index(DEAR)
    walked = lattice.walk(rules, evidence, states, members=MEMBERS, setting=setting)
    assert (walked.source == DEAR).all()
    assert walked.cost.sum() == pytest.approx(evidence.costs[:, DEAR].sum())
    other, seen = world(5, told=False)
    decided = lattice.decide(rules.lookahead, other, seen, members=MEMBERS)
    lone = lattice.walk(decided, other, seen, members=MEMBERS, setting=setting)
    assert (lone.calls[:, 0] == DEAR).all()
    assert (lone.calls[:, 1] == STOP).all()


def test_a_rule_that_shows_its_worth_is_kept() -> None:
    assert FITTED.lookahead.safe(FITTED.lookahead.setting(0.5)) is None
