"""A model that is not what it was, replayed: when it is noticed, and what serving recovers.

Half of the training rows fit the routers, the other half are served; from a row on, one model's
answers are another's. The utility of what is believed afterwards is measured on the test folder as
it now is, beside routers fitted anew with every score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct, to_builtins

from emafusion.errors import DataError
from emafusion.learn.benchmark.online import Scale, Serving, rows
from emafusion.learn.benchmark.preparing import Prepared
from emafusion.learn.fit import logistic, routers, watching
from emafusion.learn.fit.policy import Material
from emafusion.learn.online import Alarm, Estimates, Exploration, Habits, Terms, Watch
from emafusion.predict import Features, Fitted, Lengths
from emafusion.types import replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

QUERIES = 4000
SHUFFLES = 20
"""Orders of the served rows in which the change is looked for."""
WITHIN = 300
"""Own answers within which a change should be noticed."""
TERMS: Final = Terms(share=0.05, budget=0.05)


class Change(Struct, frozen=True, kw_only=True):
    """From row ``row`` of the stream on, ``model`` answers as ``weaker`` does."""

    model: str
    weaker: str
    row: int

    @classmethod
    def read(cls, text: str, pool: Sequence[str]) -> Change:
        """From ``MODEL=WEAKER@ROW``; raises ``DataError`` for anything else."""
        model, _, rest = text.partition("=")
        weaker, _, row = rest.rpartition("@")
        if not row.isdecimal():
            raise DataError(f"a drift is written MODEL=WEAKER@ROW, not {text!r}")
        unknown = [name for name in (model, weaker) if name not in pool]
        if unknown:
            raise DataError(f"no outcomes of {unknown[0]!r}; there are {', '.join(pool)}")
        return cls(model=model, weaker=weaker, row=int(row))


class Noticed(Struct, frozen=True, kw_only=True):
    """How soon a change is noticed where the model answers every query, over shuffled orders.

    ``delays`` are its own answers after the change, −1 where it went unnoticed to the end;
    ``within`` the share of orders in which :data:`WITHIN` answers sufficed. ``false_alarms`` are
    those of every model, nothing changed, over ``answers`` answers.
    """

    delays: tuple[int, ...]
    within: float
    false_alarms: int
    answers: int


class Drifted(Struct, frozen=True, kw_only=True):
    """One change and what became of it.

    ``gap`` is by how much the weaker model's mean score is below. ``noticed`` is apart from any
    routing. ``own_answers`` and ``queries`` say how long the serving stream took to notice, −1
    where it did not; ``others`` how many alarms it gave of models that had not changed. The
    utilities are AIQ on the test rows as they now are: believing the old estimates, what was
    believed at the end of the stream, and routers fitted anew.
    """

    model: str
    weaker: str
    row: int
    gap: float
    noticed: Noticed
    own_answers: int
    queries: int
    others: int
    stale_aiq: float
    aiq: float
    refitted_aiq: float
    of_refitted: float
    utility: dict[str, tuple[float, ...]]

    def told(self) -> dict[str, object]:
        """As it goes into the report."""
        found: dict[str, object] = to_builtins(self)
        return found


class World(Struct, frozen=True, kw_only=True):
    """What answers score and how long they are, (n, m), before or after a change."""

    scores: Array
    tokens: Array

    def changed(self, model: int, weaker: int) -> World:
        """With the column of `weaker` in place of `model`'s."""
        scores, tokens = self.scores.copy(), self.tokens.copy()
        scores[:, model], tokens[:, model] = scores[:, weaker], tokens[:, weaker]
        return World(scores=scores, tokens=tokens)


class Ground(Struct, frozen=True, kw_only=True):
    """The fitted half and the served half of the training rows, and what the first half taught.

    Of the served rows: ``expected`` (n, m) is P(right) and ``lengths`` (n, m) are completion
    tokens, both by fits that have not seen them; ``costs`` (n, m) what calls are expected to cost.
    """

    fitted: routers.Inputs
    served: Material
    shell: Fitted
    penalty: float
    expected: Array
    lengths: Array
    costs: Array
    habits: Habits

    @classmethod
    def of(cls, prepared: Prepared, *, seed: int = 0) -> Ground:
        """Fit routers, lengths and habits of length on one half."""
        import numpy as np

        train = prepared.train
        count = len(train.recorded.queries)
        order = np.random.default_rng(seed).permutation(count)
        first, second = np.sort(order[: count // 2]), np.sort(order[count // 2 :])
        penalty = prepared.learnt.artefact.manifest.settings["penalty"] * 0.5**0.5
        fitted, served = train.inputs.rows(first), train.rows(second)
        shell = routed(prepared.learnt.fitted, train, fitted, penalty=penalty)
        tokens = train.recorded.tokens
        apart = np.empty((len(first), tokens.shape[1]))
        for part in np.array_split(np.arange(len(first)), 4):
            rest = np.setdiff1d(np.arange(len(first)), part)
            told = _lengths(train, first[rest]).tokens(train.inputs.vectors[first[part]])
            apart[part] = surplus(tokens[first[part]], told)
        odds = shell.log_odds(served.inputs.vectors, served.inputs.labels)
        level, slope = _calibration(train.features, fitted, shell, penalty=penalty)
        return cls(
            fitted=fitted,
            served=served,
            shell=shell,
            penalty=penalty,
            expected=logistic.sigmoid(level + slope * odds),
            lengths=_lengths(train, first).tokens(served.inputs.vectors),
            costs=prepared.learnt.evidence.expected[second],
            habits=Habits.fit(apart),
        )

    @property
    def world(self) -> World:
        """The served rows as they are."""
        recorded = self.served.recorded
        return World(scores=recorded.scores, tokens=recorded.tokens)

    def residuals(self, row: int, model: int, world: World) -> dict[str, float]:
        """What an answer is less what was expected of it."""
        told = surplus(world.tokens[row, model], self.lengths[row, model])
        return {
            "reward": float(world.scores[row, model] - self.expected[row, model]),
            "length": self.habits.residual(model, float(told)),
        }


def drift(
    prepared: Prepared,
    change: Change,
    *,
    ground: Ground | None = None,
    queries: int = QUERIES,
    seed: int = 0,
) -> Drifted:
    """Serve `queries` rows, `change` among them, and measure what was noticed and recovered."""
    import numpy as np

    ground = ground or Ground.of(prepared, seed=seed)
    pool = prepared.train.recorded.models
    model, weaker = pool.index(change.model), pool.index(change.weaker)
    test = prepared.test.recorded
    after = World(scores=test.scores, tokens=test.tokens).changed(model, weaker)
    scale = replace(Scale.of(prepared), scores=after.scores)
    again = ground.fitted.scores.copy()
    again[:, model] = again[:, weaker]
    refitted = routed(
        ground.shell,
        prepared.train,
        replace(ground.fitted, scores=again),
        penalty=ground.penalty,
    )
    told = _Served(ground, change, rng=np.random.default_rng(seed))
    told.run(rows(len(ground.world.scores), queries, told.serving.rng), scale.prices)
    inputs, expected = prepared.test.inputs, prepared.seen.expected
    stale, best = (
        scale.routed(one.log_odds(inputs.vectors, inputs.labels), expected)
        for one in (ground.shell, refitted)
    )
    now = scale.routed(told.serving.odds(prepared.test), expected)
    return Drifted(
        model=change.model,
        weaker=change.weaker,
        row=change.row,
        gap=float((test.scores[:, model] - test.scores[:, weaker]).mean()),
        noticed=noticed(ground, model, weaker, seed=seed),
        own_answers=told.own if told.noticed else -1,
        queries=told.queries if told.noticed else -1,
        others=told.others,
        stale_aiq=scale.aiq(stale),
        aiq=scale.aiq(now),
        refitted_aiq=scale.aiq(best),
        of_refitted=scale.aiq(now) / scale.aiq(best),
        utility=scale.utilities(stale, now, best),
    )


def noticed(ground: Ground, model: int, weaker: int, *, seed: int = 0) -> Noticed:
    """How soon, over :data:`SHUFFLES` orders; and false alarms where nothing changed."""
    import numpy as np

    rng = np.random.default_rng(seed)
    pool, world = ground.served.recorded.models, ground.world
    changed = world.changed(model, weaker)
    half = min(len(world.scores) // 2, 500)
    delays = []
    for _ in range(SHUFFLES):
        order = rng.permutation(len(world.scores)).tolist()
        watch = Watch(pool[model : model + 1])
        for row in order[:half]:
            watch.observe(pool[model], ground.residuals(row, model, world))
        after = (
            watch.observe(pool[model], ground.residuals(r, model, changed)) for r in order[half:]
        )
        delays.append(next((count for count, one in enumerate(after, 1) if one), -1))
    alarms, watch = 0, Watch(pool)
    for row in rng.permutation(len(world.scores)).tolist():
        for at, name in enumerate(pool):
            alarms += watch.observe(name, ground.residuals(row, at, world)) is not None
    return Noticed(
        delays=tuple(delays),
        within=sum(0 < one <= WITHIN for one in delays) / len(delays),
        false_alarms=alarms,
        answers=int(world.scores.size),
    )


class _Served:
    """The served half, one query after another, with one model's answers changing on the way."""

    def __init__(self, ground: Ground, change: Change, *, rng: np.random.Generator) -> None:
        self._ground, self._change = ground, change
        pool = ground.served.recorded.models
        self._at, weaker = pool.index(change.model), pool.index(change.weaker)
        self._worlds = (ground.world, ground.world.changed(self._at, weaker))
        estimates = Estimates.fitted(
            _arrays(ground), pool, labels=ground.served.features.labels, penalty=ground.penalty
        )
        self.serving = Serving(estimates, Exploration(TERMS), shell=ground.shell, rng=rng)
        self._watch = Watch(pool)
        self._last: dict[str, list[tuple[int, float]]] = {name: [] for name in pool}
        self._expected: set[str] = set(pool)
        self.noticed = False
        self.own = self.queries = self.others = 0

    def run(self, order: Sequence[int] | NDArray[np.int64], prices: Array) -> None:
        """Serve the rows of `order`, each at a price of quality drawn from `prices`."""
        for count, row in enumerate([int(one) for one in order]):
            changed = count >= self._change.row
            alarm = self._serve(row, float(self.serving.rng.choice(prices)), changed=changed)
            self.queries += changed and not self.noticed
            if alarm is None:
                continue
            mine = changed and alarm.model == self._change.model
            self.noticed, self.others = self.noticed or mine, self.others + (not mine)
            self._believe(alarm)

    def _serve(self, row: int, price: float, *, changed: bool) -> Alarm | None:
        ground, estimates = self._ground, self.serving.estimates
        world = self._worlds[changed]
        inputs = ground.served.inputs
        vector, labels = inputs.vectors[row], inputs.labels[row]
        forecast = self.serving.forecast(vector, labels, ground.costs[row])
        model = self.serving.choose(forecast, price).model
        at = estimates.pool.index(model)
        reward = float(world.scores[row, at])
        residuals = ground.residuals(row, at, world)
        if model not in self._expected:
            # What it was fitted to no longer holds: expect what has been learnt since.
            residuals = {"reward": reward - forecast[model].quality}
        estimates.update(vector, labels, model=model, reward=reward)
        self._last[model].append((row, reward))
        self.own += changed and not self.noticed and at == self._at
        return self._watch.observe(model, residuals)

    def _believe(self, alarm: Alarm) -> None:
        """Forget what was known of the model, and learn again what it did since it changed."""
        inputs, estimates = self._ground.served.inputs, self.serving.estimates
        self._expected.discard(alarm.model)
        estimates.forget(alarm.model)
        for row, reward in self._last[alarm.model][-alarm.since :]:
            estimates.update(
                inputs.vectors[row], inputs.labels[row], model=alarm.model, reward=reward
            )


def routed(fitted: Fitted, material: Material, inputs: routers.Inputs, *, penalty: float) -> Fitted:
    """`fitted` with both routers learnt from `inputs` alone; gate and the rest stay."""
    strength = fitted.suitability.strength
    return replace(
        fitted,
        suitability=routers.suitability(material.features, inputs, strength),
        learned=routers.learned(inputs, penalty, seed=0, bootstraps=1),
    )


def surplus(tokens: Array, expected: Array) -> Array:
    """ln of found over expected completion tokens."""
    import numpy as np

    found: Array = np.log((tokens + 1.0) / (expected + 1.0))
    return found


def _calibration(
    features: Features, inputs: routers.Inputs, shell: Fitted, *, penalty: float
) -> tuple[float, float]:
    """As :func:`watching.calibration`, by forecasts that left each row out."""
    parts = routers.folds(len(inputs.labels), 0)
    told = routers.mix(
        routers.heads(inputs, parts, penalty),
        routers.taxonomy(features, inputs, parts=parts, strength=shell.suitability.strength),
        shell.shares(inputs.labels),
    )
    level, slope = watching.calibration(told, inputs.scores).tolist()
    return level, slope


def _arrays(ground: Ground) -> dict[str, NDArray[np.generic]]:
    """Both routers of the fitted half, as an artefact names their arrays."""
    weights, biases = ground.shell.learned.parameters
    trials, successes = routers.counts(ground.served.features, ground.fitted)
    return {"weights": weights, "biases": biases, "trials": trials, "successes": successes}


def _lengths(material: Material, keep: NDArray[np.int64]) -> Lengths:
    """Expected completion lengths, by the rows `keep` alone."""
    recorded = material.recorded
    told = routers.lengths(
        material.inputs.rows(keep),
        recorded.tokens[keep],
        recorded.seconds[keep],
        prompt_tokens=recorded.prompt_tokens[keep],
    )
    return Lengths(told["weights"], told["biases"], spreads=told["spreads"], paces=told["paces"])
