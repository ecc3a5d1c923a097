"""What a company wants kept to itself: words and phrases it lists, patterns that it writes.

Takes time in proportion to the text, however many terms and whatever patterns: patterns run in
RE2, which has none that take longer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from emafusion.errors import ConfigError, MissingExtraError
from emafusion.protect.entities import Entity
from emafusion.protect.recognisers.plain import plain
from emafusion.protect.recognisers.reading import Reading

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff"
UNSPACED = re.compile(f"[{_UNSPACED}\U00020000-\U0003ffff]")
"""Letters of languages that write no blanks between words: nothing tells where a word ends."""
WORD = re.compile(rf"[^\W_{_UNSPACED}\U00020000-\U0003ffff]+")
PIECE = re.compile(rf"{WORD.pattern}|{UNSPACED.pattern}+|[\s_-]+|.", re.DOTALL)
APART = r"(?:[\s_-]|[^\w\s,.;!?\x00]|\.(?!\s)){1,8}"
"""What stands between the words of a term: blanks, marks that part no clauses, a dot of a name.

No term goes on behind a NUL, which stands between texts that are read as one."""
HUMP = re.compile("[A-ZÀ-ÖØ-Þ]*[a-zß-öø-ÿ]+|[A-ZÀ-ÖØ-Þ]+")
HUMPED = re.compile("[a-zß-öø-ÿ][A-ZÀ-ÖØ-Þ]")
"""Where a word begins within another, as names do in programs: ``theHalcyonTeam``."""
UMLAUTS = {"ä": "ae", "ö": "oe", "ü": "ue"}
LATIN = re.compile("[\u00c0-\u024f\u1e00-\u1eff]")
LETTERS = str.maketrans({"ς": "σ", "ſ": "s"})
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
        self._by_word: dict[str, list[re.Pattern[str]]] = {}
        self._by_hump: dict[str, list[re.Pattern[str]]] = {}
        self._by_letter: dict[str, list[re.Pattern[str]]] = {}
        for term in terms:
            self._add(term)
        self._letters = (
            re.compile(f"[{re.escape(''.join(self._by_letter))}]") if self._by_letter else None
        )
        self._patterns = [_compiled(pattern) for pattern in patterns]

    def _add(self, term: str) -> None:
        said = _folded(Reading(plain(term.strip())[0]))
        if len(said) < LEAST or not said[0].isalnum():
            raise ConfigError(f"the term {term!r} must begin with a letter or a digit, and "
                              f"have {LEAST} characters or more")  # fmt: skip
        pieces = PIECE.findall(said)
        form = re.compile("".join(map(_form, pieces)) + _end(said))
        if UNSPACED.match(said):
            self._by_letter.setdefault(said[0], []).append(form)
            return
        words = [piece for piece in pieces if piece[0].isalnum()]
        for key in _keys(pieces[0]):
            self._by_word.setdefault(key, []).append(form)
        if len(words) * 2 - 1 != len(pieces) or not WORD.fullmatch("".join(words)):
            return
        glued = "".join(map(_form, words))
        for key in _keys("".join(words)) if len(words) > 1 else ():
            self._by_word.setdefault(key, []).append(re.compile(glued + _end(said)))
        for key in _keys(words[0]):
            inner = f"(?:{APART})?".join(map(_form, words))
            self._by_hump.setdefault(key, []).append(re.compile(inner))

    def __call__(self, reading: Reading) -> Iterator[Entity]:
        """All terms in `reading`, at the ends of words, and what the patterns match."""
        folded = _folded(reading) if self._by_word or self._by_letter else ""
        for word in WORD.finditer(folded) if self._by_word else ():
            yield from _found(self._by_word.get(_key(word.group()), ()), folded, word.start())
        if self._by_hump and HUMPED.search(reading.text) is not None:
            yield from self._humped(reading.text, folded)
        if self._letters is not None and not folded.isascii():
            for first in self._letters.finditer(folded):
                yield from _found(self._by_letter[first.group()], folded, first.start())
        for pattern in self._patterns:
            for found in pattern.finditer(reading.text):
                if found.start() < found.end():
                    yield Entity(kind="TERM", start=found.start(), end=found.end(), score=1.0)

    def _humped(self, text: str, folded: str) -> Iterator[Entity]:
        """Terms that begin or end within a word."""
        for hump in HUMP.finditer(text):
            start, end = hump.span()
            forms = self._by_hump.get(_key(folded[start:end]), ())
            if not forms or not (_parts(text, start) or _bounds(text, start)):
                continue
            for found in filter(None, (form.match(folded, start) for form in forms)):
                over = found.end()
                # What stands between the ends of words has been found as such.
                if _parts(text, over) or (_parts(text, start) and _bounds(text, over)):
                    yield Entity(kind="TERM", start=start, end=over, score=1.0)


def _parts(text: str, place: int) -> bool:
    """Whether a word begins at `place` within another."""
    return place > 0 and HUMPED.match(text, place - 1) is not None


def _bounds(text: str, place: int) -> bool:
    """Whether no letter or digit stands on either side of `place`."""
    beside = text[max(0, place - 1) : place], text[place : place + 1]
    return not all(map(str.isalnum, beside))


def _found(forms: Sequence[re.Pattern[str]], folded: str, start: int) -> Iterator[Entity]:
    for form in forms:
        found = form.match(folded, start)
        if found is not None:
            yield Entity(kind="TERM", start=start, end=found.end(), score=1.0)


def _folded(reading: Reading) -> str:
    """The text in small letters, of the same length, of letters with two forms the usual one."""
    folded = reading.folded
    return folded if folded.isascii() else folded.translate(LETTERS)


def _key(word: str) -> str:
    """By what the terms are found that may begin with `word`: without its accents."""
    if word.isascii():
        return word
    return LATIN.sub(lambda found: _bare(found.group()), word.replace("ß", "ss"))


def _keys(word: str) -> frozenset[str]:
    """As :func:`_key`; an umlaut may be written as two letters."""
    spelt = "".join(UMLAUTS.get(c, c) for c in word)
    return frozenset((_key(word), _key(spelt)))


def _bare(letter: str) -> str:
    """A Latin letter without its accents."""
    return unicodedata.normalize("NFD", letter)[0]


def _form(piece: str) -> str:
    """The pattern of a piece of a term; its accents may be left out, but none be added."""
    if re.fullmatch(r"[\s_-]+", piece):
        return APART
    form = re.escape(piece).replace("ss", "(?:ss|ß)").replace("ß)", "\0").replace(
        "ß", "(?:ss|ß)").replace("\0", "ß)")  # fmt: skip
    return LATIN.sub(lambda found: _accented(found.group()), form)


def _accented(letter: str) -> str:
    bare = _bare(letter)
    if bare == letter:
        return letter
    return f"(?:{letter}|{UMLAUTS[letter]}|{bare})" if letter in UMLAUTS else f"[{letter}{bare}]"


def _end(said: str) -> str:
    """What must stand behind a term: no more of its word, where its language has words."""
    if UNSPACED.match(said[-1]) or not said[-1].isalnum():
        return r"(?![^\W_])" if not UNSPACED.match(said[-1]) else ""
    # Of several words the last may be said in the plural: that is no other word.
    plural = "(?!s(?!{0}))" if re.search(r"[\s_-]", said) and said[-1].isalpha() else ""
    letter = WORD.pattern[:-1]
    return f"(?!{plural.format(letter)}{letter})"


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
