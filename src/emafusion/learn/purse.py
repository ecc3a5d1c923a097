"""Money that calls made together share: set aside before a call, settled after it.

It knows amounts, not what they are spent on.
"""

from __future__ import annotations

import asyncio


class Purse:
    """Keeps calls made together from overspending together.

    Parameters
    ----------
    limit : float, optional
        US dollars in all; ``None`` for no limit.
    spent : float, default 0
        US dollars spent already.
    """

    def __init__(self, limit: float | None, *, spent: float = 0.0) -> None:
        self.limit = limit
        self.spent = spent
        self._reserved: dict[int, float] = {}
        self._tickets = 0
        self._changed = asyncio.Condition()

    @property
    def left(self) -> float:
        """US dollars that are neither spent nor set aside; infinite without a limit."""
        if self.limit is None:
            return float("inf")
        return max(self.limit - self.spent - sum(self._reserved.values()), 0.0)

    async def reserve(self, amount: float) -> int | None:
        """A ticket for `amount` US dollars, or ``None`` where it can never fit.

        Waits while calls under way may still give back enough.
        """
        async with self._changed:
            while not self._fits(amount):
                if not self._reserved or not self._could_fit(amount):
                    return None
                await self._changed.wait()
            self._tickets += 1
            self._reserved[self._tickets] = amount
            return self._tickets

    async def settle(self, ticket: int, spent: float) -> None:
        """Give `ticket` back and count the US dollars that were `spent`."""
        async with self._changed:
            del self._reserved[ticket]
            self.spent += spent
            self._changed.notify_all()

    def _fits(self, amount: float) -> bool:
        reserved = sum(self._reserved.values())
        return self.limit is None or self.spent + reserved + amount <= self.limit

    def _could_fit(self, amount: float) -> bool:
        return self.limit is None or self.spent + amount <= self.limit
