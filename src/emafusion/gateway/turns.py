"""Whose turn it is for work that takes long: each tenant's, one after another.

Tenants do not wait for one another. Knows no work.
"""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary


class Turns:
    """A lock for each tenant, for as long as anybody holds it or waits for it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, tenant: str) -> asyncio.Lock:
        """The lock of `tenant`."""
        return self._locks.setdefault(tenant, asyncio.Lock())
