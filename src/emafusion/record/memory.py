"""A record that lasts as long as the process: what serves when the record is turned off."""

from __future__ import annotations

from emafusion.errors import StoreError
from emafusion.record.totals import Totals, add_up
from emafusion.types import Outcome


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

    async def record(self, outcome: Outcome) -> None:
        """Keep `outcome`; raises :class:`StoreError` where its id names another outcome."""
        known = self._outcomes.setdefault(outcome.decision_id, outcome)
        if known != outcome:
            raise StoreError(
                f"decision {outcome.decision_id!r} is already recorded with another outcome; "
                "give every request an id of its own"
            )
        while len(self._outcomes) > self.limit:
            del self._outcomes[next(iter(self._outcomes))]

    async def find(self, decision_id: str) -> Outcome | None:
        """The outcome of `decision_id`, or ``None`` where it is unknown or forgotten."""
        return self._outcomes.get(decision_id)

    async def recent(self, n: int) -> tuple[Outcome, ...]:
        """The `n` outcomes created last, newest first."""
        newest = sorted(self._outcomes.values(), key=lambda outcome: -outcome.created)
        return tuple(newest[:n])

    async def totals(self, since: float = 0.0) -> Totals:
        """The totals of what is kept and was created at `since` (seconds since 1970) or later."""
        return add_up(o for o in self._outcomes.values() if o.created >= since)

    async def aclose(self) -> None:
        """Forget everything."""
        self._outcomes.clear()
