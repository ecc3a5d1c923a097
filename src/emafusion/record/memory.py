"""A record that lasts as long as the process: what serves when the record is turned off."""

from __future__ import annotations

from emafusion.errors import StoreError, UnknownDecisionError
from emafusion.record.totals import Totals, add_up
from emafusion.types import Feedback, Outcome


class Memory:
    """Keeps the last outcomes in memory and forgets the oldest beyond `limit`.

    Parameters
    ----------
    limit : int
        How many outcomes to keep.
    """

    def __init__(self, limit: int = 1000) -> None:
        self.limit = limit
        self._outcomes: dict[str, Outcome] = {}
        self._feedback: dict[tuple[str, str], tuple[int, Feedback]] = {}
        self._seq = 0
        self._forgotten = 0

    async def record(self, outcome: Outcome) -> None:
        """Keep `outcome`; raises :class:`StoreError` where its id names another outcome."""
        known = self._outcomes.setdefault(outcome.decision_id, outcome)
        if known != outcome:
            raise StoreError(
                f"decision {outcome.decision_id!r} is already recorded with another outcome; "
                "give every request an id of its own"
            )
        while len(self._outcomes) > self.limit:
            self._forget(next(iter(self._outcomes)))

    async def note(self, feedback: Feedback) -> None:
        """Keep `feedback`; raises :class:`UnknownDecisionError` where there is no such decision."""
        if feedback.decision_id not in self._outcomes:
            raise UnknownDecisionError(f"there is no decision {feedback.decision_id!r}")
        known = self._feedback.get((feedback.decision_id, feedback.caller))
        if known is not None and known[1] == feedback:
            return
        self._seq += 1
        # Deleted first, so that a changed opinion goes to the end.
        self._feedback.pop((feedback.decision_id, feedback.caller), None)
        self._feedback[feedback.decision_id, feedback.caller] = (self._seq, feedback)

    async def noted(self, after: int = 0, limit: int = 1000) -> tuple[tuple[int, Feedback], ...]:
        """Feedback in the order it came, numbered; only what came after the number `after`."""
        later = [one for one in self._feedback.values() if one[0] > after]
        return tuple(later[:limit])

    def _forget(self, decision_id: str) -> None:
        del self._outcomes[decision_id]
        self._forgotten += 1
        for key in [key for key in self._feedback if key[0] == decision_id]:
            del self._feedback[key]

    async def find(self, decision_id: str) -> Outcome | None:
        """The outcome of `decision_id`, or ``None`` where it is unknown or forgotten."""
        return self._outcomes.get(decision_id)

    async def recent(self, n: int) -> tuple[Outcome, ...]:
        """The `n` outcomes created last, newest first."""
        newest = sorted(self._outcomes.values(), key=lambda outcome: -outcome.created)
        return tuple(newest[:n])

    async def recorded(self, after: int = 0, limit: int = 1000) -> tuple[tuple[int, Outcome], ...]:
        """Outcomes in the order they came, numbered; only those after the number `after`."""
        numbered = enumerate(self._outcomes.values(), start=self._forgotten + 1)
        return tuple(one for one in numbered if one[0] > after)[:limit]

    async def totals(self, since: float = 0.0) -> Totals:
        """The totals of what is kept and was created at `since` (seconds since 1970) or later."""
        return add_up(o for o in self._outcomes.values() if o.created >= since)

    async def aclose(self) -> None:
        """Forget everything."""
        self._outcomes.clear()
        self._feedback.clear()
