"""Text from elsewhere, made fit for a message: short, one line, without anything like a key.

Whoever wrote the text may mean harm: what it takes to read grows with its length and no faster.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

LONGEST = 300
REDACTED = "[redacted]"
_READ = 4096
"""Characters that are looked at: enough that what is left of them fills a message."""
_KEY = 8
"""Characters after a vendor's prefix that make a key."""
_OPAQUE = 32
"""Characters of letters and digits in a row that are taken for a key, whoever issued it."""

_BEARER = re.compile(r"(?i)(?<![a-z0-9])(?:bearer|basic)\s+\S+")
_USER = re.compile(r"(?<=://)[^/\s]+@")
_ADDRESS = re.compile(r"://\S+")
_WORD = re.compile(r"(?i)[a-z0-9_\-*]{8,}")
_PREFIX = re.compile(r"(?i)(?<![a-z0-9])(?:sk|pk|rk|ak|gsk|xai|key|api|hf|ghp|aiza|akia)")
_SIGN = re.compile(r"[0-9*]")
_DIGIT = re.compile(r"[0-9]")
_LETTER = re.compile(r"(?i)[a-z]")


def redacted(text: str, *secrets: str | None) -> str:
    """`text` on one line, at most 300 characters, without what should not be read.

    Key-looking strings, names, passwords and queries in addresses, and `secrets` are replaced; so
    is what a terminal would obey instead of printing it.
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, REDACTED)
    text = _line(text)
    text = _BEARER.sub(REDACTED, text)
    text = _USER.sub(REDACTED, text)
    text = _ADDRESS.sub(_without_query, text)
    text = _WORD.sub(_without_key, text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def places(url: str) -> list[str]:
    """How an upstream could quote the `url` it was asked at, which callers need not know.

    A bare word, which may as well mean something else, is not among them.
    """
    parts = urlsplit(url)
    named = (url, parts.netloc, parts.netloc.rpartition("@")[2], parts.hostname or "")
    return [name for name in named if "." in name or ":" in name]


def _line(text: str) -> str:
    """The beginning of `text` on one line; the word at which it is cut is left out."""
    line = " ".join(text.split(None, LONGEST)[:LONGEST])
    if len(line) > _READ:
        line = line[:_READ]
        line = line.rpartition(" ")[0] or line
    return line if line.isprintable() else "".join(c if c.isprintable() else "�" for c in line)


def _without_query(found: re.Match[str]) -> str:
    """An address up to its query or fragment, and what punctuation ends the sentence."""
    address = found.group()
    mark = re.search(r"[?#]", address)
    if mark is None:
        return address
    hidden = address[mark.end() :]
    after = hidden[len(hidden.rstrip("'\"`).,;:]}>")) :]
    return address[: mark.end()] + (REDACTED if hidden != after else "") + after


def _without_key(found: re.Match[str]) -> str:
    """A word from where a key begins in it.

    Each condition holds for what begins earlier if it holds for what begins later, so the first
    place alone is looked at.
    """
    word = found.group()
    if any(_opaque(run) for run in word.split("*")):
        return REDACTED
    prefix = _PREFIX.search(word)
    if prefix is None:
        return word
    rest = word[prefix.end() :]
    keyed = len(rest) >= _KEY and _SIGN.search(rest) is not None
    return word[: prefix.start()] + REDACTED if keyed else word


def _opaque(run: str) -> bool:
    return (
        len(run) >= _OPAQUE and _DIGIT.search(run) is not None and _LETTER.search(run) is not None
    )
