"""What an arrangement will bring, before any model runs: expected quality, cost and latency.

A model of judging in three numbers a model can estimate from few outcomes. Each draft's
confidence carries a signal: its log-odds shift by L, normal with mean +d²/2 when the draft is
right and −d²/2 when it is wrong, variance d² (the equal-variance binormal model of signal
detection: Green & Swets, 1966). Successes of two models are tied by how far the second's
log-odds fall when the first is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct, field

from emafusion.types import Estimate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TYPICAL_SIGNAL = 1.2
TYPICAL_DROP = 0.7
"""For models without outcomes: judges tell right from wrong with AUROC 0.80, and a model's
log-odds fall by 0.7 where another has failed."""


class Signals(Struct, frozen=True, kw_only=True):
    """What is known of a pool's judging.

    ``alone`` is d for a model's lone draft, ``later`` d for its draft beside earlier ones; ``drop``
    the fall of the second model's log-odds given that the first is wrong; ``recovery`` the share of
    cases, the earlier draft right and the later wrong, in which the panel keeps the earlier, and
    ``damage`` the share of opposite cases in which it does so too; ``gains`` the log-odds a voting
    panel adds to its best member; ``judges`` d of each model's opinion as a judge.
    """

    alone: Mapping[str, float] = field(default_factory=dict)
    later: Mapping[str, float] = field(default_factory=dict)
    drop: Mapping[str, float] = field(default_factory=dict)
    recovery: float = 0.4
    damage: float = 0.1
    gains: Mapping[str, float] = field(default_factory=dict)
    judges: Mapping[str, float] = field(default_factory=dict)

    def to_arrays(self, pool: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """The signals as arrays, for an artefact; models in the order of `pool`."""
        import numpy as np

        return {
            "alone": np.array([self.signal(model, first=True) for model in pool]),
            "later": np.array([self.signal(model, first=False) for model in pool]),
            "drop": np.array([[self.fall(a, b) for b in pool] for a in pool]),
            "keeping": np.array([self.recovery, self.damage]),
            "gain_panels": np.array(list(self.gains), dtype=np.str_),
            "gain_values": np.array(list(self.gains.values()), dtype=np.float64),
            "judges": np.array([self.judges.get(model, 0.0) for model in pool]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], pool: Sequence[str]) -> Signals:
        """The signals that :meth:`to_arrays` laid down."""
        drop = arrays["drop"].tolist()
        recovery, damage = arrays["keeping"].tolist()
        panels, values = arrays["gain_panels"].tolist(), arrays["gain_values"].tolist()
        return cls(
            alone=dict(zip(pool, arrays["alone"].tolist(), strict=True)),
            later=dict(zip(pool, arrays["later"].tolist(), strict=True)),
            drop={
                f"{a}>{b}": drop[i][j]
                for i, a in enumerate(pool)
                for j, b in enumerate(pool)
                if i != j
            },
            recovery=recovery,
            damage=damage,
            gains=dict(zip(panels, values, strict=True)),
            judges=dict(zip(pool, arrays["judges"].tolist(), strict=True)),
        )

    def signal(self, model: str, *, first: bool) -> float:
        """d for a draft of `model`."""
        known = self.alone if first else self.later
        return known.get(model, TYPICAL_SIGNAL)

    def fall(self, earlier: str, later: str) -> float:
        """How far `later`'s log-odds fall where `earlier` is wrong."""
        return self.drop.get(f"{earlier}>{later}", TYPICAL_DROP)

    def gain(self, panel: Sequence[str]) -> float:
        """The log-odds that voting adds to the panel's best member; 0 where nothing is known."""
        return self.gains.get("+".join(sorted(panel)), 0.0)


class Outlook(Struct, frozen=True):
    """Expected quality, cost (US dollars) and latency (seconds) of chains × threshold settings."""

    quality: NDArray[np.float64]
    cost: NDArray[np.float64]
    latency: NDArray[np.float64]


def chain(
    estimates: Sequence[Estimate], thresholds: NDArray[np.float64], signals: Signals
) -> Outlook:
    """The outlook of asking `estimates`' models in turn.

    Parameters
    ----------
    estimates : sequence of k Estimate
        The tiers' models, in order.
    thresholds : ndarray, shape (n, k − 1)
        Accept thresholds in (0, 1) for each tier but the last; one setting a row.
    signals : Signals
        What is known of the pool's judging.

    Returns
    -------
    Outlook
        Arrays of shape (n,).
    """
    import numpy as np

    first, *rest = estimates
    ones = np.ones(len(thresholds))
    right, wrong = ones * first.quality, ones * (1.0 - first.quality)
    settled, cost, latency = ones * 0.0, ones * first.cost_usd, ones * first.latency_s
    earlier = first
    for place, later in enumerate(rest):
        d = signals.signal(earlier.model, first=place == 0)
        kept_right, kept_wrong = accepted(right, wrong, threshold=thresholds[:, place], signal=d)
        settled = settled + right * kept_right
        right, wrong = right * (1.0 - kept_right), wrong * (1.0 - kept_wrong)
        going_on = right + wrong
        cost = cost + going_on * later.cost_usd
        latency = latency + going_on * later.latency_s
        right, wrong = _step(right, wrong, earlier=earlier, later=later, signals=signals)
        earlier = later
    return Outlook(settled + right, cost, latency)


def accepted(
    right: NDArray[np.float64],
    wrong: NDArray[np.float64],
    *,
    threshold: NDArray[np.float64],
    signal: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The shares of right and of wrong drafts whose confidence reaches `threshold`."""
    import numpy as np

    prior = np.log(np.maximum(right, 1e-9) / np.maximum(wrong, 1e-9))
    bar = np.log(threshold / (1.0 - threshold))
    d = max(signal, 1e-3)
    z = (prior - bar) / d
    return _normal_cdf(z + d / 2), _normal_cdf(z - d / 2)


def _step(
    right: NDArray[np.float64],
    wrong: NDArray[np.float64],
    *,
    earlier: Estimate,
    later: Estimate,
    signals: Signals,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The masses of queries whose best draft is right or wrong, once `later` has spoken too."""
    import numpy as np

    fall = signals.fall(earlier.model, later.model)
    odds = later.quality / max(1.0 - later.quality, 1e-6) * np.exp(-fall)
    given_wrong = odds / (1.0 + odds)
    base = max(earlier.quality, 1e-6)
    given_right = np.clip((later.quality - (1.0 - base) * given_wrong) / base, given_wrong, 1.0)
    after = (
        right * given_right
        + right * (1.0 - given_right) * signals.recovery
        + wrong * given_wrong * (1.0 - signals.damage)
    )
    return after, right + wrong - after


def _normal_cdf(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Φ(z) by Abramowitz & Stegun 26.2.17; absolute error below 7.5e-8."""
    import numpy as np

    x = np.abs(z)
    t = 1.0 / (1.0 + 0.2316419 * x)
    series = t * (
        0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429)))
    )
    upper = np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi) * series
    below: NDArray[np.float64] = np.where(z >= 0, 1.0 - upper, upper)
    return below
