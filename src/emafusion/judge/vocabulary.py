"""What the words of a text mean to its judge: each word's concepts, in every language at once.

Knows words (``appeals.toml``) and how they are folded and found; does not know which concepts
together make an advance (:mod:`emafusion.judge.advances`).
"""

from __future__ import annotations

import re
import string
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Set
from functools import cached_property, lru_cache
from importlib import resources
from typing import NamedTuple


class Concepts(NamedTuple):
    """What an appeal is made of: those who judge, what they do, what to, how they are spoken to.

    The last two are of those who write one answer from several, and when, and of taking one over.
    """

    who: int
    deed: int
    give: int
    this: int
    answer: int
    top: int
    ignore: int
    orders: int
    prior: int
    other: int
    wrong: int
    proven: int
    vendor: int
    you: int
    must: int
    marks: int
    correct: int
    call: int
    writer: int
    copy: int


CONCEPTS = Concepts._fields

LANE = 24
"""Bits of one language in a word's meaning: as many languages as there are lie side by side."""
LONGEST_WORD = 32
MOST_MEANINGS = 65_536
MARK = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u0900-\u0902\u093c\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u1ab0-\u1aff\u1dc0-\u1dff"
    "\u20d0-\u20ff\u3099\u309a]+"
)
UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
CLITIC = re.compile("[\u0590-\u06ff]")
PLAIN = re.compile(r"[a-z]+|\d+(?:\.\d+)?/\d+|\d+%?")
WORD = re.compile(r"\d+(?:\.\d+)?/\d+|\d+%?|(?:[^\W\d_]|[\u0900-\u0dff\u0e00-\u0e7f])+")
INDIC = re.compile("[\u0900-\u0dff\u0e00-\u0e7f]")
SHOWN = bytes([0x09, 0x0A, 0x0D, *range(0x20, 0x7F)])
LONG = 16
LONG_RUN = re.compile(b"a" * LONG + b"a*")
"""As a fixed beginning, the letters are searched for as one passage."""


def kinds(default: str, *members: tuple[str, str]) -> bytes:
    """For each byte the kind of ASCII character it is: one sign for each set of `members`."""
    table = bytearray(default.encode() * 256)
    for kind, characters in members:
        for character in characters.encode():
            table[character] = ord(kind)
    return bytes(table)


LETTERS = kinds(" ", *((c, c) for c in string.ascii_lowercase), ("\n", "\n"))
WORDS = kinds("a", (" ", " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"))


def fold(text: str) -> str:
    """`text` in lower case, in its compatible form, without the marks upon its letters."""
    if text.isascii():
        return text.lower()
    apart = MARK.sub("", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", apart)


def group(words: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(words.split())


def odd(text: str) -> str:
    """The characters of `text` that are neither printable ASCII nor plain layout, in order."""
    # Bytes are deleted ten times as fast as a pattern finds characters.
    left = text.encode("utf-8", "surrogatepass").translate(None, SHOWN)
    return left.decode("utf-8", "surrogatepass")


def letters(folded: str) -> str:
    """A folded text with blanks for all that is neither one of the letters a–z nor a line's end."""
    return folded.encode("ascii", "replace").translate(LETTERS).decode("ascii")


@lru_cache(maxsize=4096)
def inert(character: str) -> bool:
    """Whether folding leaves a character as it is, no word holds it, and it changes no other."""
    if character.isascii():
        return True
    return (
        unicodedata.category(character)[0] in "PS"
        and unicodedata.normalize("NFKD", character) == character == character.casefold()
        and not any(p.match(character) for p in (MARK, UNSPACED, INDIC, CLITIC))
    )


class Reading:
    """A text made ready to be looked through: what several detectors ask of it, found once.

    Takes time linear in the text; what is asked for seldom is found when it is asked for.

    Attributes
    ----------
    text
        As it stands.
    odd
        Its characters beyond printable ASCII, in order.
    folded
        As :func:`fold` gives it.
    inert
        Whether its odd characters are :func:`inert`, all of them.
    plain
        Whether all its words are of the letters a–z, once folded.
    known
        The runs of a–z in ``folded``: no pattern can match whose words are not among them.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.odd = odd(text)
        self.inert = all(map(inert, set(self.odd)))
        self.folded = text.lower() if self.inert else fold(text)
        self.plain = self.inert or all(map(inert, set(odd(self.folded))))
        self.known = frozenset(letters(self.folded).split())

    def has(self, *groups: frozenset[str]) -> bool:
        """Whether a word of each of `groups` is there."""
        return not any(map(self.known.isdisjoint, groups))

    def drawn(self, kinds: bytes | None, without: bytes = b"") -> bytes:
        """The text without some characters, each of the rest as its kind in a table of 256.

        A character that is not ASCII is drawn as a question mark is.
        """
        return self._bytes.translate(kinds, without)

    @cached_property
    def _bytes(self) -> bytes:
        return self.text.encode("ascii", "replace")

    @cached_property
    def long_words(self) -> str:
        """The words of at least :data:`LONG` characters, in which something could be packed."""
        runs = [self.text[m.start() : m.end()] for m in LONG_RUN.finditer(self.drawn(WORDS))]
        # White space that is not ASCII has been taken for letters.
        return " ".join([word for word in " ".join(runs).split() if len(word) >= LONG])


class Vocabulary(NamedTuple):
    """The folded words: whole ones, beginnings by their length, and those of unparted scripts.

    ``figures`` is what marks out of so many mean, such as "10/10".
    """

    languages: tuple[str, ...]
    whole: Mapping[str, int]
    begun: Mapping[int, Mapping[str, int]]
    figures: int
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
        figures=top,
        unspaced=_any_of(word for _, word in _entries(given["runs"])),
        english=_any_of(word for _, word in _entries({"en": given["words"]["en"]}) if word[3:]),
    )


class Meanings(dict[str, int]):
    """The concepts of folded words, of the last :data:`MOST_MEANINGS` or fewer that were asked for.

    A dictionary, since every word of every draft is looked up.
    """

    def __missing__(self, word: str) -> int:
        found = _meaning(word)
        if len(self) >= MOST_MEANINGS:
            self.clear()
        if len(word) <= LONGEST_WORD:
            self[word] = found
        return found


@lru_cache(maxsize=1)
def meanings() -> Meanings:
    """The concepts of words, by folded word."""
    return Meanings()


def meaning(word: str) -> int:
    """The concepts of one folded word; those of a Semitic one without its article, too."""
    return meanings()[word]


def _meaning(word: str) -> int:
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
    """A pattern that finds the longest of the folded `words` that stands at a place."""
    return re.compile(_branches({fold(word.rstrip("*")) for word in words}))


def _branches(words: Set[str]) -> str:
    """The pattern as a tree by first letters: a flat list of words would be tried word by word."""
    tails: dict[str, set[str]] = {}
    for word in words - {""}:
        tails.setdefault(word[0], set()).add(word[1:])
    branches = "|".join(f"{re.escape(c)}{_branches(tails[c])}" for c in sorted(tails))
    return f"(?:{branches}){'?' if '' in words else ''}" if branches else ""
