"""Which split a drawn thing belongs to, once and for good: its content decides.

Knows digests and the hundredths of each split; not what is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

Split = Literal["train", "val", "test"]

SHARES: Final[Mapping[Split, tuple[int, int]]] = MappingProxyType(
    {"train": (0, 60), "val": (60, 75), "test": (75, 100)}
)
"""Which hundredths of all that can be drawn belong to each split."""


def split_of(digest: str) -> Split:
    """The split that hexadecimal digits, eight or more, fall into."""
    share = int(digest[:8], 16) % 100
    return next(split for split, (low, high) in SHARES.items() if low <= share < high)
