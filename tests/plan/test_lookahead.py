"""The laws of deciding whom to ask next."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emafusion.errors import ArtefactError
from emafusion.plan.lookahead import NOBODY, STOP, Lookahead, Standing, columns

POOL = ("other", "a", "b", "c", "d")
MEMBERS = ("c", "a", "d", "b")
SETTINGS = 5
SEEDS = st.integers(0, 10_000)
NUMBERS = st.integers(0, (1 << len(MEMBERS)) - 1)


def standing(seed: int, queries: int = 20) -> Standing:
    rng = np.random.default_rng(seed)
    best = rng.random(queries)
    return Standing(
        best=best,
        second=best * rng.random(queries),
        priors=rng.normal(0.0, 2.0, (queries, len(MEMBERS))),
        costs=rng.exponential(1e-3, (queries, len(MEMBERS))),
    )


def one(where: Standing, query: int) -> Standing:
    keep = slice(query, query + 1)
    return Standing(
        best=where.best[keep],
        second=where.second[keep],
        priors=where.priors[keep],
        costs=where.costs[keep],
    )


def rule(seed: int = 0) -> Lookahead:
    rng = np.random.default_rng(seed)
    sets, size = 1 << len(MEMBERS), len(MEMBERS)
    width = columns(standing(0)).shape[1]
    return Lookahead(
        MEMBERS,
        np.geomspace(1e-3, 1e-1, SETTINGS),
        mean=rng.normal(size=(sets, width)),
        scale=rng.uniform(0.5, 2.0, (sets, width)),
        weights=rng.normal(0.0, 0.1, (sets, SETTINGS, width + 1, size)),
        outlook=rng.normal(0.0, 0.1, (SETTINGS, width + 1, 2)),
    )


def unheard(number: int) -> list[int]:
    return [place for place in range(len(MEMBERS)) if not number >> place & 1]


@given(SEEDS, NUMBERS, st.integers(0, SETTINGS - 1), st.data())
def test_only_those_who_may_be_asked_are_asked(
    seed: int, number: int, setting: int, data: st.DataObject
) -> None:
    """Neither the heard nor the forbidden; from the start somebody always is."""
    rest = unheard(number)
    allowed = data.draw(st.lists(st.sampled_from(rest), unique=True)) if rest else []
    found = rule(seed).decide(number, setting, standing(seed), allowed=allowed)
    assert set(found.tolist()) <= {STOP, *allowed}
    if not allowed:
        assert (found == STOP).all()
    elif number == 0:
        assert (found != STOP).all()


@given(SEEDS, NUMBERS, st.integers(0, SETTINGS - 1))
def test_many_queries_are_decided_as_each_alone(seed: int, number: int, setting: int) -> None:
    fitted, where = rule(seed), standing(seed)
    allowed = unheard(number)
    together = fitted.decide(number, setting, where, allowed=allowed).tolist()
    expected = fitted.expect(setting, where)
    for query, choice in enumerate(together):
        alone = one(where, query)
        assert fitted.decide(number, setting, alone, allowed=allowed).tolist() == [choice]
        assert fitted.expect(setting, alone)[0] == pytest.approx(expected[query])


def test_asking_goes_on_while_it_gains_more_than_it_costs() -> None:
    """Intercepts alone: a brings 0.3 and b 0.2 for a tenth of the price."""
    base = rule()
    weights = np.zeros((16, SETTINGS, columns(standing(0)).shape[1] + 1, 4))
    weights[:, :, 0, 0], weights[:, :, 0, 1] = 0.3, 0.2
    arrays = {**base.to_arrays(POOL), "lookahead_weights": weights}
    arrays["lookahead_prices"] = np.array([0.001, 0.01, 0.1, 1.0, 10.0])
    fitted = Lookahead.from_arrays(arrays, POOL)
    where = Standing(
        best=np.array([0.5]),
        second=np.zeros(1),
        priors=np.zeros((1, 4)),
        costs=np.array([[0.01, 0.001, 0.01, 0.01]]),
    )
    chosen = [int(fitted.decide(4, s, where, allowed=[0, 1])[0]) for s in range(SETTINGS)]
    assert chosen == [STOP, 1, 0, 0, 0]


def test_the_dial_reaches_both_ends() -> None:
    fitted = rule()
    found = [fitted.setting(prefer) for prefer in (0.0, 0.25, 0.5, 1.0)]
    assert found == [0, 1, 2, SETTINGS - 1]


@given(st.lists(st.sampled_from(MEMBERS)))
def test_a_set_has_one_number_whatever_the_order(names: list[str]) -> None:
    fitted = rule()
    number = fitted.number(names)
    assert number == fitted.number(names[::-1])
    assert {MEMBERS[place] for place in range(4) if number >> place & 1} == set(names)


@given(SEEDS)
def test_a_rule_survives_its_arrays_to_single_precision(seed: int) -> None:
    before = rule(seed)
    after = Lookahead.from_arrays(before.to_arrays(POOL), POOL)
    assert after.members == before.members
    assert np.array_equal(after.prices, before.prices)
    where = standing(seed)
    for setting in range(SETTINGS):
        assert after.expect(setting, where) == pytest.approx(
            before.expect(setting, where), abs=1e-5
        )
    again = after.to_arrays(POOL)
    for name, array in before.to_arrays(POOL).items():
        assert np.array_equal(again[name], array), name


def test_decisions_survive_the_arrays_where_they_are_not_a_matter_of_rounding() -> None:
    before = rule()
    after = Lookahead.from_arrays(before.to_arrays(POOL), POOL)
    where = standing(1, queries=500)
    for number in range(15):
        told = [r.decide(number, 2, where, allowed=unheard(number)) for r in (before, after)]
        assert (told[0] == told[1]).mean() > 0.99


@pytest.mark.parametrize("absent", ["prices", "mean", "scale", "weights", "outlook"])
def test_a_rule_with_a_part_missing_is_refused_by_its_name(absent: str) -> None:
    arrays = rule().to_arrays(POOL)
    del arrays[f"lookahead_{absent}"]
    with pytest.raises(ArtefactError, match=f"lookahead_{absent}"):
        Lookahead.from_arrays(arrays, POOL)


def test_under_the_guard_one_member_serves_alone() -> None:
    """From the start it is asked, and nobody after it; other settings decide as before."""
    free, where = rule(), standing(3)
    kept = free.guarded(np.array([NOBODY, 2, NOBODY, NOBODY, NOBODY]))
    assert (kept.decide(0, 1, where, allowed=range(4)) == 2).all()
    for number in (4, 5, 15):
        assert (kept.decide(number, 1, where, allowed=unheard(number)) == STOP).all()
    again = Lookahead.from_arrays(kept.to_arrays(POOL), POOL)
    assert [again.safe(setting) for setting in range(SETTINGS)] == [None, 2, None, None, None]
    assert free.safe(1) is None
    for number in (0, 1, 6):
        assert np.array_equal(
            kept.decide(number, 0, where, allowed=unheard(number)),
            free.decide(number, 0, where, allowed=unheard(number)),
        )


def test_where_the_safe_member_may_not_be_asked_the_rule_decides() -> None:
    free, where = rule(), standing(3)
    kept = free.guarded(np.full(SETTINGS, 2))
    allowed = [0, 1, 3]
    assert np.array_equal(
        kept.decide(0, 1, where, allowed=allowed), free.decide(0, 1, where, allowed=allowed)
    )


@given(SEEDS)
def test_one_query_has_the_columns_it_has_among_many(seed: int) -> None:
    many = standing(seed)
    alone = np.concatenate([columns(one(many, query)) for query in range(len(many.best))])
    np.testing.assert_allclose(alone, columns(many), rtol=1e-12, atol=1e-12)
