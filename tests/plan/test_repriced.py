"""A price that changes after the fit changes whom the guard keeps to, without refitting."""

from __future__ import annotations

import numpy as np
import pytest

from emafusion.plan import Lookahead
from emafusion.plan.lookahead import NOBODY

POOL = ("cheap", "dear")


def guarded() -> Lookahead:
    """At 100 dollars a unit of quality the dear one's 0.2 more are worth its price."""
    empty = np.zeros((4, 1))
    rule = Lookahead(
        POOL,
        np.array([100.0, 100.0]),
        mean=empty,
        scale=empty + 1.0,
        weights=np.zeros((4, 2, 2, 2)),
        outlook=np.zeros((2, 2, 2)),
    )
    return rule.guarded(np.array([1, NOBODY]), np.array([[0.6, 1.0], [0.8, 2.0]]))


@pytest.mark.parametrize(("ratios", "safe"), [((1.0, 1.0), 1), ((1.0, 5.0), 1), ((1.0, 20.0), 0)])
def test_the_guard_follows_the_prices(ratios: tuple[float, float], safe: int) -> None:
    rule = guarded().repriced(np.array(ratios))
    assert rule.safe(0) == safe
    assert rule.safe(1) is None


def test_a_cheaper_model_gets_the_guard_back() -> None:
    rule = guarded().repriced(np.array([1.0, 20.0])).repriced(np.array([1.0, 0.5]))
    assert rule.safe(0) == 1


def test_the_worth_is_kept_in_the_artefact() -> None:
    read = Lookahead.from_arrays(guarded().to_arrays(POOL), POOL)
    assert read.repriced(np.array([1.0, 20.0])).safe(0) == 0


def test_a_policy_that_did_not_note_it_stays_as_it_was() -> None:
    arrays = guarded().to_arrays(POOL)
    del arrays["lookahead_worth"]
    assert Lookahead.from_arrays(arrays, POOL).repriced(np.array([1.0, 20.0])).safe(0) == 1
