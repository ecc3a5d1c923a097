"""What a company wants kept to itself: words and phrases it lists, patterns that it writes.

Takes time in proportion to the text, however many terms and whatever patterns: patterns run in
RE2, which has none that take longer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from emafusion.errors import ConfigError, MissingExtraError
from emafusion.protect.entities import Entity
from emafusion.protect.recognisers.reading import Reading

WORD = re.compile(r"\w+")
LEAST = 2
"""Letters of a term: shorter ones would be found everywhere."""


class Terms:
    """Finds `terms`, in capitals or not, and `patterns`.

    Raises
    ------
    ConfigError
        A term is too short, or a pattern is none that RE2 knows or fits an empty text.
    MissingExtraError
        There are patterns, and RE2 is not installed.
    """

    def __init__(self, terms: Sequence[str] = (), patterns: Sequence[str] = ()) -> None:
        self._by_word: dict[str, list[str]] = {}
        for term in terms:
            said = term.strip().lower()
            first = WORD.search(said)
            if len(said) < LEAST or first is None or first.start():
                raise ConfigError(f"the term {term!r} must begin with a letter or a digit, and "
                                  f"have {LEAST} characters or more")  # fmt: skip
            self._by_word.setdefault(first.group(), []).append(said)
        self._patterns = [_compiled(pattern) for pattern in patterns]

    def __call__(self, reading: Reading) -> Iterator[Entity]:
        """All terms in `reading`, at the ends of words, and what the patterns match."""
        folded = reading.folded
        for word in WORD.finditer(folded) if self._by_word else ():
            for term in self._by_word.get(word.group(), ()):
                end = word.start() + len(term)
                if folded.startswith(term, word.start()) and not folded[end : end + 1].isalnum():
                    yield Entity(kind="TERM", start=word.start(), end=end, score=1.0)
        for pattern in self._patterns:
            for found in pattern.finditer(reading.text):
                if found.start() < found.end():
                    yield Entity(kind="TERM", start=found.start(), end=found.end(), score=1.0)


def _compiled(pattern: str) -> Any:
    """`pattern` in RE2; typed as any, for RE2 says nothing of its types."""
    try:
        import re2
    except ImportError:
        raise MissingExtraError("re2", "privacy") from None
    options = re2.Options()
    options.log_errors = False
    try:
        found = re2.compile(pattern, options)
    except re2.error:
        raise ConfigError(f"the pattern {pattern!r} is none that RE2 knows") from None
    if found.search("") is not None:
        raise ConfigError(f"the pattern {pattern!r} fits an empty text; say what it must hold")
    return found
