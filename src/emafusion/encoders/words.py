"""Text into words, bounded: what the counting encoders read.

Knows how a text is cut and how much of it is looked at; knows no vectors.
"""

from __future__ import annotations

import re

HEAD = 6000
"""Characters read from the start of a text."""
TAIL = 2000
"""Characters read from its end, where a long prompt usually puts its question."""

_LETTERS = "a-zß-ɏͰ-῿"
_NAME = re.compile(rf"[{_LETTERS}]{{2,}}")
_WORD = re.compile(rf"[{_LETTERS}]+|[0-9]+|[^\s{_LETTERS}0-9]")


def clip(text: str) -> str:
    """The part of `text` that is read: all of it, or its first and last characters.

    Bounds the time that a very long prompt takes: at most ``HEAD + TAIL`` characters remain.
    """
    if len(text) <= HEAD + TAIL:
        return text
    return f"{text[:HEAD]}\n{text[-TAIL:]}"


def words(text: str) -> list[str]:
    """The lower-case words of `text`, in order: letters, digits, or one mark each."""
    return _WORD.findall(clip(text).lower())


def names(text: str) -> list[str]:
    """The lower-case words of two letters or more in `text`, in order."""
    return _NAME.findall(clip(text).lower())
