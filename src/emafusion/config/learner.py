"""What a policy has learnt since it was fitted, from what callers say of answers.

Knows in which order a record is read on and what each thing read changes. It is told nothing by
requests: they find its last forecasts and go on.
"""

from __future__ import annotations

import datetime
import heapq
import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from emafusion.artefacts import Artefact
from emafusion.config.lessons import Lesson, author, evidence, shifted, surprising
from emafusion.config.lookout import Lookout
from emafusion.learn.online import Alarm, Ballot, Ballots, Estimates
from emafusion.learn.traffic import DAY_S
from emafusion.predict import Fitted, LearnedRouter, Union
from emafusion.types import Feedback, Forecast, Labels, Model, Outcome, Request, log_odds, replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emafusion.record import Store

    Array = NDArray[np.float64]

log = logging.getLogger("emafusion.learner")

PAGE: Final = 200
"""Rows of each table that are read at once."""
BUSY_S: Final = 0.25
"""Seconds after which a call leaves the rest to the next one: requests need the processor too."""
REDRAW_S: Final = 5.0
"""Seconds between new forecasts, at least."""
REMEMBERED: Final = 500
"""Lessons of each model that can be learnt again."""


class Origin(Struct, frozen=True, kw_only=True):
    """Which policy is learnt on from: its ``name`` and ``artefact``, and since when it serves.

    ``since`` is in seconds since 1970: what was said before is no news to it.
    """

    name: str
    artefact: Artefact
    since: float = 0.0


class Learner:
    """Stage 3 of one policy, better with every opinion (:class:`~emafusion.protocols.Predictor`).

    Whatever it knows it has from the policy and the record, so that every process comes to the same
    beliefs, and a new one takes up where others are.

    Parameters
    ----------
    origin : Origin
        The policy.
    fitted : Fitted
        What it learnt of its pool.
    diary : Store
        The record.
    feedback, drift : bool
        Whether opinions change forecasts; whether to look out for models that have changed.
    every_s : float
        Seconds between new forecasts, at least.
    """

    def __init__(
        self,
        origin: Origin,
        fitted: Fitted,
        diary: Store,
        *,
        feedback: bool = True,
        drift: bool = True,
        every_s: float = REDRAW_S,
    ) -> None:
        self.name, self._since = origin.name, origin.since
        self.alarms: tuple[Alarm, ...] = ()
        self.counted, self.weight = 0, 0.0
        self._fitted, self._diary, self._feedback = fitted, diary, feedback
        self._served = Union(fitted)
        self._beliefs = Estimates.fitted(
            origin.artefact.under("predict"),
            fitted.pool,
            labels=fitted.features.labels,
            penalty=origin.artefact.manifest.settings["penalty"],
        )
        self._begun = _shape(self._beliefs)
        self._ballots, self._day = Ballots(), 0
        watch = origin.artefact.under("watch")
        self._lookout = Lookout.from_arrays(watch, fitted.pool) if drift else None
        self._lessons: dict[str, deque[tuple[int, Lesson]]] = {
            name: deque(maxlen=REMEMBERED) for name in fitted.pool
        }
        self._noted, self._recorded = 0, -1
        self._every_s, self._drawn, self._stale = every_s, -float("inf"), False

    def predict(self, request: Request, labels: Labels, models: Sequence[Model]) -> Forecast:
        """One estimate for each of `models`, by what was learnt up to the last redrawing."""
        return self._served.predict(request, labels, models)

    def read_on(self) -> None:
        """Learn from what came since, and renew the forecasts where it is time.

        After :data:`BUSY_S` the rest is left to the next call.

        Raises
        ------
        StoreError
            The record cannot be read; the next call goes on where this one ended.
        """
        until = time.monotonic() + BUSY_S
        while self._page() and time.monotonic() < until:
            pass
        if self._stale and time.monotonic() >= self._drawn + self._every_s:
            self._redraw()

    def status(self) -> dict[str, object]:
        """How much was learnt, and which models have changed."""
        return {
            "policy": self.name,
            "feedback": self.counted,
            "weight": round(self.weight, 3),
            "read": {"feedback": self._noted, "decisions": max(self._recorded, 0)},
            "watching": self._lookout is not None,
            "drift": [
                {
                    "model": one.model,
                    "signal": one.signal,
                    "rose": one.rose,
                    "after": one.after,
                    "since": one.since,
                    "evidence": one.evidence,
                }
                for one in self.alarms
            ],
        }

    def _page(self) -> bool:
        """Take in both tables' next rows in the order of their times; whether there may be more.

        A replay must not hear what was said after a change before it has seen the change: of what
        comes after the end of a full page, the other table's rows are not known yet.
        """
        heard = self._diary.noted_sync(self._noted, PAGE)
        seen = () if self._lookout is None else self._decisions()
        last = [page[-1][1] for page in (heard, seen) if len(page) == PAGE]
        rows: Iterator[tuple[int, Feedback | Outcome]]
        rows = heapq.merge(heard, seen, key=lambda row: row[1].created)
        for number, one in rows:
            if isinstance(one, Outcome):
                self._see(one)
                self._recorded = number
            else:
                self._hear(one)
                self._noted = number
            if any(one is end for end in last):
                return True
        return False

    def _decisions(self) -> Sequence[tuple[int, Outcome]]:
        """The next decisions; the first time, those since the policy serves."""
        if self._recorded < 0:
            self._recorded = _number(self._diary, self._since)
        return self._diary.recorded_sync(self._recorded, PAGE)

    def _see(self, outcome: Outcome) -> None:
        """Look out for answers that are not as they were, where this policy expected them."""
        if self._lookout is None or outcome.policy != self.name or outcome.created < self._since:
            return
        for alarm in self._lookout.answered(outcome):
            self._doubt(alarm)

    def _hear(self, said: Feedback) -> None:
        """Learn from one opinion, as far as it counts."""
        lesson = self._lesson(said) if said.created >= self._since else None
        if lesson is None:
            return
        residual = self._residual(lesson)
        if self._feedback:
            self._learn(lesson)
            self.counted, self.weight = self.counted + 1, self.weight + lesson.weight
        if self._lookout is None or residual is None:
            return
        alarm = self._lookout.scored(lesson.model, residual)
        self._lessons[lesson.model].append((self._lookout.seen[lesson.model], lesson))
        if alarm is not None:
            self._doubt(alarm)

    def _lesson(self, said: Feedback) -> Lesson | None:
        """What `said` teaches; ``None`` where that is nothing, or does not count."""
        outcome = self._diary.find_sync(said.decision_id)
        model = None if outcome is None else author(outcome, self._fitted.pool)
        if outcome is None or model is None:
            return None
        # By the record's days, not by the clock: every process counts them alike.
        if said.created // DAY_S > self._day:
            self._day = int(said.created // DAY_S)
            self._ballots.renew()
        ballot = Ballot(
            caller=said.caller,
            asker=outcome.caller,
            decision=said.decision_id,
            model=model,
            reward=said.score,
            expected=outcome.confidence,
        )
        weight = self._ballots.weigh(ballot)
        if weight <= 0.0:
            return None
        vector = None
        if outcome.prompt:
            vector = self._fitted.features.vectors([outcome.prompt], [outcome.labels])[0]
        return Lesson(
            model=model,
            labels=outcome.labels,
            score=said.score,
            weight=weight,
            vector=vector,
            evidence=evidence(outcome, model),
        )

    def _residual(self, lesson: Lesson) -> float | None:
        """By how much the score lay above what was expected; ``None`` where nothing exact was.

        A model that has changed is held against what has been learnt of it since, any other against
        the fit: a forecast that learns along would hide a change.
        """
        if self._lookout is None or lesson.vector is None:
            return None
        if lesson.model in self._lookout.changed:
            expected = self._believed(lesson)
        else:
            at = self._fitted.pool.index(lesson.model)
            odds = self._fitted.log_odds(lesson.vector[None, :], [lesson.labels])[0, at]
            expected = shifted(0.5, self._lookout.calibrated(float(odds)))
        if lesson.evidence is not None:
            expected = shifted(expected, lesson.evidence)
        return lesson.weight * (lesson.score - expected)

    def _learn(self, lesson: Lesson) -> None:
        beliefs = self._beliefs
        score = lesson.score
        if lesson.evidence is not None:
            score = surprising(lesson.score, self._believed(lesson), lesson.evidence)
        self._stale = True
        if lesson.vector is not None:
            beliefs.update(
                lesson.vector, lesson.labels, model=lesson.model, reward=score, weight=lesson.weight
            )
            return
        # Without its text a query has labels, but no vector: the heads learn nothing of it.
        at = self._fitted.pool.index(lesson.model)
        cells = self._fitted.suitability.weights([lesson.labels])[0] * lesson.weight
        beliefs.trials[:, at] += cells
        beliefs.successes[:, at] += cells * score

    def _believed(self, lesson: Lesson) -> float:
        """P(good answer) by both routers' present beliefs."""
        import numpy as np

        fitted, at = self._fitted, self._fitted.pool.index(lesson.model)
        by_labels = self._beliefs.suitability(fitted.suitability.strength)
        rate = float(by_labels.rate(lesson.labels)[0][at])
        if lesson.vector is None:
            return rate
        means = self._beliefs.heads.means
        odds = float(np.concatenate([[1.0], lesson.vector]) @ (means[0] + means[at + 1]))
        gate = float(fitted.shares([lesson.labels])[0])
        return shifted(0.5, gate * odds + (1.0 - gate) * log_odds(rate))

    def _doubt(self, alarm: Alarm) -> None:
        """Trust a model less that has changed, and learn again what it did since."""
        self.alarms = (*self.alarms, alarm)
        log.warning(
            "%s has changed: over its last %d answers %s was %s than before; it is trusted less, "
            "collect its answers anew",
            alarm.model,
            alarm.since,
            alarm.signal,
            "more" if alarm.rose else "less",
        )
        if not self._feedback or self._lookout is None:
            return
        self._beliefs.forget(alarm.model)
        self._stale = True
        begun = self._lookout.seen[alarm.model] - alarm.since
        for number, lesson in self._lessons[alarm.model]:
            if number > begun:
                self._learn(lesson)

    def _redraw(self) -> None:
        """Serve what is believed by now.

        The fit's own ensemble is moved to where the beliefs went, and narrowed or widened as they
        were: with nothing learnt the forecasts are the fit's, to the last digit.
        """
        import numpy as np

        self._drawn, self._stale = time.monotonic(), False
        means, spreads = _shape(self._beliefs)
        moved = means - self._begun[0]
        wider = np.sqrt(spreads / self._begun[1])
        weights, biases = self._fitted.learned.parameters
        weights = weights[:1] + wider * (weights - weights[:1]) + moved[:, 1:].T
        biases = biases[:1] + wider * (biases - biases[:1]) + moved[:, 0]
        strength = self._fitted.suitability.strength
        told = replace(
            self._fitted,
            suitability=self._beliefs.suitability(strength),
            learned=LearnedRouter(weights, biases),
        )
        self._served = Union(told)


def _shape(beliefs: Estimates) -> tuple[Array, Array]:
    """Where each model's head lies, (m, d + 1), and the sum of its variances, (m,)."""
    import numpy as np

    heads = beliefs.heads
    spreads = np.trace(heads.covariances, axis1=1, axis2=2)
    return heads.means[1:] + heads.means[:1], spreads[1:] + spreads[:1]


def fitted_on(artefact: Artefact) -> float:
    """The beginning of the day on which `artefact` was fitted, UTC, in seconds since 1970."""
    day = datetime.datetime.fromisoformat(artefact.manifest.created)
    return day.replace(tzinfo=day.tzinfo or datetime.UTC).timestamp()


def _number(diary: Store, since: float) -> int:
    """The number after which decisions come that were made at `since` or later."""

    def earlier(number: int) -> bool:
        page = diary.recorded_sync(number, 1)
        return bool(page) and page[0][1].created < since

    if not earlier(0):
        return 0
    low, high = 0, 1
    while earlier(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if earlier(middle) else (low, middle)
    return high
