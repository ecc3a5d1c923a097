"""How much memory the bodies of all requests under way take together, bounded.

Knows sizes alone. What a body is, and what is told to whom there is no room for, others know.
"""

from __future__ import annotations


class Holding:
    """What is held at once by one application, at most `most` bytes."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.size = 0


class Held:
    """One request's share of `holding`."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._size = 0

    def grow(self, size: int) -> bool:
        """Take `size` bytes more; false, and nothing taken, where there is no room for them."""
        if self._holding.size + size > self._holding.most:
            return False
        self._holding.size += size
        self._size += size
        return True

    def release(self) -> None:
        """Give all of it back."""
        self._holding.size -= self._size
        self._size = 0
