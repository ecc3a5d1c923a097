"""From calibration rows to the threshold whose accepted answers keep a promised risk, or to a no.

Knows confidences, scores and their statistics; not where rows come from, and not what is done
with an answer that is not accepted.

The procedure is Learn then Test (Angelopoulos, Bates, Candès, Jordan & Lei, 2021): each candidate
threshold t stands for the hypothesis "E[loss | confidence ≥ t] > α", and the loosest threshold is
taken whose hypothesis falls in a sequence of tests that errs with probability at most δ. So the
risk is controlled with probability 1 − δ over the calibration rows (Bates et al., "Distribution-
free, risk-controlling prediction sets", JACM 2021), not merely on average over them as in
"Conformal risk control" (Angelopoulos et al., 2022); nor need it fall as confidence rises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from emafusion.errors import ConfigError, DataError
from emafusion.judge.guarantee import Guarantee
from emafusion.learn.fit.bounds import DOUBT, TYPICAL, bernstein, bets, betting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FEWEST = 60
"""Calibration rows below which nothing is certified."""

ASIDE = 0.1
LEAST_ASIDE = 20
"""The share of the rows, and their least number, that only shapes the tests of the others."""

CANDIDATES = 50
STARTS = ((0.25, 0.3), (0.5, 0.4), (0.84, 0.3))
"""Where sequences of tests begin, as shares of rows accepted, and what part of δ each has."""


class Terms(Struct, frozen=True, kw_only=True):
    """What is to be promised.

    Parameters
    ----------
    alpha : float in [0, 1)
        The most risk: how often accepted answers may be wrong, or how much more often than the
        reference's answers to the same queries.
    delta : float in (0, 1)
        The probability, over the calibration rows, with which the promise may fail.
    held_out : int, optional
        Promise instead that the *observed* risk on so many further rows stays within α, with
        probability 1 − δ over both samples: a prediction bound, wider than the default's
        confidence bound on the risk itself.
    bound : {"betting", "bernstein"}
        What turns rows into evidence; betting certifies more.
    """

    alpha: float
    delta: float = 0.1
    held_out: int | None = None
    bound: Literal["betting", "bernstein"] = "betting"

    def __post_init__(self) -> None:
        if not 0 <= self.alpha < 1:
            raise ConfigError(f"alpha is {self.alpha!r}; it is a risk: give 0 ≤ alpha < 1")
        if not 0 < self.delta < 1:
            raise ConfigError(f"delta is {self.delta!r}; it is a probability: give 0 < delta < 1")
        if self.held_out is not None and self.held_out < 1:
            raise ConfigError(f"held_out is {self.held_out!r}; it is a number of rows: give ≥ 1")
        if self.held_out is not None and self.bound == "bernstein":
            raise ConfigError("bound 'bernstein' knows no held_out; use 'betting'")

    @property
    def level(self) -> float:
        """The level of the tests: δ, or with `held_out` the ε that solves ε (1 + log 1/ε) = δ.

        Let π(t) be the probability that the held-out rows violate at t. Tests at level ε pass the
        first t of a sequence with π(t) ≥ x with probability at most ε/x (:func:`~.bounds.betting`),
        so P(π(chosen t) ≥ x) ≤ min(1, ε/x), and its mean, the probability of a violation, is at
        most the integral over x from 0 to 1: ε (1 + log 1/ε).
        """
        import numpy as np

        if self.held_out is None:
            return self.delta
        low, high = 0.0, self.delta
        for _ in range(60):
            middle = (low + high) / 2
            fits = middle * (1 - np.log(middle)) <= self.delta
            low, high = (middle, high) if fits else (low, middle)
        return low


class Answers(Struct, frozen=True, kw_only=True):
    """Given answers of which it is known how good they were.

    Parameters
    ----------
    confidences, scores : ndarray, shape (n,)
        P(right) as held for the answer that was given, and its score; both in [0, 1].
    reference : ndarray, shape (n,), optional
        Scores in [0, 1] of the best single model's answers to the same queries; without them the
        risk is absolute.

    Raises
    ------
    DataError
        Where lengths differ or a figure lies outside [0, 1].
    """

    confidences: Array
    scores: Array
    reference: Array | None = None

    def __post_init__(self) -> None:
        import numpy as np

        for name in ("confidences", "scores", "reference"):
            given = getattr(self, name)
            if given is None:
                continue
            if given.shape != (len(self.confidences),):
                raise DataError(f"{name} have shape {given.shape}; give one figure per answer")
            if not (np.isfinite(given).all() and (given >= 0).all() and (given <= 1).all()):
                raise DataError(f"{name} hold figures outside [0, 1]; leave such rows out")

    def __len__(self) -> int:
        return len(self.confidences)

    @property
    def losses(self) -> Array:
        """1 − score, or reference − score: in [−1, 1]."""
        return (1.0 if self.reference is None else self.reference) - self.scores

    def take(self, rows: NDArray[np.intp]) -> Answers:
        """Those rows."""
        reference = None if self.reference is None else self.reference[rows]
        return Answers(
            confidences=self.confidences[rows], scores=self.scores[rows], reference=reference
        )

    def ordered(self) -> Answers:
        """The same rows in an order that depends on nothing but the rows."""
        import numpy as np

        last = np.zeros(len(self)) if self.reference is None else self.reference
        return self.take(np.lexsort((last, self.scores, self.confidences)))


def certify(
    answers: Answers, terms: Terms, *, aside: Answers | None = None, seed: int = 0
) -> Guarantee:
    """The loosest threshold whose accepted answers keep the terms, or the reason why none does.

    The promise is exact for independent, identically distributed rows, in finite samples and
    without a further assumption: over the draw of the rows and of the split by `seed`. Rows that
    the confidences were fitted on are not such rows.

    Parameters
    ----------
    answers : Answers
        The calibration rows, in any order: the result does not depend on it.
    aside : Answers, optional
        Other rows to shape the tests with; by default a tenth of the calibration rows is set aside.
    seed : int
        Draws the tenth.
    """
    answers, relative = answers.ordered(), answers.reference is not None
    no = Guarantee(
        alpha=terms.alpha,
        delta=terms.delta,
        threshold=float("inf"),
        certified=False,
        relative=relative,
        reason=f"{len(answers)} calibration rows are too few; give at least {FEWEST}",
        calibrated_on=len(answers),
        coverage=0.0,
    )
    if len(answers) < FEWEST:
        return no
    threshold = loosest(answers, terms, aside=aside, seed=seed)
    if threshold is None:
        return replace(no, reason=_refusal(answers, terms, seed=seed))
    return replace(
        no,
        threshold=threshold,
        certified=True,
        reason=_promise(answers, terms),
        coverage=float((answers.confidences >= threshold).mean()),
    )


def loosest(
    answers: Answers, terms: Terms, *, aside: Answers | None = None, seed: int = 0
) -> float | None:
    """The threshold of :func:`certify` alone; ``None`` where nothing can be certified."""
    if len(answers) < FEWEST:
        return None
    return _Tests(answers, terms, seed=seed, aside=aside).loosest(terms.alpha)


def least_alpha(answers: Answers, terms: Terms, *, seed: int = 0) -> float | None:
    """The least α, to a thousandth, that the rows would have certified; ``None`` if there is none.

    A plan for the next calibration: an α chosen by looking at rows is to be certified on others.
    """
    if len(answers) < FEWEST:
        return None
    tests = _Tests(answers, terms, seed=seed)
    low, high = -1, 999
    if tests.loosest(high / 1000) is None:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if tests.loosest(middle / 1000) is not None else (middle, high)
    return high / 1000


def rows_needed(answers: Answers, terms: Terms) -> int | None:
    """About how many calibration rows like these would certify the terms; ``None`` if none would.

    From the normal approximation k·slack²/2σ² of the evidence where sequences of tests begin, so
    with an even chance; optimistic where the sequence that needs fewest owes its place to luck.
    """
    import numpy as np

    answers = answers.ordered()
    thresholds, shares = _candidates(answers.confidences)
    best = 0.0
    for share, part in STARTS:
        place = np.abs(shares - share).argmin()
        losses = answers.losses[answers.confidences >= thresholds[place]]
        slack = max(terms.alpha - float(losses.mean()), 0.0)
        moment = (float((losses**2).sum()) + DOUBT * TYPICAL) / (len(losses) + DOUBT)
        pace = slack**2 * float(shares[place]) / (2 * moment)
        best = max(best, pace / -float(np.log(terms.level * part)))
    room = best - (1 / terms.held_out if terms.held_out else 0.0)
    return max(int(np.ceil(1 / room / (1 - ASIDE))), len(answers) + 1) if room > 0 else None


def least_abstention(answers: Answers, alpha: float) -> float:
    """The share of such queries that *any* method must leave to keep a risk of α.

    (μ − α)/(1 − α), μ the risk of accepting everything: what is left cannot be more wrong than
    always (arXiv 2606.29054).
    """
    return max(0.0, (float(answers.losses.mean()) - alpha) / (1 - alpha))


class _Tests:
    """Candidate thresholds, strictest first, with the stakes to test them."""

    def __init__(
        self, answers: Answers, terms: Terms, *, seed: int, aside: Answers | None = None
    ) -> None:
        import numpy as np

        rows = answers.ordered()
        drawn = np.random.default_rng(seed).permutation(len(rows))
        cut = 0 if aside is not None else max(LEAST_ASIDE, int(ASIDE * len(rows)))
        shaping = rows.take(drawn[:cut]) if aside is None else aside
        tested = rows.take(drawn[cut:])
        self._terms = terms
        self._width = 1.0 if answers.reference is None else 2.0
        self._thresholds, self._shares = _candidates(shaping.confidences)
        self._losses = tested.losses
        self._accepted = tested.confidences[:, None] >= self._thresholds
        self._stakes = bets(
            shaping.losses,
            shaping.confidences[:, None] >= self._thresholds,
            rows=len(tested),
            held_out=terms.held_out,
        )

    def loosest(self, alpha: float) -> float | None:
        """The loosest threshold whose test, and those before it, reject a risk above `alpha`.

        The fallback procedure (Wiens, 2003): each test has its part of the level, and a test that
        rejects hands its own on to the next; no sequence of them errs with more than the sum.
        """
        import numpy as np

        evidence = self._evidence(alpha)
        parts = np.zeros(len(evidence))
        for share, part in STARTS:
            parts[np.abs(self._shares - share).argmin()] += part
        level, found = 0.0, None
        for threshold, log_evidence, part in zip(self._thresholds, evidence, parts, strict=True):
            level += part * self._terms.level
            if level > 0 and log_evidence >= -np.log(level):
                found = float(threshold)
            else:
                level = 0.0
        return found

    def _evidence(self, alpha: float) -> Array:
        if self._terms.bound == "bernstein":
            return bernstein(self._losses, self._accepted, alpha, width=self._width)
        held_out = self._terms.held_out
        return betting(self._losses, self._accepted, alpha, stakes=self._stakes, held_out=held_out)


def _candidates(confidences: Array) -> tuple[Array, Array]:
    """Thresholds, strictest first and the last accepting all, with the shares they accept."""
    import numpy as np

    quantiles = np.quantile(confidences, np.linspace(0, 1, CANDIDATES, endpoint=False))
    thresholds = np.unique(np.append(quantiles[1:], 0.0))[::-1]
    return thresholds, (confidences[:, None] >= thresholds).mean(axis=0)


def _risk(answers: Answers, alpha: float) -> str:
    more = "" if answers.reference is None else " more often than the best single model's"
    return f"wrong at most {100 * alpha:.4g} %{more}"


def _promise(answers: Answers, terms: Terms) -> str:
    where = f" on {terms.held_out} further rows" if terms.held_out else ""
    sure = f"with probability at least {1 - terms.delta:.4g}"
    return f"accepted answers are {_risk(answers, terms.alpha)}{where}, {sure}"


def _refusal(answers: Answers, terms: Terms, *, seed: int) -> str:
    least, needed = least_alpha(answers, terms, seed=seed), rows_needed(answers, terms)
    abstention = least_abstention(answers, terms.alpha)
    said = [
        f"{len(answers):,} calibration rows cannot show at delta {terms.delta:g} that accepted "
        f"answers are {_risk(answers, terms.alpha)}"
    ]
    if needed is not None:
        said.append(f"about {needed:,} rows that lean as these do would be needed")
    else:
        said.append("with answers as these no number of rows would: give sounder answers")
    shown = "they can show no alpha" if least is None else f"the least alpha they show is {least:g}"
    said.append(shown)
    if abstention > 0:
        said.append(f"any method must leave at least {100 * abstention:.3g} % of such queries")
    return "; ".join(said)
