"""What of a person is to be found, so that it can be erased: names of callers, and placeholders.

Masked text holds no value, but the same secret makes the same placeholders again. Knows neither
files nor tables: those who keep text are given :meth:`Subject.concerns`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from emafusion.errors import ConfigError
from emafusion.protect.entities import KINDS, LITERAL
from emafusion.protect.placeholders import ANY, DIGEST, Mint
from emafusion.protect.recognisers.plain import UNSEEN, plain, posed
from emafusion.protect.recognisers.terms import UNSPACED, WORD

LEAST = 4
"""Characters of a value that is looked for as it stands; a Chinese or Korean one counts twice."""
DIGITS = 5
"""Digits from which on a value that is mostly digits is the same however it is grouped."""
LONG = 9
"""Digits from which on letters may touch a number: shorter ones stand in codes by chance."""
ABROAD = ("+", "00")
_GROUPED = r"(?:\(0\)|[\s\-./()_+]){0,3}"
_APART = r"(?:[\s_-]+|[+.])"
"""Between words: in sentences, over lines, in names of files and URLs."""
_NOTHING = r"[^\s\S]"
_WRAPPED = r"\s{0,2}"
_LETTER = WORD.pattern.removesuffix("+")
_DENSE: Final = re.compile("[\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
_DIGEST: Final = re.compile(rf"(?<![a-z0-9])[a-z2-7]{{{DIGEST}}}(?![a-z0-9])")


class Subject:
    """A person, by the names that the record knows and by what is hers or his.

    Parameters
    ----------
    mints : sequence of Mint
        With the secrets that the placeholders were made with, if any were.
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
        mints: Sequence[Mint],
        scopes: Sequence[str],
        *,
        callers: Sequence[str] = (),
        values: Sequence[str] = (),
        kinds: Sequence[str] = (),
    ) -> None:
        self.callers = frozenset(callers)
        self._mints = tuple(mints)
        self._seals = {one.seal for one in mints}
        self._asked = [(kind, value) for value in values for kind in {*KINDS, LITERAL, *kinds}]
        self._asked += [("PHONE", other) for value in values for other in _dialled(value)]
        self._digests: set[str] = set()
        self._scopes: set[str] = set()
        for scope in scopes:
            self.widen(scope)
        told = [_said(value).strip() for value in values if stands(value)]
        # A value stands in what was written before there was a secret, and where it was allowed.
        # Its sign is quick to look for: most texts are about nobody who is sought.
        self._values = [(_sign(value), re.compile(_spelt(value))) for value in told]

    def widen(self, scope: str) -> None:
        """Search the data of `scope` too."""
        if scope in self._scopes:
            return
        self._scopes.add(scope)
        for mint in self._mints:
            for kind, value in self._asked:
                made = mint.placeholders(kind, value, scope=scope)
                self._digests.update(one[-1 - DIGEST : -1] for one in made)

    def concerns(self, *texts: str, caller: str = "") -> bool:
        """Whether what `caller` asked, or any of `texts`, is about the subject.

        Raises
        ------
        ConfigError
            A value was taken out of a text, and there is no secret to tell which.
        """
        return caller in self.callers or any(self._within(text) for text in texts)

    def veiled(self, seal: str, text: str) -> bool:
        """Whether `text` was masked with another secret than ours, which `seal` tells."""
        return seal not in self._seals and bool(seal) and ANY.search(text) is not None

    def _within(self, text: str) -> bool:
        if self._asked and not self._mints and ANY.search(text) is not None:
            raise ConfigError(
                "there are placeholders, and no [protect] with the secret that they were made "
                "with: nothing that was masked would be found; set it, or name it with --secret"
            )
        return any(self._stands(one) or self._masked(one) for one in _read(text))

    def _stands(self, folded: str) -> bool:
        return any(sign in folded and form.search(folded) for sign, form in self._values)

    def _masked(self, folded: str) -> bool:
        return not self._digests.isdisjoint(_DIGEST.findall(folded)) if self._digests else False


def stands(value: str) -> bool:
    """Whether `value` is long enough to be looked for as it stands."""
    said = _said(value).strip()
    return len(said) + len(_DENSE.findall(said)) >= LEAST and any(map(str.isalnum, said))


def _read(text: str) -> Iterator[str]:
    """`text` folded, and what it says once its escapes are undone, where it may have any."""
    folded = _folded(text)
    yield folded
    bare = plain(text)[0]
    if bare != text and (undone := _folded(bare)) != folded:
        yield undone


def _folded(text: str) -> str:
    """`text` as all its spellings have it: without look-alikes, capitals and what is not seen."""
    if text.isascii():
        return text.casefold()
    seen = UNSEEN.sub("", text).translate(posed())
    # Turkish has an I with a dot and one without in either case.
    return unicodedata.normalize("NFKC", seen).casefold().replace("ı", "i").replace("\u0307", "")


def _said(value: str) -> str:
    return _folded(plain(value)[0])


def _spelt(said: str) -> str:
    """A pattern of folded texts in which the folded value `said` stands."""
    if _numeric(said):
        signs = "".join(filter(str.isalnum, _bare(said)))
        glued = len(signs) >= LONG and signs.isdigit()
        before, behind = _goes_on(signs[0], glued), _goes_on(signs[-1], glued)
        head = f"(?<!{before}{signs[0]})"
        if said.startswith(ABROAD):
            head = f"(?:{head}|(?<=00{signs[0]})(?<!{before}00{signs[0]}))"
        return f"{signs[0]}{head}{_GROUPED}{_GROUPED.join(signs[1:])}(?!{behind})"
    words = said.split()
    form = _lettered(words[0])
    for before, word in pairwise(words):
        unspaced = UNSPACED.match(before[-1]) and UNSPACED.match(word)
        form += (f"{_APART}?" if unspaced else _APART) + _lettered(word)
    first = re.escape(said[0])
    # The lookbehind comes second: a pattern that begins with a letter is found ten times as fast.
    return f"{first}(?<!{_goes_on(said[0])}{first}){form[len(first) :]}(?!{_goes_on(said[-1])})"


def _lettered(word: str) -> str:
    """A pattern of `word`, which a line may break off where its language has no blanks."""
    form = ""
    for before, letter in pairwise(" " + word):
        broken = UNSPACED.match(before) and UNSPACED.match(letter)
        form += (_WRAPPED if broken else "") + re.escape(letter)
    return form


def _goes_on(end: str, glued: bool = False) -> str:
    """What would make a value that ends with `end` part of another word or number."""
    if glued:
        return "[0-9]"
    return _NOTHING if UNSPACED.match(end) or not end.isalnum() else _LETTER


def _sign(said: str) -> str:
    """What every folded text has in which `said` stands: its first word or its first sign."""
    if _numeric(said):
        return next(filter(str.isalnum, _bare(said)))
    return said[0] if UNSPACED.match(said) else said.split(maxsplit=1)[0]


def _numeric(said: str) -> bool:
    signs = [one for one in said if one.isalnum()]
    digits = sum(one.isdigit() for one in signs)
    return digits >= DIGITS and 2 * digits >= len(signs) and "@" not in said


def _bare(said: str) -> str:
    """A number, where it names its country without what is dialled before that, or at home."""
    return said.removeprefix("00").replace("(0)", "") if said.startswith(ABROAD) else said


def _dialled(value: str) -> Iterator[str]:
    """How else the international number `value` is written."""
    said = _said(value).strip()
    if not _numeric(said) or not said.startswith(ABROAD):
        return
    signs = "".join(filter(str.isalnum, _bare(said)))
    yield from (signs, f"+{signs}", f"00{signs}")
    # A country's code has one to three digits.
    yield from (f"+{signs[:n]}0{signs[n:]}" for n in (1, 2, 3))
