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
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct

from emafusion.artefacts import Artefact
from emafusion.config.lessons import Lesson, author, evidence, reward, shifted
from emafusion.config.lookout import Lookout
from emafusion.errors import ArtefactError
from emafusion.learn.online import Alarm, Ballot, Ballots, Estimates
from emafusion.predict import Fitted, Union
from emafusion.types import Feedback, Forecast, Labels, Model, Outcome, Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emafusion.record import Store

    Array = NDArray[np.float64]

log = logging.getLogger("emafusion.learner")

PAGE: Final = 200
"""Rows of each kind that are read at once: a beat is over in well under a second."""
REDRAW_S: Final = 5.0
"""Seconds between new forecasts, at least: drawing them takes 22 ms for 14 models."""
REMEMBERED: Final = 500
"""Lessons of each model that can be learnt again."""
DAY_S: Final = 86_400.0

T = TypeVar("T", Feedback, Outcome)


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
        self.origin = origin
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
        self._ballots, self._day = Ballots(), 0
        watch = origin.artefact.under("watch")
        self._lookout = Lookout.from_arrays(watch, fitted.pool) if drift else None
        self._lessons: dict[str, deque[tuple[int, Lesson]]] = {
            name: deque(maxlen=REMEMBERED) for name in fitted.pool
        }
        self._noted = self._recorded = 0
        self._every_s, self._drawn, self._stale = every_s, -float("inf"), False

    def predict(self, request: Request, labels: Labels, models: Sequence[Model]) -> Forecast:
        """One estimate for each of `models`, by what was learnt up to the last redrawing."""
        return self._served.predict(request, labels, models)

    def read_on(self) -> None:
        """Learn from what came since, a page at most, and renew the forecasts where it is time.

        Raises
        ------
        StoreError
            The record cannot be read; the next call goes on where this one ended.
        """
        for one in self._pages():
            if isinstance(one, Outcome):
                self._see(one)
            elif one.created >= self.origin.since:
                self._hear(one)
        if self._stale and time.monotonic() >= self._drawn + self._every_s:
            self._redraw()

    def status(self) -> dict[str, object]:
        """How much was learnt, and which models have changed."""
        return {
            "policy": self.origin.name,
            "feedback": self.counted,
            "weight": round(self.weight, 3),
            "read": {"feedback": self._noted, "decisions": self._recorded},
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

    def _pages(self) -> Iterator[Feedback | Outcome]:
        """Both tables' next rows in the order of their times, so far as both are known.

        A replay must not hear what was said after a change before it has seen the change.
        """
        heard = self._diary.noted_sync(self._noted, PAGE) if self._opinions else ()
        seen = () if self._lookout is None else self._decisions(self._lookout)
        for number, one in heapq.merge(heard, seen, key=lambda row: row[1].created):
            yield one
            page: Sequence[tuple[int, Feedback]] | Sequence[tuple[int, Outcome]]
            if isinstance(one, Outcome):
                self._recorded, page = number, seen
            else:
                self._noted, page = number, heard
            if len(page) == PAGE and number == page[-1][0]:
                return
