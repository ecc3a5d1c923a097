"""The promise behind "accepted", as the value that is stored and asked."""

from __future__ import annotations

import io

import numpy as np
import pytest
from msgspec.structs import replace

from emafusion.judge.guarantee import Guarantee

PROMISED = Guarantee(
    alpha=0.02,
    delta=0.1,
    threshold=0.75,
    certified=True,
    relative=True,
    reason="accepted answers are right often enough – 2 %",
    calibrated_on=1200,
    coverage=0.6,
)
REFUSED = replace(PROMISED, threshold=float("inf"), certified=False, coverage=0.0, reason="no")


def test_accepts_what_reaches_the_threshold() -> None:
    assert PROMISED.accepts(0.75)
    assert not PROMISED.accepts(0.7499)
    assert not PROMISED.accepts(float("nan"))


def test_nothing_is_accepted_without_a_promise() -> None:
    assert not REFUSED.accepts(1.0)
    assert not replace(REFUSED, threshold=0.0).accepts(1.0)


@pytest.mark.parametrize("guarantee", [PROMISED, REFUSED])
def test_arrays_hold_all_of_it(guarantee: Guarantee) -> None:
    stored = io.BytesIO()
    np.savez(stored, **guarantee.to_arrays())  # type: ignore[arg-type]  # numpy's stub misreads **
    stored.seek(0)
    with np.load(stored, allow_pickle=False) as arrays:
        assert Guarantee.from_arrays(dict(arrays)) == guarantee
