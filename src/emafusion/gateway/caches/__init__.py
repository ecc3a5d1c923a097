"""Answers given again instead of bought again: to equal requests, and to those that ask the same.

A cache is a gate, off unless it is switched on; what makes two requests one is its key. What one
tenant asked is never an answer to another's request, nor to one under another clearance.
"""

from __future__ import annotations

from emafusion.gateway.caches.cache import AnswerCache
from emafusion.gateway.caches.keys import Equal, Key, SameQuestion
from emafusion.gateway.caches.rules import Mode, Rules
from emafusion.gateway.caches.shelves import LocalShelf, SharedShelf, Shelf

__all__ = [
    "AnswerCache",
    "Equal",
    "Key",
    "LocalShelf",
    "Mode",
    "Rules",
    "SameQuestion",
    "SharedShelf",
    "Shelf",
]
