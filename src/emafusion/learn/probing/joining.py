"""A newcomer joins a fitted policy: its own columns of every stage, and the rule over all.

What was learnt of other models stays as it is. Only what stands for the pool as a whole is settled
anew, on rows where the newcomer's part is imputed: who sits on the council, what sets of drafts
weigh together, whom to ask next. Knows the order of the steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from emafusion.artefacts import Artefact
from emafusion.errors import DataError
from emafusion.evaluate.threads import one_thread
from emafusion.learn.fit import spending
from emafusion.learn.probing import forecasting, imputing, likeness, settling
from emafusion.learn.probing.known import Answers, Known

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Integers = NDArray[np.int64]

MOST_ROWS = 1500
"""Rows that a newcomer's heads and the rule are settled on; the probes are among them."""
FEWEST = 10
"""Probes below which nothing is said of a newcomer."""


class Joined(Struct, frozen=True, kw_only=True):
    """The extended policy, the newcomer last in its pool.

    ``quality`` is the newcomer's expected mean score over all rows and its standard error; ``like``
    says how much each known model counts as its like; ``seated`` whether it earned a place in the
    look-ahead.
    """

    artefact: Artefact
    bills: spending.Bills
    quality: tuple[float, float]
    like: dict[str, float]
    seated: bool


def join(known: Known, answers: Answers, *, seed: int = 0) -> Joined:
    """The policy of `known`, extended by the model that gave `answers`.

    Raises
    ------
    DataError
        There are fewer than :data:`FEWEST` answers with a score, or the policy has the model.
    """
    (name,) = answers.recorded.models
    if name in known.artefact.manifest.pool:
        raise DataError(f"the policy knows {name!r} already; fit it anew to learn more of it")
    if len(answers.rows) < FEWEST:
        raise DataError(
            f"{name!r} has {len(answers.rows)} answers with a score; joining takes {FEWEST}"
        )
    with one_thread():
        return _joined(known, answers, seed)


def _joined(known: Known, answers: Answers, seed: int) -> Joined:
    (name,) = answers.recorded.models
    table, prior = known.columns()
    scores = answers.recorded.scores[:, 0]
    like = likeness.fit(table[answers.rows], scores, prior)
    mean, error = like.level(table, seed)
    keep = sample(len(table), answers.rows, seed)
    few, told = known.rows(keep), table[keep]
    at = _places(keep, answers.rows)
    kin = imputing.kin(few.evidence, at, scores=scores, answers=answers.answers)
    rates, drawn = like.rates(told), like.drawn(told, forecasting.draws(few), seed)
    rates[at] = drawn[:, at] = scores  # what is known needs no forecast
    told_of = forecasting.Told(rates=rates, drawn=drawn, kin=kin)
    there = replace(answers, rows=at)
    forecast = forecasting.extended(few, told_of, there)
    arrays, seated = settling.extended(few, forecast, there, rates=rates, kin=kin, seed=seed)
    manifest = replace(
        known.artefact.manifest, pool=(*known.artefact.manifest.pool, name), arrays_sha256=""
    )
    return Joined(
        artefact=Artefact(manifest=manifest, arrays=arrays),
        bills=forecast.bills,
        quality=(mean, error),
        like=dict(zip(known.evidence.pool, kin.tolist(), strict=True)),
        seated=seated,
    )


def sample(count: int, probes: Integers, seed: int) -> Integers:
    """Positions of at most :data:`MOST_ROWS` rows, all `probes` among them, in their order."""
    import numpy as np

    rest = np.setdiff1d(np.arange(count), probes)
    drawn = np.random.default_rng(seed).permutation(rest)[: max(MOST_ROWS - len(probes), 0)]
    return np.sort(np.concatenate([probes, drawn]))


def _places(keep: Integers, rows: Integers) -> Integers:
    """Where `rows` stand in the sorted `keep`."""
    import numpy as np

    return np.searchsorted(keep, rows)
