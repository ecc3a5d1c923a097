"""The values taken out of one request, and how they come back into what is said to its caller.

A vault lives as long as its request and is never written down. It knows placeholders and values;
not where in a request they stood, nor how an answer is laid out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from emafusion.protect.bare import ESCAPES
from emafusion.protect.entities import LITERAL
from emafusion.protect.placeholders import (
    ANY,
    DIGEST,
    LONGEST,
    SPELLINGS,
    Mint,
    alike,
    spelt,
    unfinished,
    written,
)

_DIGESTS = re.compile(rf"(?<![a-zA-Z0-9])[a-zA-Z2-7]{{{DIGEST}}}(?![a-zA-Z0-9])")
"""What may be a placeholder's digest, however that is written."""


class Vault:
    """One request's values by their placeholders.

    Parameters
    ----------
    mint : Mint
        Makes the placeholders.
    scope : str
        Within which equal values have equal placeholders.
    """

    def __init__(self, mint: Mint, scope: str) -> None:
        self._mint = mint
        self._scope = scope
        self._values: dict[tuple[str, str], str] = {}
        self._placeholders: dict[tuple[str, str], str] = {}
        self._full: dict[tuple[str, str], str] = {}
        self._digests: set[str] = set()
        self._numbers: dict[tuple[str, str], str] = {}
        self._bare: set[str] = set()
        self._kinds: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Vault({len(self)} values)"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the values, in alphabetical order."""
        return self._kinds

    def put(self, kind: str, value: str) -> str:
        """The placeholder of `value`, which comes back in its place, spelt as it is here.

        Of a value that is spelt in more ways than :data:`SPELLINGS` the others come back as the
        last of those.
        """
        known = self._placeholders.get((kind, value))
        if known is None:
            known = self._placeholders[kind, value] = self._put(kind, value, range(SPELLINGS))
        return known

    def put_number(self, kind: str, value: str) -> str:
        """As :meth:`put`, for a number that JSON has without quotes, and that stands in some now.

        They are no part of the placeholder, but go where it is undone. The spellings of numbers are
        counted from the last: one has the same placeholder whether or not a text has it, too.
        """
        known = self._numbers.get((kind, value))
        if known is None:
            known = self._put(kind, value, range(SPELLINGS - 1, -1, -1))
            self._numbers[kind, value] = known
            self._bare.add(known)
        return known

    def as_number(self, placeholder: str) -> str:
        """The placeholder of the same value as a number; what is none of here stays as it is."""
        found = ANY.fullmatch(placeholder)
        kind, _, digest = found[0][1:-1].partition("_") if found else ("", "", "")
        value = self._values.get((kind, digest))
        return placeholder if value is None else self.put_number(kind, value)

    def _put(self, kind: str, value: str, spellings: Iterable[int]) -> str:
        named = (kind, alike(kind, value))
        if named in self._full:
            return self._full[named]
        digest = ""
        for spelling in spellings:
            digest = self._mint.digest(kind, value, scope=self._scope, spelling=spelling)
            if (kind, digest) not in self._values:
                self._values[kind, digest] = value
                self._digests.add(digest)
                if kind not in self._kinds:
                    self._kinds = tuple(sorted((*self._kinds, kind)))
                return spelt(kind, digest)
        return self._full.setdefault(named, spelt(kind, digest))

    def unmask(
        self, text: str, *, start: int = 0, end: int | None = None, in_json: bool = False
    ) -> str:
        """`text` from `start` to `end` with values in place of placeholders.

        `in_json` they are escaped as strings of JSON are. A placeholder that stands for nothing
        here stays as it is. What is behind `end` is looked at, for it may show that what ends there
        is no placeholder, as in :meth:`settled`, whose places alone are ends.
        """
        end = len(text) if end is None else end
        if not self._mentioned(text):
            return text[start:end]
        said: list[str] = []
        for found in written(self.kinds).finditer(text, start):
            known = self._known(found) if found.end() <= end else None
            if known is not None:
                first, last = self._with_quotes(found, start, end)
                said += text[start:first], _escaped(known) if in_json else known
                start = last
        return "".join([*said, text[start:end]])

    def settled(self, text: str, start: int = 0) -> int:
        """The place in `text` up to which it means the same whatever comes after it.

        What is before `start` was settled earlier.
        """
        if not self._values:
            return len(text)
        kinds = self.kinds
        placeholders = list(written(kinds).finditer(text, start))
        spans = [found.span() for found in placeholders]
        begin, last = start, placeholders[-1] if placeholders else None
        start = max(start, len(text) - LONGEST)
        while (found := unfinished(kinds).search(text, start)) is not None:
            within = next((end for a, end in spans if a < found.start() < end), None)
            if within is None:
                return self._settled_quotes(text, begin, found.start(), last=last)
            start = within
        return self._settled_quotes(text, begin, len(text), last=last)

    def _settled_quotes(
        self, text: str, start: int, end: int, *, last: re.Match[str] | None
    ) -> int:
        """The place, not behind `end`, before which no quote may yet go with a number.

        `last` is the last placeholder in `text`.
        """
        if not self._bare:
            return end
        mark = "" if last is None or not self._is_bare(last) else _mark(text, start, last.start())
        if last is not None and mark:
            rest = text[last.end() : last.end() + len(mark)]
            if rest != mark and mark.startswith(rest):
                return last.start() - len(mark)
            closed = last.end() + len(mark) if rest == mark else start
        else:
            closed = start
        # A number may come next, and what ends here be its quote.
        opened = end - text.endswith('"', start, end)
        least = max(start, closed, opened - ESCAPES - 1)
        while opened > least and text[opened - 1] == "\\":
            opened -= 1
        return max(opened, closed)

    def _is_bare(self, found: re.Match[str]) -> bool:
        return bool(self._bare) and spelt(*_named(found)) in self._bare

    def _with_quotes(self, found: re.Match[str], start: int, end: int) -> tuple[int, int]:
        """From where to where `found` stands, with the quotes around it if it is a number."""
        first, last = found.span()
        mark = _mark(found.string, start, first) if self._is_bare(found) else ""
        if mark and last + len(mark) <= end and found.string.startswith(mark, last):
            return first - len(mark), last + len(mark)
        return first, last

    def lookalikes(self, text: str) -> Iterable[tuple[int, int]]:
        """Where `text`, not masked yet, has what would come back as a value."""
        if not self._mentioned(text):
            return []
        found = written(self.kinds).finditer(text)
        return [one.span() for one in found if self._known(one) is not None]

    def quote(self, text: str) -> str:
        """The placeholder of `text`, which looks like one itself."""
        return self.put(LITERAL, text)

    def _mentioned(self, text: str) -> bool:
        """Whether a digest of a value here is in `text` at all: a tenth of a search's time."""
        if not self._values or len(text) < DIGEST:
            return False
        return any(one.lower() in self._digests for one in _DIGESTS.findall(text))

    def _known(self, found: re.Match[str]) -> str | None:
        return self._values.get(_named(found))


def _named(found: re.Match[str]) -> tuple[str, str]:
    """Kind and digest of a placeholder."""
    return found[1] or found[3].upper(), found[2] or found[4].lower()


def _mark(text: str, start: int, end: int) -> str:
    """The quote that ends at `end`, with what escapes it; none of it is before `start`."""
    if not text.endswith('"', start, end):
        return ""
    begin = end - 1
    while begin > max(0, end - 2 - ESCAPES) and text[begin - 1] == "\\":
        begin -= 1
    return text[begin:end] if begin >= max(start, end - 1 - ESCAPES) else ""


def _escaped(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


class Unmasking:
    """Puts values back into a text that comes in pieces.

    All pieces together are what :meth:`Vault.unmask` makes of the whole, wherever it was cut.
    What may yet become a placeholder is held back.
    """

    def __init__(self, vault: Vault, *, in_json: bool = False) -> None:
        self._vault = vault
        self._in_json = in_json
        self._text = ""
        self._said = 0

    def feed(self, piece: str) -> str:
        """What can be said once `piece` has come."""
        self._text += piece
        return self._upto(self._vault.settled(self._text, self._said))

    def end(self) -> str:
        """What was held back, once nothing more comes."""
        return self._upto(len(self._text))

    def _upto(self, place: int) -> str:
        said = self._vault.unmask(self._text, start=self._said, end=place, in_json=self._in_json)
        # The last character said is kept: whether a name begins after it depends on it.
        self._text = self._text[max(place - 1, 0) :]
        self._said = min(place, 1)
        return said
