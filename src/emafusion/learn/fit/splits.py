"""Whether a guarantee is kept: calibrate on a part of the rows, count violations on the rest.

Knows how to split and count; the guarantee itself is made elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from emafusion.errors import ConfigError
from emafusion.learn.fit.guarantee import Answers, Terms, loosest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ONE_SIDED_95 = 1.645
ROUNDING = 1e-12


class Kept(Struct, frozen=True, kw_only=True):
    """What repeated splits have shown.

    Parameters
    ----------
    splits : int
        Number of random splits.
    certified : float
        Share of the splits in which a threshold was certified; the others cannot be violated.
    violated : float
        Share of all splits whose held-out rows, those accepted, have a mean loss above α.
    beyond : float
        Share of all splits in which it lies above α by more than 1.645 standard errors of its own.
    coverage : float
        Mean share of the held-out rows that were accepted, over all splits.
    risk : float
        Mean loss of accepted held-out rows, over the splits that accepted any; NaN if none did.
    """

    splits: int
    certified: float
    violated: float
    beyond: float
    coverage: float
    risk: float


def verify(
    answers: Answers, terms: Terms, *, share: float = 0.5, splits: int = 200, seed: int = 0
) -> Kept:
    """Certify on a random part of the rows and count violations on the rest, `splits` times.

    The held-out risk is itself an estimate: under the default terms ``violated`` may exceed δ
    though the promise, which is about the risk itself, is kept; ``beyond`` allows for that, and
    terms with ``held_out`` bound ``violated`` itself. Splits of one sample are not independent.

    Parameters
    ----------
    share : float in (0, 1)
        Share of the rows that is held out.
    """
    import numpy as np

    if not 0 < share < 1 or splits < 1:
        raise ConfigError(f"cannot hold out {share!r} of the rows {splits!r} times")
    rng = np.random.default_rng(seed)
    cut = max(1, round(share * len(answers)))
    rows = np.full((splits, 4), np.nan)
    for row in rows:
        order, drawn = rng.permutation(len(answers)), int(rng.integers(2**31))
        threshold = loosest(answers.take(order[cut:]), terms, seed=drawn)
        test = answers.take(order[:cut])
        kept = test.confidences >= (np.inf if threshold is None else threshold)
        row[:] = threshold is not None, *_risk(test.losses[kept]), kept.mean()
    certified, risk, error, coverage = rows.T
    excess = risk - terms.alpha
    return Kept(
        splits=splits,
        certified=float(certified.mean()),
        violated=float((excess > ROUNDING).mean()),
        beyond=float((excess > ONE_SIDED_95 * error + ROUNDING).mean()),
        coverage=float(coverage.mean()),
        risk=float(np.nanmean(risk)) if np.isfinite(risk).any() else float("nan"),
    )


def _risk(losses: NDArray[np.float64]) -> tuple[float, float]:
    """Mean loss and its standard error; NaN where there is none."""
    if len(losses) < 2:
        return (float(losses.mean()) if len(losses) else float("nan")), 0.0
    return float(losses.mean()), float(losses.std(ddof=1)) / len(losses) ** 0.5
