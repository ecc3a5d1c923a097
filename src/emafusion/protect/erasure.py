"""What of a person is to be found, so that it can be erased: names of callers, and placeholders.

Masked text holds no value, but the same secret makes the same placeholders again. Knows neither
files nor tables: those who keep text are given :meth:`Subject.concerns`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import unquote

from emafusion.protect.entities import KINDS, LITERAL
from emafusion.protect.placeholders import ANY, Mint

LEAST = 4
"""Characters of a value that is looked for as it stands."""
DIGITS = 5
"""Digits from which on a value that is mostly digits is the same however it is grouped."""
_GROUPED = r"[\s\-./()\u2010-\u2015]{0,3}"
_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
_UNSEEN: Final = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")


class Subject:
    """A person, by the names that the record knows and by what is hers or his.

    Parameters
    ----------
    mint : Mint or None
        With the secret that the placeholders were made with, if any were.
    scopes : sequence of str
        Whose data is searched; :meth:`widen` adds those that are found out later.
    callers : sequence of str
        How the record names the person as a caller: ``tenant/user``.
    values : sequence of str
        A mail address, a name, a number. It may have been taken out as of any kind: what a number
        was taken for depends on the words around it.
    kinds : sequence of str
        Kinds that detectors of one's own find.
    """

    def __init__(
        self,
        mint: Mint | None,
        scopes: Sequence[str],
        *,
        callers: Sequence[str] = (),
        values: Sequence[str] = (),
        kinds: Sequence[str] = (),
    ) -> None:
        self.callers = frozenset(callers)
        self.placeholders: set[str] = set()
        self._mint = mint
        self._asked = [(kind, value) for value in values for kind in {*KINDS, LITERAL, *kinds}]
        self._scopes: set[str] = set()
        for scope in scopes:
            self.widen(scope)
        told = [value for value in values if stands(value)]
        said = "|".join(map(_spelt, told))
        # Quick to look for first: most texts are about nobody who is sought.
        self._signs = frozenset(map(_sign, told))
        # A value stands in what was written before there was a secret, and where it was allowed.
        self._values = re.compile(rf"(?<!\w)(?:{said})(?!\w)") if said else None

    def widen(self, scope: str) -> None:
        """Search the data of `scope` too."""
        if self._mint is None or scope in self._scopes:
            return
        self._scopes.add(scope)
        for kind, value in self._asked:
            self.placeholders.update(self._mint.placeholders(kind, value, scope=scope))

    def concerns(self, *texts: str, caller: str = "") -> bool:
        """Whether what `caller` asked, or any of `texts`, is about the subject."""
        return caller in self.callers or any(self._within(text) for text in texts)

    def _within(self, text: str) -> bool:
        if any(self._stands(_plain(one)) for one in _read(text)):
            return True
        return any(found.group() in self.placeholders for found in ANY.finditer(text))

    def _stands(self, plain: str) -> bool:
        if self._values is None or not any(sign in plain for sign in self._signs):
            return False
        return self._values.search(plain) is not None


def stands(value: str) -> bool:
    """Whether `value` is long enough to be looked for as it stands."""
    plain = _plain(value).strip()
    return len(plain) >= LEAST and any(map(str.isalnum, plain))


def _plain(text: str) -> str:
    """`text` as all its spellings have it: without look-alikes, capitals and what is not seen."""
    if text.isascii():
        return text.casefold()
    return _UNSEEN.sub("", unicodedata.normalize("NFKC", text)).casefold()


def _spelt(value: str) -> str:
    """A pattern of plain texts in which `value` stands."""
    if _numeric(value):
        return _GROUPED.join(re.escape(one) for one in _plain(value) if one.isalnum())
    return r"\s+".join(re.escape(word) for word in _plain(value).split())


def _sign(value: str) -> str:
    """What every plain text has in which `value` stands: its first word, a number's first sign."""
    plain = _plain(value)
    return next(filter(str.isalnum, plain)) if _numeric(value) else plain.split()[0]


def _numeric(value: str) -> bool:
    signs = [one for one in _plain(value) if one.isalnum()]
    digits = sum(one.isdigit() for one in signs)
    return digits >= DIGITS and 2 * digits >= len(signs) and "@" not in value


def _read(text: str) -> Iterator[str]:
    """`text`, and what it says to who reads its escapes: JSON within a text, or a URL."""
    yield text
    if "\\u" in text:
        yield _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    if "%" in text:
        yield unquote(text)
