"""A few minutes' check of the decision core on recorded outcomes of real models.

Fits both routers, the panel and the planner on a sample of each data set below DATA (folders in the
interchange format), each query held out in turn, and prints what the policy would have scored and
cost. Exits 1 where a figure falls below its floor.

Run: ``python benchmarks/quick.py DATA [--queries 200]``
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from emafusion import artefacts, config, encoders
from emafusion.learn.fit import judging, rehearsal, routers, spending
from emafusion.learn.fit.policy import label_names
from emafusion.evaluate.recorded import Recorded, read
from emafusion.plan import Dial
from emafusion.predict import Features
from emafusion.understand import FastClassifier

SETS = ("mmlu-pro", "reasoning")
PREFERS = (0.2, 0.4, 0.6, 0.8, 1.0)
SLACK = 0.03
"""How far below the best single model the best setting may fall on so small a sample."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--queries", type=int, default=200)
    given = parser.parse_args()
    found = [check(given.data / name, given.queries) for name in SETS]
    return 0 if all(found) else 1


def check(folder: Path, count: int) -> bool:
    """One data set; whether every figure holds."""
    began = time.monotonic()
    recorded = sample(read(folder).where(("train", "val")), count)
    features, inputs = prepared(recorded)
    chosen, qualities = routers.choose(features, inputs, seed=0)
    alone = routers.separate(features, inputs, chosen=chosen, seed=0)
    losses = {name: routers.log_loss(rates, recorded.scores) for name, rates in alone.items()}
    losses["union"] = routers.log_loss(qualities, recorded.scores)
    told = judging.forecasts(recorded, qualities)
    judged = judging.panel(recorded, told, 0)
    signals = judging.signals(recorded, judged, qualities)
    dial = Dial(prices=tuple(spending.dial(told, signals).tolist()))
    points = rehearsal.rehearse(
        recorded, told, judged=judged, signals=signals, dial=dial, prefers=PREFERS
    )
    single, base = best_single(recorded)
    print(f"\n{folder.name}: {len(recorded.queries)} queries × {len(recorded.models)} models")
    print(f"  best single model: accuracy {single:.4f} at ${base:.5f}")
    print("  log-loss: " + ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items()))
    for point in points:
        share = point.cost_usd / base
        print(
            f"  prefer {point.prefer:.1f}: accuracy {point.accuracy:.4f} at {share:.2f} × its cost"
        )
    best = max(points, key=lambda point: point.accuracy)
    held = {
        "the union is no worse than either router": losses["union"] <= min(losses.values()) + 1e-3,
        "the best setting is level with the best single model": best.accuracy >= single - SLACK,
    }
    for claim, holds in held.items():
        print(f"  {'ok  ' if holds else 'FAIL'} {claim}")
    print(f"  {time.monotonic() - began:.0f} s")
    return all(held.values())


def sample(recorded: Recorded, count: int) -> Recorded:
    """`count` of the queries, the same ones each time."""
    keep = np.random.default_rng(0).permutation(len(recorded.queries))[:count]
    return recorded.rows(sorted(keep.tolist()))


def prepared(recorded: Recorded) -> tuple[Features, routers.Inputs]:
    """The routers' inputs, read with the shipped classifier and encoder."""
    encoder = encoders.Remembered(encoders.default(), size=len(recorded.queries))
    shipped = artefacts.read(Path(config.__file__).parent / "policy")
    classifier = FastClassifier.from_arrays(shipped.under("understand"), encoder)
    labels = tuple(classifier.read(prompt) for prompt in recorded.prompts)
    plain = Features(encoder, label_names(classifier))
    features = routers.standardised(plain, plain.vectors(recorded.prompts, labels))
    vectors = features.vectors(recorded.prompts, labels)
    return features, routers.Inputs(vectors=vectors, labels=labels, scores=recorded.scores)


def best_single(recorded: Recorded) -> tuple[float, float]:
    """The most accurate model's accuracy and mean cost in US dollars."""
    accuracy = np.nanmean(recorded.scores, axis=0)
    best = int(accuracy.argmax())
    return float(accuracy[best]), float(np.nanmean(recorded.costs[:, best]))


if __name__ == "__main__":
    sys.exit(main())
