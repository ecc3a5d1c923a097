"""Whether what is asked is what the policy was fitted on, and what a forecast is worth if not.

Knows prompts, whose they are, and forecasts. When to look, and at which decisions, others know.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from emafusion.learn.online import Reference, Stray
from emafusion.learn.online.queries import WINDOW
from emafusion.protocols import Encoder
from emafusion.types import Context, Estimate, Forecast, Outcome, log_odds, replace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger("emafusion.learner")

PREFIX: Final = "queries_"
"""Of the reference's arrays among those of a watch."""
OF_CALLERS: Final = "of_callers"
"""Says whether they are callers' own; a fit that says nothing of it is taken to have had others."""
LEAN: Final = 0.75
"""How far forecasts of strayed queries lean to how good each model is on the whole: single-model
routing on subjects that its fit had not seen was better for it in seven splits of seven
(docs/online.md)."""
BEGUN: Final = (
    "the queries are no longer like those the policy was fitted on: forecasts lean to how good "
    "each model is on the whole; learn from them with: emafusion learn --traffic"
)
STRANGE: Final = (
    "the queries are not like those the policy was fitted on, which were not your callers'; "
    "it serves as it is, learn from yours with: emafusion learn --traffic"
)
EVERY: Final = 10
"""Queries after which the window is looked at: where it has strayed, a look takes milliseconds."""
MARGIN_S: Final = 0.02
"""Seconds between two queries that are looked at, at least: however many are asked, telling their
vectors anew costs a hundredth of the processor at most."""


class Territory:
    """What the policy was fitted on, and whether the queries of late lie in it.

    Parameters
    ----------
    reference : Reference
        The queries of the fit.
    encoder : Encoder
        What they were told by.
    of_callers : bool
        Whether those were callers' own queries. What was fitted on others is strange to every
        caller's traffic: that it strays is told, once, and nothing follows from it.

    Attributes
    ----------
    strayed : bool
        Whether the queries of late do not lie in it.
    """

    def __init__(self, reference: Reference, encoder: Encoder, *, of_callers: bool) -> None:
        self.strayed, self.of_callers = False, of_callers
        self._told = False
        self._stray, self._encoder = Stray(reference), encoder
        self._last = -math.inf
        self._inside = 0

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[np.generic]], encoder: Encoder
    ) -> Territory | None:
        """By what a fit wrote of its watch; ``None`` where it wrote nothing of queries."""
        found = {
            name.removeprefix(PREFIX): array
            for name, array in arrays.items()
            if name.startswith(PREFIX)
        }
        own = bool(found.pop(OF_CALLERS, (False,))[0])
        return cls(Reference.from_arrays(found), encoder, of_callers=own) if found else None

    @property
    def left(self) -> bool:
        """Whether queries stray from what callers used to ask, so that something follows."""
        return self.strayed and self.of_callers

    def take(self, outcome: Outcome) -> bool:
        """Look at the query of one more decision; whether queries began or ceased to stray by it.

        One by one: in pages of whatever size a record is read, it comes to the same.
        """
        # One without a text, or that comes too soon after the one before, is passed over.
        if not outcome.prompt or abs(outcome.created - self._last) < MARGIN_S:
            return False
        self._last, before = outcome.created, self._stray.seen
        text = outcome.prompt
        self._stray.take(self._encoder.encode([text]), [outcome.caller], texts=[text])
        fresh = self._stray.seen > before
        return fresh and self._stray.seen % EVERY == 0 and self._settle()

    def status(self) -> dict[str, object]:
        """How many queries were looked at, how far they lie off, and whether they stray."""
        return {
            "seen": self._stray.seen,
            "distance": round(self._stray.distance, 6),
            "threshold": round(self._stray.threshold, 6),
            "strayed": self.strayed,
            "of_callers": self.of_callers,
        }

    def _settle(self) -> bool:
        """Whether the window's state is another.

        It is over when as many queries as a window holds came without it.
        """
        if self._stray.strayed:
            self._inside = 0
            begun, self.strayed = not self.strayed, True
            if begun and not self._told:
                log.warning(BEGUN if self.of_callers else STRANGE)
                self._told = not self.of_callers
            return begun
        self._inside += EVERY
        if not self.strayed or self._inside < WINDOW:
            return False
        self.strayed = False
        if self.of_callers:
            log.warning("the queries are again like those the policy was fitted on")
        return True


def leant(forecast: Forecast, usual: Mapping[str, float]) -> Forecast:
    """`forecast` with every model's quality drawn towards its `usual` log-odds of a good answer."""
    estimates = tuple(
        _drawn(one, usual[one.model]) if one.model in usual else one for one in forecast.estimates
    )
    context = forecast.context
    if context is not None and usual:
        context = Context(
            mean=_between(context.mean, sum(usual.values()) / len(usual)),
            best=_between(context.best, max(usual.values())),
        )
    return replace(forecast, estimates=estimates, context=context)


def _drawn(estimate: Estimate, usual: float) -> Estimate:
    odds = _between(log_odds(estimate.quality), usual)
    return replace(estimate, quality=1.0 / (1.0 + math.exp(-odds)))


def _between(odds: float, usual: float) -> float:
    return (1.0 - LEAN) * odds + LEAN * usual
