"""What the words of a text mean to its judge: each word's concepts, in every language at once.

Knows words (``appeals.toml``) and how they are folded; does not know which concepts together make
an advance (:mod:`emafusion.judge.advances`).
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

CONCEPTS: tuple[str, ...] = (
    "who", "deed", "give", "this", "answer", "top", "ignore", "orders", "prior", "other", "wrong",
    "proven", "vendor", "you", "must", "marks", "correct", "call",
)  # fmt: skip
"""What an appeal is made of: those who judge, what they do, what to, and how they are spoken to."""

LANE = 24
"""Bits of one language in a word's meaning: as many languages as there are lie side by side."""
LONGEST_WORD = 32
MARK = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u0900-\u0902\u093c\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff"
    "\u20d0-\u20ff\u3099\u309a]+"
)
UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
CLITIC = re.compile("[\u0590-\u06ff]")
PLAIN = re.compile(r"[a-z]+|\d+(?:\.\d+)?/\d+|\d+%?")
WORD = re.compile(r"\d+(?:\.\d+)?/\d+|\d+%?|(?:[^\W\d_]|[\u0900-\u0dff\u0e00-\u0e7f])+")


def fold(text: str) -> str:
    """`text` in lower case, in its compatible form, without the marks upon its letters."""
    if text.isascii():
        return text.lower()
    apart = MARK.sub("", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", apart)


class Vocabulary(NamedTuple):
    """The folded words: whole ones, beginnings by their length, and those of unparted scripts."""

    languages: tuple[str, ...]
    whole: Mapping[str, int]
    begun: Mapping[int, Mapping[str, int]]
    unspaced: re.Pattern[str]
    english: re.Pattern[str]

    @property
    def ones(self) -> int:
        """The lowest bit of every language."""
        return sum(1 << LANE * number for number in range(len(self.languages)))

    def meaning(self, word: str) -> int:
        """The concepts of a folded `word`: bit ``LANE * language + concept``."""
        found = self.whole.get(word, 0)
        for length, stems in self.begun.items():
            found |= stems.get(word[:length], 0)
        return found


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """The words of ``appeals.toml``, folded; read once."""
    given = tomllib.loads(
        resources.files("emafusion.judge").joinpath("appeals.toml").read_text(encoding="utf-8")
    )
    languages = (*given["words"], *given["runs"])
    whole: dict[str, int] = {}
    begun: dict[int, dict[str, int]] = {}
    for bit, word in _entries({**given["words"], **given["runs"]}):
        stem = fold(word.rstrip("*"))
        place = begun.setdefault(len(stem), {}) if word.endswith("*") else whole
        place[stem] = place.get(stem, 0) | bit
    top = sum(1 << LANE * n + CONCEPTS.index("top") for n in range(len(languages)))
    for figure in given["figures"].split():
        whole[figure] = whole.get(figure, 0) | top
    return Vocabulary(
        languages=languages,
        whole=whole,
        begun=begun,
        unspaced=_any_of(word for _, word in _entries(given["runs"])),
        english=_any_of(word for _, word in _entries({"en": given["words"]["en"]}) if word[3:]),
    )


@lru_cache(maxsize=65_536)
def meaning(word: str) -> int:
    """The concepts of one folded word; those of a Semitic one without its article, too."""
    words = vocabulary()
    word = word[:LONGEST_WORD]
    found = words.meaning(word)
    if CLITIC.match(word):
        for cut in (1, 2, 3):
            found |= words.meaning(word[cut:]) if len(word) - cut >= 2 else 0
    return found


def tokens(folded: str) -> list[str]:
    """The words and figures of a folded text; terms of unparted scripts stand alone."""
    if not folded.isascii() and UNSPACED.search(folded):
        folded = vocabulary().unspaced.sub(r" \g<0> ", folded)
    return (PLAIN if folded.isascii() else WORD).findall(folded)


def spelt(letters: str) -> str:
    """A run of letters without spaces, with spaces around the English words that judges hear."""
    return vocabulary().english.sub(r" \g<0> ", letters)


def _entries(languages: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[int, str]]:
    """Every word with its bit; the languages are numbered as :func:`vocabulary` numbers them."""
    for number, concepts in enumerate(languages.values()):
        for concept, words in concepts.items():
            bit = 1 << LANE * number + CONCEPTS.index(concept)
            yield from ((bit, word) for word in words.split())


def _any_of(words: Iterator[str]) -> re.Pattern[str]:
    folded = {fold(word.rstrip("*")) for word in words}
    return re.compile("|".join(map(re.escape, sorted(folded, key=len, reverse=True))))
