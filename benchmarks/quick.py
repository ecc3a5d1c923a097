"""A minute's check of the decision core on recorded outcomes of real models.

Fits routers, judges and look-ahead on a sample of each data set below DATA (folders in the
interchange format) and follows the fitted rule on recorded drafts at recorded costs, each query by
fits that left it out. Prints accuracy and cost along the dial against the best single model, the
forecast's log-loss against each router's alone, and the calibration of the confidence. Exits 1
where a figure falls below its floor.

Run: ``python benchmarks/quick.py DATA [--queries 600]``
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from emafusion import artefacts, config, encoders
from emafusion.evaluate.recorded import Recorded, read
from emafusion.evaluate.threads import one_thread
from emafusion.learn.fit import routers
from emafusion.learn.fit.metrics import DIAL
from emafusion.learn.fit.policy import Learnt, learn, prepare
from emafusion.understand import FastClassifier

SETS = ("mmlu-pro", "reasoning")
SLACK = 0.03
"""How far below the best single model the best setting may fall on so small a sample."""
WORST_ECE = 0.06


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--queries", type=int, default=600)
    given = parser.parse_args()
    with one_thread():
        found = [check(given.data / name, given.queries) for name in SETS]
    return 0 if all(found) else 1


def check(folder: Path, count: int) -> bool:
    """One data set; whether every figure holds."""
    began = time.monotonic()
    recorded = sample(read(folder).where(("train", "val")), count)
    learnt = fitted(recorded)
    figures = learnt.artefact.manifest.metrics
    losses = log_losses(learnt, recorded)
    print(f"\n{folder.name}: {len(recorded.queries)} queries × {len(recorded.models)} models")
    print(
        f"  best single model: accuracy {figures['best']:.4f} at {base(recorded):.5f} US$ a query"
    )
    print("  log-loss: " + ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items()))
    for prefer in DIAL:
        print("  " + point(figures, prefer))
    held = claims(figures, losses)
    for claim, holds in held.items():
        print(f"  {'ok  ' if holds else 'FAIL'} {claim}")
    print(f"  {time.monotonic() - began:.0f} s")
    return all(held.values())


def claims(figures: Mapping[str, float], losses: Mapping[str, float]) -> dict[str, bool]:
    """What must hold, and whether it does."""
    best = max(DIAL, key=lambda prefer: figures[f"accuracy_at_{prefer:g}"])
    level = figures[f"accuracy_at_{best:g}"] >= figures["best"] - SLACK
    return {
        "the union is no worse than either router": losses["union"] <= min(losses.values()) + 1e-3,
        "the best setting is level with the best single model": level,
        f"its calibration error is at most {WORST_ECE}": figures[f"ece_at_{best:g}"] <= WORST_ECE,
    }


def point(figures: Mapping[str, float], prefer: float) -> str:
    """One setting of the dial, in words."""
    accuracy, share, error = (
        figures[f"{name}_at_{prefer:g}"] for name in ("accuracy", "cost_share", "ece")
    )
    return (
        f"prefer {prefer:.1f}: accuracy {accuracy:.4f} at {share:.2f} × its cost, ECE {error:.3f}"
    )


def log_losses(learnt: Learnt, recorded: Recorded) -> dict[str, float]:
    """Each router's held-out log-loss, and the union's."""
    found = learnt.forecasts
    forecasts = {"taxonomy": found.taxonomy, "learned": found.learned, "union": found.union}
    return {name: routers.log_loss(rates, recorded.scores) for name, rates in forecasts.items()}


def sample(recorded: Recorded, count: int) -> Recorded:
    """`count` of the queries, the same ones each time."""
    keep = np.random.default_rng(0).permutation(len(recorded.queries))[:count]
    return recorded.rows(sorted(keep.tolist()))


def fitted(recorded: Recorded) -> Learnt:
    """A policy fitted on `recorded` with the shipped classifier and encoder."""
    encoder = encoders.Remembered(encoders.default(), size=len(recorded.queries))
    shipped = artefacts.read(Path(config.__file__).parent / "policy")
    classifier = FastClassifier.from_arrays(shipped.under("understand"), encoder)
    return learn(prepare(recorded, classifier=classifier, encoder=encoder))


def base(recorded: Recorded) -> float:
    """The mean bill of the most accurate model, in US dollars a query."""
    full = ~np.isnan(recorded.scores).any(axis=1)
    best = int(recorded.scores[full].mean(axis=0).argmax())
    return float(recorded.costs[full, best].mean())


if __name__ == "__main__":
    sys.exit(main())
