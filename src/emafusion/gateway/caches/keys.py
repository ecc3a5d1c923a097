"""What makes two requests one, as a digest: equality, or the same question in other words.

Knows which of a request's fields an answer depends on. Everything else about a request is part of
the key, unknown fields too, so a field nobody here knows can only make a hit rarer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from emafusion.gateway.caches.wording import read
from emafusion.gateway.callers import Passage
from emafusion.types import Message

Scope = Callable[[Passage], Sequence[str]]
"""What else must be equal: the policy's name and version, and the request's data class."""

LONGEST = 2**20
"""Bytes of a request that has a key."""

UNWRITABLE = (UnicodeEncodeError, OverflowError, RecursionError)
"""Half a surrogate pair, a whole number of more than 64 bits, and nesting without end."""
_VERSION = "1"
_ELSEWHERE = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "safety_identifier",
        "stream",
        "stream_options",
        "user",
    }
)


class Key(Protocol):
    """Which requests have one answer."""

    @property
    def found(self) -> str:
        """What the response's header calls a hit."""
        ...

    def of(self, passage: Passage) -> str | None:
        """The key of `passage`; ``None`` where it has none."""
        ...


class Equal:
    """The key of equal requests.

    Parameters
    ----------
    scope : callable
        What else must be equal. There is no default: leaving the data class out would give answers
        across clearances.
    most : int
        The longest request with a key, bytes.
    """

    found = "hit"

    def __init__(self, scope: Scope, *, most: int = LONGEST) -> None:
        self._scope = scope
        self._most = most

    def of(self, passage: Passage) -> str | None:
        """The key of `passage`; ``None`` where it is too long or cannot be written down."""
        return digest(passage, self._scope(passage), most=self._most)


class SameQuestion:
    """The key of requests that differ only in how their last message words its question.

    Everything else, the system prompt and earlier messages included, must be equal. What counts as
    the same wording is :func:`~.wording.read`'s to say. Parameters as :class:`Equal`.
    """

    found = "similar"

    def __init__(self, scope: Scope, *, most: int = LONGEST) -> None:
        self._scope = scope
        self._most = most

    def of(self, passage: Passage) -> str | None:
        """The key of `passage`; ``None`` too where its question is no short text of one part."""
        text = last_text(passage.request.messages)
        words = None if text is None else read(text)
        if words is None:
            return None
        scope = ("same question", *self._scope(passage), "", *words)
        return digest(passage, scope, most=self._most, without_last=True)


def digest(
    passage: Passage, scope: Sequence[str], *, most: int, without_last: bool = False
) -> str | None:
    """The key of `passage`: 64 hexadecimal digits; equal for equal requests of one tenant.

    Tenant, what its key permits and prefers, `scope`, messages, parameters and knobs all count, and
    every field is encoded with its boundaries, so no text can pose as another field. With
    `without_last`, the last message's content does not count.

    Parameters
    ----------
    passage : Passage
        The request and who sends it.
    scope : sequence of str
        What else must be equal.
    most : int
        The longest request with a key, bytes.
    without_last : bool
        Leave the last message's content out.

    Returns
    -------
    str or None
        ``None`` where the request is longer than `most`, or cannot be written down.
    """
    request, caller = passage.request, passage.caller
    messages = [*request.messages]
    if without_last:
        messages[-1] = {k: value for k, value in messages[-1].items() if k != "content"}
    params = {name: value for name, value in request.params.items() if name not in _ELSEWHERE}
    whole = (
        _VERSION,
        caller.tenant,
        (_listed(caller.models), _listed(caller.policies), caller.prefer, caller.min_quality),
        list(scope),
        messages,
        params,
        request.knobs,
    )
    try:
        encoded = msgspec.json.encode(whole, order="sorted")
    except UNWRITABLE:
        return None
    return hashlib.sha256(encoded).hexdigest() if len(encoded) <= most else None


def last_text(messages: Sequence[Message]) -> str | None:
    """The last message's text, where it is the user's and holds nothing else."""
    last = messages[-1]
    content = last.get("content")
    return content if last.get("role") == "user" and isinstance(content, str) else None


def _listed(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)
