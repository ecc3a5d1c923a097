"""Which answers are worth buying when the money does not reach for all of them.

What the rule is fitted on are questions that every model on its council answered, so whole rows are
bought: a few questions put to every model first, which show whose answers are worth having; then as
many as the money buys, put to those models alone; the other models last. Every prefix of the
questions' order covers their kinds in proportion, so wherever the money ends the sample is fair.

It knows questions, outcomes and prices; it asks nobody and keeps nothing: what to buy next follows
from what is recorded, so a collection that was killed goes on as it would have gone on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from emafusion.evaluate.threads import one_thread
from emafusion.learn.fit.answering import grown, worths
from emafusion.protocols import Encoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

KINDS: Final = 40
"""Clusters of questions that a prefix of their order covers in proportion."""
ROWS_A_KIND: Final = 5
FIRST_LOOK: Final = 20
"""Questions put to every model before anything is known of what their answers cost."""
CORE: Final = 60
"""Questions put to every model, at least: fewer would tell little, and a fit needs 40."""
CORE_SHARE: Final = 0.2
"""Share of the money that questions put to every model take."""
MOST_CORE: Final = 0.5
"""The same at most, where :data:`CORE` of them take more."""
BEST: Final = 2
LUCK: Final = 0.5
"""How far one answer's score is drawn to its model's mean: half of what one shows is luck."""
SAVES: Final = 0.6
"""Models are left out where the others' answers to a question cost at most this share of all."""
FEWEST_ROWS: Final = 4
"""Questions bought together, at least."""


class Known(Struct, frozen=True, kw_only=True):
    """What is recorded of n questions × m models.

    Parameters
    ----------
    scores, costs : ndarray, shape (n, m)
        The mean score of a model's answers to a question, and what they cost in US dollars; NaN
        where they are not all there.
    closed : ndarray of bool, shape (n, m)
        Where nothing more will be bought: it is answered, or failed for good.
    left_usd : float
        The money that is left.
    prior_usd : ndarray, shape (m,)
        The most that a model's answers to one question may cost; counts until it has answered one.
    """

    scores: Array
    costs: Array
    closed: NDArray[np.bool_]
    left_usd: float
    prior_usd: Array


class Batch(Struct, frozen=True, kw_only=True):
    """Cells to buy next: these questions, by position, from these models, by position."""

    questions: tuple[int, ...]
    models: tuple[int, ...]


def order(
    prompts: Sequence[str], splits: Sequence[str], *, encoder: Encoder, seed: int = 0
) -> list[int]:
    """Positions of `prompts` so that every prefix covers splits, and kinds in each, in proportion.

    Kinds are clusters of their vectors (k-means); the i-th of a cluster of s stands at (i + ½) ÷ s
    of the way, and so do the questions of a split among all.
    """
    import numpy as np

    vectors = np.asarray(encoder.encode(prompts), dtype=np.float64)
    places = []
    for split in sorted(set(splits)):
        mine = [place for place, one in enumerate(splits) if one == split]
        found = _spread(vectors[mine], seed)
        places += [((i + 0.5) / len(mine), mine[one]) for i, one in enumerate(found)]
    return [one for _, one in sorted(places)]


def _spread(vectors: Array, seed: int) -> list[int]:
    """Positions of `vectors` so that every prefix covers their clusters in proportion."""
    import numpy as np
    from sklearn.cluster import KMeans

    distinct = len(np.unique(vectors.round(9), axis=0))
    kinds = min(KINDS, len(vectors) // ROWS_A_KIND, distinct)
    rng = np.random.default_rng(seed)
    if kinds < 2:
        found: list[int] = rng.permutation(len(vectors)).tolist()
        return found
    with one_thread():
        kind = KMeans(n_clusters=kinds, n_init=1, random_state=seed).fit_predict(vectors)
    places = []
    for number in range(kinds):
        mine = rng.permutation(np.flatnonzero(kind == number))
        places += [((i + 0.5) / len(mine), number, int(one)) for i, one in enumerate(mine)]
    return [one for _, _, one in sorted(places)]


def members(scores: Array, costs: Array) -> list[int]:
    """The models whose answers are worth buying, by position; of equals the cheaper.

    The two best, whatever they cost: what no other reaches must stay in reach. Then, greedily, the
    model that most raises what a good chooser among their answers would reach at a range of
    prices, as the fit chooses its council. `scores` and `costs` are (n, m), all there.
    """
    import numpy as np

    told = LUCK * scores.mean(axis=0) + (1.0 - LUCK) * scores
    unit = float(costs.mean(axis=0)[scores.mean(axis=0).argmax()]) or 1.0
    best = np.argsort(-scores.mean(axis=0), kind="stable")[:BEST].tolist()
    cheapest_first = np.argsort(costs.mean(axis=0), kind="stable").tolist()
    return sorted(grown(best, cheapest_first, worths=worths(told, costs / unit)))


def following(known: Known, ordered: Sequence[int]) -> Iterator[Batch]:
    """What to buy next, likeliest to be of use first; every batch has an open cell.

    Parameters
    ----------
    known : Known
    ordered : sequence of int
        The questions' positions as :func:`order` has them.
    """
    import numpy as np

    everyone = tuple(range(known.scores.shape[1]))
    price = _prices(known)
    if float((price * ~known.closed).sum()) <= known.left_usd:
        yield from _rows(known, ordered, everyone)
        return
    yield from _rows(known, ordered[:FIRST_LOOK], everyone)
    core = ordered[: _core(known, ordered)]
    yield from _rows(known, core, everyone)
    shown = [row for row in core if not np.isnan(known.scores[row]).any()]
    if len(shown) > 1:
        worth = tuple(members(known.scores[shown], known.costs[shown]))
        if float(price[list(worth)].sum()) <= SAVES * float(price.sum()):
            yield from _rows(known, ordered, worth)
    yield from _rows(known, ordered, everyone)


def _rows(known: Known, ordered: Sequence[int], models: tuple[int, ...]) -> Iterator[Batch]:
    """The next questions that `models` have not all answered: half of what the money reaches for.

    Half, since what they will cost is a guess until they are answered.
    """
    waiting = [row for row in ordered if not known.closed[row, list(models)].all()]
    if waiting:
        price = float(_prices(known)[list(models)].sum())
        reach = int(known.left_usd / price / 2.0) if price > 0.0 else len(waiting)
        yield Batch(questions=tuple(waiting[: max(reach, FEWEST_ROWS)]), models=models)


def _core(known: Known, ordered: Sequence[int]) -> int:
    """How many questions are put to every model, by what the first of them cost."""
    import numpy as np

    first = known.costs[list(ordered[:FIRST_LOOK])]
    row = float(np.nansum(np.nanmean(first, axis=0))) if not np.isnan(first).all() else 0.0
    whole = known.left_usd + float(np.nansum(known.costs))
    if row <= 0.0:
        return CORE
    return max(min(max(int(CORE_SHARE * whole / row), CORE), int(MOST_CORE * whole / row)), 1)


def _prices(known: Known) -> Array:
    """What an answer of each model is expected to cost, US dollars; shape (m,)."""
    import numpy as np

    seen = ~np.isnan(known.costs)
    total = np.where(seen, known.costs, 0.0).sum(axis=0)
    found: Array = np.where(
        seen.any(axis=0), total / np.maximum(seen.sum(axis=0), 1), known.prior_usd
    )
    return found
