"""What deciding costs: understand, predict and plan, no model called.

Prints milliseconds of CPU per live request (median and 95th percentile), and decisions per second
of the same arithmetic in batch, for a fitted POLICY on the prompts of a FOLDER of recorded
outcomes.

Run: ``python benchmarks/decision.py POLICY FOLDER [--queries 300]``
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

import numpy as np

from emafusion import artefacts, encoders
from emafusion.config.build import replaying
from emafusion.engine import Engine
from emafusion.evaluate.recorded import Recorded, read
from emafusion.evaluate.threads import one_thread
from emafusion.learn.benchmark.live import models
from emafusion.learn.fit import spending
from emafusion.plan import Lookahead
from emafusion.plan.lookahead import Standing
from emafusion.predict import Fitted
from emafusion.protocols import Port
from emafusion.types import Request
from emafusion.understand import FastClassifier


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("policy", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--queries", type=int, default=300)
    given = parser.parse_args()
    policy = artefacts.read(given.policy)
    recorded = read(given.folder)
    recorded = recorded.rows(list(range(min(given.queries, len(recorded.queries)))))
    with one_thread():
        engine = replaying(policy, models(recorded.models, spending.bills(recorded)), {})
        live = asyncio.run(decisions(engine, recorded))
        print(
            f"live: median {np.median(live) * 1e3:.2f} ms of CPU a decision, "
            f"95th percentile {np.quantile(live, 0.95) * 1e3:.2f} ms ({len(live)} decisions)"
        )
        print(f"batch: {batch(policy, recorded):,.0f} decisions a second of CPU")
    return 0


async def decisions(engine: Engine, recorded: Recorded) -> list[float]:
    """CPU seconds of each live decision; the first few warm the caches and do not count."""
    stages, pool = engine.stages, list(engine.models.values())
    found = []
    for number, prompt in enumerate(recorded.prompts):
        request = Request(id=str(number), messages=({"role": "user", "content": prompt},))
        began = time.process_time()
        labels = await stages.classifier.understand(request, Nobody())
        forecast = stages.predictor.predict(request, labels, pool)
        stages.planner.plan(request, forecast, pool)
        found.append(time.process_time() - began)
    return found[10:]


def batch(policy: artefacts.Artefact, recorded: Recorded) -> float:
    """First decisions a second of CPU, over prompts a thousand at a time."""
    encoder = encoders.Remembered(encoders.default())
    classifier = FastClassifier.from_arrays(policy.under("understand"), encoder)
    names = {axis: head.labels for axis, head in classifier.heads.items()}
    pool = policy.manifest.pool
    fitted = Fitted.from_arrays(policy.under("predict"), pool, encoder=encoder, labels=names)
    rule = Lookahead.from_arrays(policy.under("plan"), pool)
    places = [pool.index(name) for name in rule.members]
    prompts = (list(recorded.prompts) * (1000 // len(recorded.prompts) + 1))[:1000]
    rates = spending.bills(recorded).prices
    began = time.process_time()
    labels = classifier.read_all(prompts)
    vectors = fitted.features.vectors(prompts, labels)
    odds = fitted.log_odds(vectors, labels)
    lengths = fitted.lengths.tokens(vectors)
    counts = fitted.prompts(np.array([len(prompt) / 4.0 for prompt in prompts]))
    costs = counts * rates[0] + lengths * rates[1]
    zero = np.zeros(len(prompts))
    standing = Standing(best=zero, second=zero, priors=odds[:, places], costs=costs[:, places])
    rule.decide(0, rule.setting(0.5), standing, allowed=range(len(places)))
    return len(prompts) / (time.process_time() - began)


class Nobody(Port):
    """A port that calls nobody."""


if __name__ == "__main__":
    sys.exit(main())
