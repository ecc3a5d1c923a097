"""What can be promised of the accepted answers of each headline point, and how it held.

Over repeated random splits of the test rows, one half calibrates a threshold and the other counts
violations (DESIGN §2.4). It measures what a policy's confidences can support; no threshold is
shipped from here.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from emafusion.evaluate.recorded import Recorded
from emafusion.evaluate.runs import Run
from emafusion.learn.fit.guarantee import Answers, Terms
from emafusion.learn.fit.policy import Learnt
from emafusion.learn.fit.splits import verify

ALPHAS = (0.0, 0.01, 0.02, 0.05)
DELTA = 0.1
SPLITS = 200
FEWEST = 120
"""Rows below which nothing is tried."""


class Promise(Struct, frozen=True, kw_only=True):
    """One promise: answers accepted at ``alpha`` are wrong at most so much more often.

    ``certified``, ``violated`` and ``beyond`` are shares of random splits; ``coverage`` is the mean
    share of answers accepted.
    """

    point: str
    alpha: float
    delta: float
    certified: float
    violated: float
    beyond: float
    coverage: float

    def told(self) -> dict[str, float | str]:
        """As it goes into the report."""
        return {name: getattr(self, name) for name in self.__struct_fields__}


def promises(learnt: Learnt, headline: Mapping[str, Run], recorded: Recorded) -> list[Promise]:
    """Each point's promises at every α of :data:`ALPHAS`, against the best fitted single model."""
    best = int(learnt.evidence.scores.mean(axis=0).argmax())
    reference = recorded.scores[:, best]
    found = []
    for name, run in headline.items():
        if run.confidences is None or len(run.scores) < FEWEST:
            continue
        answers = Answers(confidences=run.confidences, scores=run.scores, reference=reference)
        found += [_promise(name, answers, alpha) for alpha in ALPHAS]
    return found


def _promise(name: str, answers: Answers, alpha: float) -> Promise:
    kept = verify(answers, Terms(alpha=alpha, delta=DELTA), splits=SPLITS)
    return Promise(
        point=name,
        alpha=alpha,
        delta=DELTA,
        certified=kept.certified,
        violated=kept.violated,
        beyond=kept.beyond,
        coverage=kept.coverage,
    )
