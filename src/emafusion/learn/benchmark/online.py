"""Learning while serving, replayed: from nothing to a policy by bandit feedback alone.

The training folder's rows arrive one by one, each at a caller's own setting of the dial. One model
is asked; only its score and its bill are seen. What was learnt is measured on the test folder at
every setting, beside the policy that was fitted with every score of every model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct, to_builtins

from emafusion.errors import DataError
from emafusion.evaluate import metrics
from emafusion.evaluate.report.benchmark import OURS
from emafusion.evaluate.runs import System
from emafusion.learn.benchmark.live import models
from emafusion.learn.benchmark.preparing import Prepared
from emafusion.learn.fit import logistic
from emafusion.learn.fit.policy import Learnt, Material
from emafusion.learn.online import Choice, Estimates, Exploration, Spent, Terms
from emafusion.predict import Fitted
from emafusion.predict.prior import TYPICAL_TOKENS
from emafusion.types import Estimate, Forecast, Labels, Model, replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

QUERIES = 3000
CHECKED = 10
"""How often what was learnt is measured on the test folder, evenly over the stream."""
COLD: Final = Terms(share=1.0, budget=1.0, floor=0.02)
"""From nothing: every choice may explore, for at most as much again as the greedy ones cost."""
GATE: Final = (0.4, 0.0)
"""Before a gate can be fitted the heads, which learn from fewer outcomes, have .6 of the say."""
STRENGTH = 10.0
FAITH = 2.0
"""Bills that the price list's guess at a model's cost is worth."""
DIALS: Final = (0.25, 0.5, 0.75)


class Checked(Struct, frozen=True, kw_only=True):
    """What had been learnt ``after`` so many queries.

    ``regret`` is cumulative: utility (score less cost at the query's own price of quality) of what
    the fitted single-model routing would have chosen, less that of what was chosen.
    """

    after: int
    aiq: float
    regret: float


class Online(Struct, frozen=True, kw_only=True):
    """One stream.

    ``aiq`` is at the end; ``fitted_aiq`` is that of the fitted forecasts choosing one model a
    query, by the same rule; ``policy_aiq`` that of the whole fitted policy, cascades and all.
    ``utility`` holds, for each setting of :data:`DIALS`, ours, the fitted forecasts' and the whole
    policy's score less cost at that price; ``passes`` how often each training row came.
    """

    queries: int
    passes: float
    terms: Terms
    spent: Spent
    aiq: float
    fitted_aiq: float
    policy_aiq: float
    of_fitted: float
    of_policy: float
    utility: dict[str, tuple[float, ...]]
    asked: dict[str, int]
    curve: tuple[Checked, ...]

    def told(self) -> dict[str, object]:
        """As it goes into the report."""
        found: dict[str, object] = to_builtins(self)
        return found


def bandit(
    prepared: Prepared,
    systems: Sequence[System],
    *,
    queries: int = QUERIES,
    terms: Terms = COLD,
    seed: int = 0,
) -> Online:
    """Stream `queries` training rows from a cold start, and measure on the test rows.

    `systems` are the measured ones; the whole policy's figures are those of ours among them.
    Prompts' statistics (mean and scale of each feature) are the fit's: they need no outcome.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    recorded = prepared.train.recorded
    order = rows(len(recorded.queries), queries, rng)
    stream, scale = _Stream(prepared, terms, rng), Scale.of(prepared)
    curve = []
    for count, row in enumerate(order.tolist(), 1):
        stream.step(row)
        if count % max(queries // CHECKED, 1) == 0:
            checked = Checked(
                after=count, aiq=scale.aiq(stream.routed()), regret=round(stream.regret, 3)
            )
            curve.append(checked)
    learnt, fitted = stream.routed(), scale.routed(prepared.seen.priors, prepared.seen.expected)
    whole = [run for system in systems if system.name == OURS for run in system.runs]
    points = np.array([(run.cost_usd, run.accuracy) for run in whole])
    mine, best, policy = scale.aiq(learnt), scale.aiq(fitted), scale.aiq(points)
    return Online(
        queries=queries,
        passes=queries / len(recorded.queries),
        terms=terms,
        spent=stream.spent,
        aiq=mine,
        fitted_aiq=best,
        policy_aiq=policy,
        of_fitted=mine / best,
        of_policy=mine / policy,
        utility=scale.utilities(learnt, fitted, np.vstack([points[:1], points])),
        asked=dict(zip(recorded.models, stream.asked.tolist(), strict=True)),
        curve=tuple(curve),
    )


def rows(count: int, queries: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`queries` positions out of `count`, shuffled, each again only when all have come."""
    import numpy as np

    passes = -(-queries // count)
    return np.concatenate([rng.permutation(count) for _ in range(passes)])[:queries]


class Scale(Struct, frozen=True, kw_only=True):
    """Test rows to be routed one model each, at every price of quality of the fitted dial.

    ``scores`` and ``costs`` are (n, m); ``dearest`` is where the range of AIQ ends.
    """

    scores: Array
    costs: Array
    prices: Array
    dearest: float

    @classmethod
    def of(cls, prepared: Prepared) -> Scale:
        """The test folder at the fitted dial."""
        recorded = prepared.test.recorded
        best = int(recorded.scores.mean(axis=0).argmax())
        return cls(
            scores=recorded.scores,
            costs=recorded.costs,
            prices=prices(prepared.learnt),
            dearest=2.0 * float(recorded.costs[:, best].mean()),
        )

    def routed(self, odds: Array, expected: Array) -> Array:
        """Mean cost and score at each price, (prices, 2), by log-odds and expected costs (n, m)."""
        import numpy as np

        quality, at = logistic.sigmoid(odds), np.arange(len(odds))
        found = []
        for price in self.prices.tolist():
            choice = (quality - expected / price).argmax(axis=1)
            found.append((self.costs[at, choice].mean(), self.scores[at, choice].mean()))
        return np.array(found)

    def aiq(self, points: Array) -> float:
        """AIQ of operating points."""
        return metrics.aiq(points, self.dearest)

    def utilities(self, *systems: Array) -> dict[str, tuple[float, ...]]:
        """Score less cost at its price, of each system at each of :data:`DIALS`."""
        found = {}
        for dial in DIALS:
            at = round(dial * (len(self.prices) - 1))
            price = float(self.prices[at])
            found[f"prefer={dial}"] = tuple(
                float(points[at, 1] - points[at, 0] / price) for points in systems
            )
        return found


def prices(learnt: Learnt) -> Array:
    """US dollars a unit of quality at each setting of the fitted dial."""
    if learnt.decided is None:
        raise DataError("a policy without a look-ahead has no fitted dial")
    return learnt.decided.rules.lookahead.prices


class Serving:
    """One model a query, by beliefs that change with every outcome, explored within bounds.

    Parameters
    ----------
    estimates : Estimates
    exploration : Exploration
    shell : Fitted
        Gate, lengths and overhead; its routers are replaced.
    rng : numpy Generator
    """

    def __init__(
        self,
        estimates: Estimates,
        exploration: Exploration,
        *,
        shell: Fitted,
        rng: np.random.Generator,
    ) -> None:
        self.estimates, self.exploration = estimates, exploration
        self.shell, self.rng = shell, rng

    def forecast(self, vector: Array, labels: Labels, costs: Array) -> Forecast:
        """The union of both routers with its standard errors, as it stands at this very query."""
        import numpy as np

        odds, variance = self.estimates.heads.odds(vector[None, :])
        rate, error = self.estimates.suitability(self.shell.suitability.strength).rate(labels)
        share = float(self.shell.shares([labels])[0])
        mixed = share * odds[0] + (1.0 - share) * logistic.log_odds(rate)
        own = (1.0 - share) * error / (rate * (1.0 - rate))
        quality = logistic.sigmoid(mixed)
        spread = np.sqrt(share**2 * variance[0] + own**2) * quality * (1.0 - quality)
        table = np.stack([quality, spread, costs], axis=1).tolist()
        return Forecast(
            estimates=tuple(
                Estimate(model=name, quality=q, quality_std=std, cost_usd=cost, latency_s=0.0)
                for name, (q, std, cost) in zip(self.estimates.pool, table, strict=True)
            )
        )

    def choose(self, forecast: Forecast, price: float) -> Choice:
        """The model to ask at this price of quality."""
        greedy = max(forecast.estimates, key=lambda one: one.quality - one.cost_usd / price)
        return self.exploration.choose(
            forecast,
            greedy.model,
            allowed=self.estimates.pool,
            usd_per_quality=price,
            random=self.rng,
        )

    def odds(self, material: Material) -> Array:
        """Log-odds (n, m) of other rows, by the arrays that would be served."""
        fitted = self.estimates.applied(self.shell)
        return fitted.log_odds(material.inputs.vectors, material.inputs.labels)


class _Stream:
    """Rows arriving one by one at a policy that knows only what it was told of its own answers."""

    def __init__(self, prepared: Prepared, terms: Terms, rng: np.random.Generator) -> None:
        import numpy as np

        learnt = prepared.learnt
        self._prepared, self._rng = prepared, rng
        self._scale = Scale.of(prepared)
        pool = models(prepared.train.recorded.models, learnt.bills)
        width = prepared.train.inputs.vectors.shape[1]
        estimates = Estimates.cold(pool, width, labels=prepared.train.features.labels)
        shell = replace(learnt.fitted, gate=GATE, suitability=estimates.suitability(STRENGTH))
        self._serving = Serving(estimates, Exploration(terms), shell=shell, rng=rng)
        self._tariff = Tariff(pool)
        self._fitted = logistic.sigmoid(learnt.evidence.priors)
        self.asked = np.zeros(len(pool), dtype=np.int64)
        self.regret = 0.0

    @property
    def spent(self) -> Spent:
        """What was explored."""
        return self._serving.exploration.spent

    def step(self, row: int) -> None:
        """One query comes, one model answers it, and its score and bill are seen."""
        train, estimates = self._prepared.train, self._serving.estimates
        vector, labels = train.inputs.vectors[row], train.inputs.labels[row]
        price = float(self._rng.choice(self._scale.prices))
        costs = self._tariff.expected(train.counted[row : row + 1])[0]
        choice = self._serving.choose(self._serving.forecast(vector, labels, costs), price)
        at = estimates.pool.index(choice.model)
        scores, bills = train.recorded.scores[row], train.recorded.costs[row]
        estimates.update(vector, labels, model=choice.model, reward=float(scores[at]))
        self._tariff.billed(at, float(train.counted[row]), float(bills[at]))
        self.asked[at] += 1
        told = self._prepared.learnt.evidence.expected[row]
        best = int((self._fitted[row] - told / price).argmax())
        worth = scores - bills / price
        self.regret += float(worth[best] - worth[at])

    def routed(self) -> Array:
        """The test rows routed by what has been learnt, as it would be served."""
        test = self._prepared.test
        expected = self._tariff.expected(test.counted)
        return self._scale.routed(self._serving.odds(test), expected)


class Tariff:
    """What calls are expected to cost: the price list's guess, scaled by the bills that came."""

    def __init__(self, pool: Sequence[Model]) -> None:
        import numpy as np

        self._rates = np.array([[m.usd_per_mtok_in, m.usd_per_mtok_out] for m in pool]).T / 1e6
        self._bills = np.full(len(pool), FAITH)
        self._over = np.full(len(pool), FAITH)

    def billed(self, model: int, prompt: float, bill: float) -> None:
        """A prompt of so many tokens was billed so many US dollars."""
        import numpy as np

        listed = float(self._listed(np.array([prompt]))[0, model])
        self._over[model] += bill / listed if listed > 0.0 else 1.0
        self._bills[model] += 1.0

    def expected(self, prompts: Array) -> Array:
        """US dollars for each model's answer to prompts (n,) of so many tokens, (n, m)."""
        found: Array = self._listed(prompts) * (self._over / self._bills)
        return found

    def _listed(self, prompts: Array) -> Array:
        listed: Array = prompts[:, None] * self._rates[0] + TYPICAL_TOKENS * self._rates[1]
        return listed
