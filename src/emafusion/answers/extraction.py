"""Reads a reply as an answer of a given kind and says when two replies agree. Knows which reader
serves which kind; each reader knows its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from emafusion.answers import (
    choice,
    dates,
    expression,
    literal,
    number,
    phrase,
    source,
    structured,
)
from emafusion.answers.conclusion import concludes
from emafusion.answers.kinds import LONGEST, Extracted, Kind

_READERS: Final[Mapping[Kind, Callable[[str], Extracted | None]]] = MappingProxyType(
    {
        "choice": choice.extract,
        "number": number.extract,
        "expression": expression.extract,
        "literal": literal.extract,
        "json": structured.extract,
        "code": source.extract,
        "text": phrase.extract,
        "date": dates.extract,
    }
)
# These readers write keys that they read back as they are; the others settle in a pass or two.
_SETTLED: Final[frozenset[Kind]] = frozenset({"choice", "number", "date", "json"})
_PASSES: Final = 6
_REMEMBERED: Final = 128
_REMEMBERED_UP_TO: Final = 20_000
_LONGEST_PHRASE: Final = 160
"""Characters of a reply in words, beyond which it is an essay unless it marks a conclusion."""


def extract(text: str, kind: Kind) -> Extracted | None:
    """The answer a reply gives, or ``None`` when it gives none of that kind.

    Total: any string is accepted. The key is settled: reading it again gives it again, so keys
    and replies can be mixed freely. Only the first 100,000 characters are read.
    """
    return _remembered(text, kind) if len(text) <= _REMEMBERED_UP_TO else _extracted(text, kind)


def _extracted(text: str, kind: Kind) -> Extracted | None:
    reader = _READERS[kind]
    first = reader(text[:LONGEST])
    if first is None or kind in _SETTLED or first.key == text:
        return first
    reached = first.key
    for _ in range(_PASSES):
        again = reader(reached)
        if again is None:
            return None
        if again.key == reached:
            return Extracted(kind=kind, span=first.span, key=reached)
        reached = again.key
    return None


_remembered = lru_cache(maxsize=_REMEMBERED)(_extracted)
"""Every judge of a draft asks for its answer."""


def canonical(text: str, kind: Kind) -> str | None:
    """The hashable key of the answer a reply gives, or ``None`` when it gives none."""
    found = extract(text, kind)
    return None if found is None else found.key


def shareable(text: str, kind: Kind) -> str | None:
    """The key of the answer a reply gives, or ``None`` when it gives none that others could share.

    An essay without a marked conclusion gives none: what its first sentence says is not what it
    was written for.
    """
    essay = kind == "text" and len(text) > _LONGEST_PHRASE and not concludes(text)
    return None if essay else canonical(text, kind)


def equivalent(a: str, b: str, kind: Kind) -> bool:
    """Whether two replies give the same answer; two replies without one never agree."""
    key = canonical(a, kind)
    return key is not None and key == canonical(b, kind)
