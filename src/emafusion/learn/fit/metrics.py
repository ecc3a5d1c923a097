"""How well a fit does on rows it was not fitted on, in the field's figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emafusion.evaluate.recorded import Recorded
from emafusion.learn.fit.deciding import Decided
from emafusion.learn.fit.evidence import best_of
from emafusion.learn.fit.judging import Judged
from emafusion.learn.fit.lattice import walk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

BINS = 10
DIAL = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""The settings of ``prefer`` whose accuracy and cost go into the manifest."""


def measure(recorded: Recorded, qualities: Array, judged: Judged) -> dict[str, float]:
    """Out-of-fold figures of the forecast and of the panel.

    ``forecast_auroc`` and ``panel_auroc`` tell right from wrong over single drafts before and
    after reading them; ``panel_auroc_3`` over the best of three; ``panel_ece`` is the expected
    calibration error over all hands; ``best_single`` and ``oracle`` are accuracies.
    """
    import numpy as np

    full = ~np.isnan(recorded.scores).any(axis=1)
    rows = list(zip(judged.hands, judged.confidences, strict=True))
    lone = [
        (float(c[0]), h.right[0], float(qualities[h.query, h.models[0]]))
        for h, c in rows
        if len(h.models) == 1
    ]
    table = np.array(lone).reshape(-1, 3)
    best = np.array([(float(c.max()), h.right[int(c.argmax())]) for h, c in rows]).reshape(-1, 2)
    threes = np.array(
        [(float(c.max()), h.right[int(c.argmax())]) for h, c in rows if len(h.models) == 3]
    ).reshape(-1, 2)
    return {
        "forecast_auroc": auroc(table[:, 2], table[:, 1]),
        "panel_auroc": auroc(table[:, 0], table[:, 1]),
        "panel_auroc_3": auroc(threes[:, 0], threes[:, 1]),
        "panel_ece": expected_calibration_error(best[:, 0], best[:, 1]),
        "best_of_three": float(threes[:, 1].mean()) if len(threes) else float("nan"),
        "best_single": float(recorded.scores[full].mean(axis=0).max()),
        "oracle": float(recorded.scores[full].max(axis=1).mean()),
    }


def walks(decided: Decided) -> dict[str, float]:
    """Held-out accuracy and cost, in shares of the best single model's, along the dial."""
    evidence = decided.evidence
    best = best_of(evidence.scores)
    base = float(evidence.costs[:, best].mean()) or 1.0
    found = {"rows": float(len(evidence.scores)), "best": float(evidence.scores[:, best].mean())}
    for prefer in DIAL:
        setting = decided.rules.lookahead.setting(prefer)
        done = walk(
            decided.rules, evidence, decided.states, members=decided.members, setting=setting
        )
        found[f"accuracy_at_{prefer:g}"] = float(done.score.mean())
        found[f"cost_share_at_{prefer:g}"] = float(done.cost.mean()) / base
        found[f"ece_at_{prefer:g}"] = expected_calibration_error(done.confidence, done.score)
    return found


def auroc(values: Array, right: Array) -> float:
    """P(a right draft has the higher value), ties counted half (Hanley & McNeil, 1982)."""
    import numpy as np
    from scipy.stats import rankdata

    hit = np.asarray(right) >= 0.5
    hits, misses = int(hit.sum()), int((~hit).sum())
    if not hits or not misses:
        return float("nan")
    ranks = rankdata(values)
    return float((ranks[hit].sum() - hits * (hits + 1) / 2) / (hits * misses))


def expected_calibration_error(confidences: Array, right: Array) -> float:
    """Mean |confidence − accuracy| over equally filled bins, weighted by their sizes (ECE)."""
    import numpy as np

    order = np.argsort(confidences)
    gaps = [
        abs(float(confidences[part].mean() - right[part].mean())) * len(part)
        for part in np.array_split(order, BINS)
        if len(part)
    ]
    return float(sum(gaps) / max(len(order), 1))
