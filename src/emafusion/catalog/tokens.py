"""How many tokens a prompt may take, before anyone counts them.

A bound for limits and context windows, not a bill: bills use the upstream's own count. It errs on
the high side on purpose, so that a request we let through is not refused upstream.
"""

from __future__ import annotations

from collections.abc import Iterable

from emafusion.types import Message, content_text

ASCII_PER_TOKEN = 3.0
OTHER_PER_TOKEN = 0.8
PER_MESSAGE = 8
_PLAIN = frozenset({"role", "content"})
IMAGE_TOKENS = 1200
TYPICAL_SHARE = 0.75
"""The share of the upper estimate that English prose really takes."""


def count(text: str) -> int:
    """An upper estimate of the tokens in `text`; English prose has about 4.3 characters a token."""
    plain = len(text) if text.isascii() else len(text.encode("ascii", "ignore"))
    return int(plain / ASCII_PER_TOKEN + (len(text) - plain) / OTHER_PER_TOKEN) + 1


def count_texts(message: Message) -> int:
    """An upper estimate of what `message` says: its text, its calls and every further field."""
    total = PER_MESSAGE + count(content_text(message))
    if not message.keys() <= _PLAIN:
        beside = {name: value for name, value in message.items() if name not in _PLAIN}
        total += count(str(beside))
    return total


def count_messages(messages: Iterable[Message]) -> int:
    """An upper estimate of the tokens of a chat, its template's marks and its images included."""
    total = 0
    for message in messages:
        total += count_texts(message)
        content = message.get("content")
        if isinstance(content, (list, tuple)):
            pictures = (part for part in content if isinstance(part, dict) and "image_url" in part)
            total += IMAGE_TOKENS * sum(1 for _ in pictures)
    return total


def expected(messages: Iterable[Message]) -> float:
    """The tokens a chat will probably take, for forecasts of cost."""
    return TYPICAL_SHARE * count_messages(messages)
