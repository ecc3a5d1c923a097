"""How much memory the bodies of all requests under way take together, bounded.

Knows sizes alone. What a body is, and what is told to whom there is no room for, others know.
"""

from __future__ import annotations


class Holding:
    """What one application holds at once: at most `most` bytes, and each tenant `share` of them."""

    def __init__(self, most: int, *, share: float = 1.0) -> None:
        self._most = most
        self._each = int(most * share)
        self._size = 0
        self._sizes: dict[str, int] = {}

    def take(self, tenant: str, size: int) -> bool:
        """Have `tenant` hold `size` bytes more; false, and nothing done, without room for them."""
        mine = self._sizes.get(tenant, 0) + size
        if self._size + size > self._most or mine > self._each:
            return False
        self._size += size
        self._sizes[tenant] = mine
        return True

    def free(self, tenant: str, size: int) -> None:
        """Have `tenant` hold `size` bytes less."""
        self._size -= size
        self._sizes[tenant] -= size
        if not self._sizes[tenant]:
            del self._sizes[tenant]


class Held:
    """What one request holds of `holding`, for `tenant`, which is set once it is known."""

    def __init__(self, holding: Holding) -> None:
        self.tenant = ""
        self._holding = holding
        self._size = 0

    def grow(self, size: int) -> bool:
        """Take `size` bytes more; false, and nothing taken, where there is no room for them."""
        taken = not size or self._holding.take(self.tenant, size)
        self._size += size if taken else 0
        return taken

    def release(self) -> None:
        """Give all of it back."""
        if self._size:
            self._holding.free(self.tenant, self._size)
            self._size = 0
