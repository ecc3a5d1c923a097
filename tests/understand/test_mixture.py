"""Fitting the mixture: help that is real gets a weight, help that is luck gets none."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from emafusion.errors import DataError
from emafusion.learn.fit_mixture import fit_mixture
from emafusion.types import AXES, Axis, Labels

LABELS = ("a", "b", "c", "d")


def readings(sure: list[float], truth: list[str], rng: np.random.Generator) -> list[Labels]:
    """What a calibrated fast classifier says: right with the probability that it states."""
    rows = []
    for top, label in zip(sure, truth, strict=True):
        said = label if rng.random() < top else str(rng.choice([x for x in LABELS if x != label]))
        shares = {name: top if name == said else (1 - top) / 3 for name in LABELS}
        rows.append(Labels(axes=dict.fromkeys(AXES, shares)))
    return rows


def drawn(
    right: float, n: int = 300
) -> tuple[list[Labels], list[Mapping[Axis, str]], list[Mapping[Axis, str]]]:
    rng = np.random.default_rng(3)
    truth = rng.choice(LABELS, n).tolist()
    fast = readings([0.3 if i % 2 else 0.97 for i in range(n)], truth, rng)
    says = [t if rng.random() < right else str(rng.choice(LABELS)) for t in truth]
    named: list[Mapping[Axis, str]] = [{"task": said} for said in says]
    return fast, named, [dict.fromkeys(AXES, label) for label in truth]


def test_a_good_slow_classifier_is_asked_where_the_fast_one_is_unsure() -> None:
    mixture = fit_mixture(*drawn(right=0.95))
    assert mixture.weight["task"] > 0.4
    assert mixture.trust["task"] > 0.9
    assert 0.3 < mixture.unsure < 0.97
    assert [mixture.weight[axis] for axis in AXES if axis != "task"] == [0.0, 0.0, 0.0]


def test_a_guessing_slow_classifier_is_never_asked() -> None:
    mixture = fit_mixture(*drawn(right=0.0))
    assert set(mixture.weight.values()) == {0.0}
    assert mixture.unsure == 0.0


def test_too_few_prompts_are_refused() -> None:
    fast, named, truth = drawn(right=0.9, n=8)
    with pytest.raises(DataError, match="5 prompts"):
        fit_mixture(fast[:3], named[:3], truth[:3])
    with pytest.raises(DataError, match="each read"):
        fit_mixture(fast, named[:7], truth)
