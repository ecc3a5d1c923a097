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
from emafusion.config.checks import checked
from emafusion.config.lessons import Lesson, author, evidence, seconded, shifted, surprising
from emafusion.config.lookout import Lookout, Recovered
from emafusion.config.stale import Change, Stale, Turn, taken, void
from emafusion.config.territory import Territory, leant
from emafusion.learn.online import Alarm, Ballot, Ballots, Estimates, Told
from emafusion.learn.traffic import DAY_S, within
from emafusion.predict import Fitted, LearnedRouter, Union
from emafusion.types import Feedback, Forecast, Labels, Model, Outcome, Request, log_odds, replace
from emafusion.understand import FastClassifier

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
"""Lessons of each model that can be learnt again; while it is changed, as many from before."""


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
        self.counted, self.weight, self.checks = 0, 0.0, 0
        self._fitted, self._diary, self._feedback = fitted, diary, feedback
        self._served = Union(fitted)
        self._origin = origin
        self._beliefs = self._believed_first()
        self._begun = _shape(self._beliefs)
        self._usual = _usual(self._beliefs)
        self._ballots, self._day = Ballots(), 0
        watch = origin.artefact.under("watch")
        self._lookout = Lookout.from_arrays(watch, fitted.pool) if drift else None
        encoder = fitted.features.encoder
        self._classifier = FastClassifier.from_arrays(origin.artefact.under("understand"), encoder)
        self._territory = Territory.from_arrays(watch, encoder) if drift else None
        self._reads = self._lookout is not None or self._territory is not None
        self._old = Stale(diary.path, diary.address)
        self._changes: dict[str, list[Change]] = {}
        self._over: set[int] = set()
        self._lessons: dict[str, deque[Lesson]] = {
            name: deque(maxlen=REMEMBERED) for name in fitted.pool
        }
        # Of answers from before a change that lasts: they count again once it is over.
        self._before: dict[str, deque[Lesson]] = {
            name: deque(maxlen=REMEMBERED) for name in fitted.pool
        }
        self._noted, self._recorded = 0, -1
        self._every_s, self._drawn, self._stale = every_s, -float("inf"), False

    def predict(self, request: Request, labels: Labels, models: Sequence[Model]) -> Forecast:
        """One estimate for each of `models`, by what was learnt up to the last redrawing.

        While queries stray, they lean to how good each model is on the whole.
        """
        forecast = self._served.predict(request, labels, models)
        return leant(forecast, self._usual) if self.strayed else forecast

    def usual(self, request: Request, models: Sequence[Model]) -> Forecast:
        """What each of `models` does on the whole, by the same."""
        return self._served.usual(request, models)

    @property
    def strayed(self) -> bool:
        """Whether the queries of late are unlike those of callers that the policy was fitted on."""
        return self._territory is not None and self._territory.left

    @property
    def changed(self) -> frozenset[str]:
        """The models that are not what they were."""
        return frozenset() if self._lookout is None else frozenset(self._lookout.changed)

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
        self._old.settle()

    def status(self) -> dict[str, object]:
        """How much was learnt, and which models have changed."""
        return {
            "policy": self.name,
            "feedback": self.counted,
            "weight": round(self.weight, 3),
            "read": {"feedback": self._noted, "decisions": max(self._recorded, 0)},
            "checks": self.checks,
            "watching": self._lookout is not None,
            "queries": None if self._territory is None else self._territory.status(),
            "drift": [
                {
                    "model": one.model,
                    "signal": one.signal,
                    "rose": one.rose,
                    "after": one.after,
                    "since": one.since,
                    "evidence": one.evidence,
                    "resolved": number in self._over,
                }
                for number, one in enumerate(self.alarms)
            ],
        }

    def _page(self) -> bool:
        """Take in both tables' next rows in the order of their times; whether there may be more.

        A replay must not hear what was said after a change before it has seen the change: of what
        comes after the end of a full page, the other table's rows are not known yet.
        """
        heard = self._diary.noted_sync(self._noted, PAGE)
        seen = self._decisions() if self._reads else ()
        last = [page[-1][1] for page in (heard, seen) if len(page) == PAGE]
        rows: Iterator[tuple[int, Feedback | Outcome]]
        rows = heapq.merge(heard, seen, key=lambda row: row[1].created)
        more = False
        for number, one in rows:
            if isinstance(one, Outcome):
                self._see(one)
                self._recorded = number
            else:
                self._hear(one)
                self._noted = number
            if any(one is end for end in last):
                more = True
                break
        return more

    def _decisions(self) -> Sequence[tuple[int, Outcome]]:
        """The next decisions; the first time, those since the policy serves."""
        if self._recorded < 0:
            self._recorded = _number(self._diary, self._since)
        return self._diary.recorded_sync(self._recorded, PAGE)

    def _see(self, outcome: Outcome) -> None:
        """Look out for answers that are not as they were, where this policy expected them."""
        if outcome.policy != self.name or outcome.created < self._since:
            return
        decision = checked(outcome.decision_id)
        if decision is not None:
            self._hear_check(outcome, decision)
            return
        if self._lookout is not None:
            self._lookout.witnesses.saw(outcome.caller)
        self._survey(outcome)
        if self._lookout is None or self.strayed:
            return
        for found in self._lookout.answered(outcome):
            self._turned(found)

    def _survey(self, outcome: Outcome) -> None:
        """Look at where the query lies, before its answers are looked at.

        What models are held against was learnt of other queries once they stray: nobody is accused
        until they are back, and what was held against anyone on the way is dropped.
        """
        if self._territory is None or not self._territory.take(outcome):
            return
        if self._lookout is not None and self._territory.of_callers:
            self._lookout.afresh()

    def _hear(self, said: Feedback) -> None:
        """Learn from one opinion, as far as it counts."""
        lesson = self._lesson(said) if said.created >= self._since else None
        if lesson is None:
            return
        off = self._off(lesson)
        if self._void(lesson):
            self._shelve(lesson, "reward", off, caller=said.caller)
            return
        self._learn(lesson)
        self._hold(lesson, "reward", off, caller=said.caller)

    def _hear_check(self, outcome: Outcome, decision: str) -> None:
        """Learn from whether a second model said the same as the answer of `decision`.

        Of one caller's answers by one model, so many a day count as his opinions may weigh.
        """
        first = self._diary.find_sync(decision)
        told = [one.score for one in outcome.verdicts if one.score is not None]
        model = None if first is None else author(first, self._fitted.pool)
        if first is None or model is None or not told or not first.prompt:
            return
        if self._lookout is None or outcome.model not in self._fitted.pool:
            return
        daily = self._lookout.witnesses.daily
        if not daily.open(first.caller, model, at=outcome.created):
            return
        fitted, labels = self._fitted, self._labels(first)
        vector = fitted.features.vectors([first.prompt], [labels])[0]
        odds = self._lookout.calibrated(fitted.log_odds(vector[None, :], [labels])[0])
        lesson = Lesson(
            model=model,
            labels=labels,
            score=told[0],
            weight=1.0,
            vector=vector,
            evidence=evidence(first, model),
            at=first.created,
            second=odds[fitted.pool.index(outcome.model)],
        )
        fit = self._agreeing(lesson, odds[fitted.pool.index(model)])
        now = self._agreeing(lesson, log_odds(self._believed(lesson)))
        if fit is None or now is None:
            return
        if self._void(lesson):
            off = (told[0] - fit, told[0] - now)
            self._shelve(lesson, "check", off, caller=first.caller)
            return
        self.checks += 1
        daily.count(first.caller, model)
        self._learn(lesson)
        held = now if model in self._lookout.changed else fit
        off = (told[0] - fit, told[0] - held)
        self._hold(lesson, "check", off, caller=first.caller)

    def _agreeing(self, lesson: Lesson, odds: float) -> float | None:
        """The chance that the second model says the same, where the model's log-odds are these."""
        if self._lookout is None or lesson.second is None:
            return None
        return self._lookout.agreeing(odds + (lesson.evidence or 0.0), lesson.second)

    def _void(self, lesson: Lesson) -> bool:
        """Whether the answer was given while its model was not what it is now."""
        return within(lesson.at, void(self._changes.get(lesson.model, ())))

    def _hold(
        self,
        lesson: Lesson,
        signal: str,
        off: tuple[float, float] | None,
        *,
        caller: str,
    ) -> None:
        """Hold against a model how far its answer lay off what the fit, and we now, expected."""
        if self._lookout is None or off is None or self.strayed:
            return
        at = lesson.at
        found = self._lookout.judged(lesson.model, signal, off=off, at=at, caller=caller)
        if found is not None:
            self._turned(found)

    def _shelve(
        self, lesson: Lesson, signal: str, off: tuple[float, float] | None, *, caller: str
    ) -> None:
        """Keep what comes late of an answer from before a change: it may say when that began."""
        model, known = lesson.model, self._changes[lesson.model]
        if within(lesson.at, void([one for one in known if one[1] is not None])):
            return
        self._before[model].append(lesson)
        if self._lookout is None or off is None or self.strayed:
            return
        alarm = self._lookout.changed.get(model)
        before = None if alarm is None else self._lookout.begun(alarm)
        told = Told(at=lesson.at, caller=caller, off=off[0])
        begun = self._lookout.redated(model, signal, told)
        if begun is None:
            return
        self._note(model, Turn(since=begun, instead=before))
        late = tuple(self._before[model])
        self._before[model].clear()
        for one in late:
            if self._void(one):
                self._before[model].append(one)
            else:
                self._learn(one)

    def _note(self, model: str, turn: Turn) -> None:
        """Take note of when `model` was another, here and in the file."""
        self._changes[model] = taken(self._changes.get(model, ()), turn)
        self._old.owe(model, turn)

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
        vector, labels = None, self._labels(outcome)
        if outcome.prompt:
            vector = self._fitted.features.vectors([outcome.prompt], [labels])[0]
        return Lesson(
            model=model,
            labels=labels,
            score=said.score,
            weight=weight,
            vector=vector,
            evidence=evidence(outcome, model),
            at=outcome.created,
        )

    def _labels(self, outcome: Outcome) -> Labels:
        """The query's labels, read now where nobody needed them to answer: its model was named."""
        if outcome.labels.axes or not outcome.prompt:
            return outcome.labels
        return self._classifier.read_all([outcome.prompt])[0]

    def _off(self, lesson: Lesson) -> tuple[float, float] | None:
        """By how much the score lay above what the fit expected, and what is expected by now.

        ``None`` where nothing exact was. A model that has changed is held against what has been
        learnt of it since, any other against the fit: a forecast that learns along would hide a
        change.
        """
        if self._lookout is None or lesson.vector is None:
            return None
        at = self._fitted.pool.index(lesson.model)
        odds = self._fitted.log_odds(lesson.vector[None, :], [lesson.labels])[0]
        fit = now = shifted(0.5, self._lookout.calibrated(odds)[at])
        if lesson.model in self._lookout.changed:
            now = self._believed(lesson)
        if lesson.evidence is not None:
            fit, now = shifted(fit, lesson.evidence), shifted(now, lesson.evidence)
        return lesson.weight * (lesson.score - fit), lesson.weight * (lesson.score - now)

    def _learn(self, lesson: Lesson) -> None:
        """Learn from `lesson`, and keep it: it is learnt again once its model turns."""
        if not self._feedback:
            return
        self._lessons[lesson.model].append(lesson)
        if lesson.second is None:
            self.counted, self.weight = self.counted + 1, self.weight + lesson.weight
        self._apply(lesson)

    def _apply(self, lesson: Lesson) -> None:
        beliefs, score = self._beliefs, self._worth(lesson)
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

    def _worth(self, lesson: Lesson) -> float:
        """What to count the score as, by what is believed at this moment."""
        if lesson.second is None and lesson.evidence is None:
            return lesson.score
        believed = self._believed(lesson)
        same = self._agreeing(lesson, log_odds(believed))
        if lesson.second is not None and same is not None:
            second = shifted(0.5, lesson.second)
            return seconded(lesson.score, believed, expected=same, second=second)
        return surprising(lesson.score, believed, lesson.evidence or 0.0)

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

    def _turned(self, found: Alarm | Recovered) -> None:
        """Take note that a model has changed, or is again what it was."""
        if isinstance(found, Alarm):
            self._doubt(found)
        else:
            self._trust(found)

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
        if self._lookout is None:
            return
        model, since = alarm.model, self._lookout.begun(alarm)
        again = any(last is None for _, last in self._changes.get(model, ()))
        self._note(model, Turn(since=since))
        if not self._feedback:
            return
        self._beliefs.forget(model)
        self._stale = True
        known = tuple(self._lessons[model])
        for lesson in known:
            if lesson.at >= since:
                self._apply(lesson)
        # What was said since the first change began must not push out what was said before it.
        if not again:
            self._before[model].extend(one for one in known if one.at < since)
            lasting = [one for one in known if one.at >= since]
            self._lessons[model] = deque(lasting, maxlen=REMEMBERED)

    def _trust(self, found: Recovered) -> None:
        """Believe again what the fit knew of a model that is what it was then.

        And what was said of it before it changed, and since it is back; of what lies between
        nothing is left.
        """
        model = found.model
        log.warning("%s is again what it was when the policy was fitted", model)
        self._over.update(n for n, one in enumerate(self.alarms) if one.model == model)
        self._note(model, Turn(since=found.begun, until=found.ended))
        said = (*self._before[model], *self._lessons[model])
        kept = [lesson for lesson in said if not self._void(lesson)]
        self._before[model].clear()
        self._lessons[model] = deque(kept, maxlen=REMEMBERED)
        self._beliefs.restore(model, self._believed_first())
        self._stale = True
        for lesson in kept:
            self._apply(lesson)

    def _believed_first(self) -> Estimates:
        """What the fit knew."""
        artefact = self._origin.artefact
        return Estimates.fitted(
            artefact.under("predict"),
            self._fitted.pool,
            labels=self._fitted.features.labels,
            penalty=artefact.manifest.settings["penalty"],
        )

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
        self._served, self._usual = Union(told), _usual(self._beliefs)


def _shape(beliefs: Estimates) -> tuple[Array, Array]:
    """Where each model's head lies, (m, d + 1), and the sum of its variances, (m,)."""
    import numpy as np

    heads = beliefs.heads
    spreads = np.trace(heads.covariances, axis1=1, axis2=2)
    return heads.means[1:] + heads.means[:1], spreads[1:] + spreads[:1]


def _usual(beliefs: Estimates) -> dict[str, float]:
    """Each model's log-odds of a good answer on the whole; without those nobody has asked."""
    trials, successes = beliefs.trials.sum(axis=0), beliefs.successes.sum(axis=0)
    sums = zip(beliefs.pool, trials.tolist(), successes.tolist(), strict=True)
    return {name: log_odds(good / asked) for name, asked, good in sums if asked > 0.0}


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
