"""The values taken out of one request, and how they come back into what is said to its caller.

A vault lives as long as its request and is never written down. It knows placeholders and values;
not where in a request they stood, nor how an answer is laid out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from urllib.parse import quote

from emafusion.protect.entities import LITERAL
from emafusion.protect.nested import ESCAPES, LOOK, escaped, last_key
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
from emafusion.protect.within import Within

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
        self._spoken: Collection[str] = ()

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Vault({len(self)} values)"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the values, in alphabetical order."""
        return self._kinds

    @property
    def has_numbers(self) -> bool:
        """Whether any value is a number that JSON has without quotes."""
        return bool(self._bare)

    def expect(self, spoken: Collection[str]) -> None:
        """In JSON, fields of the names `spoken` hold text: a number there keeps its quotes."""
        self._spoken = spoken

    def put(self, kind: str, value: str) -> str:
        """The placeholder of `value`, what it means, which comes back in its place spelt so.

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

    def unmask(self, text: str, *, in_json: bool = False) -> str:
        """`text` with values in place of placeholders.

        In strings of JSON, and wherever `in_json`, they are escaped as often as those are within
        each other. A placeholder that stands for nothing here stays as it is.
        """
        if not self._mentioned(text):
            return text
        return self.part(text, 0, len(text), within=Within(always=in_json))

    def part(self, text: str, start: int, end: int, *, within: Within, key: str = "") -> str:
        """As :meth:`unmask`, of `text` from `start` to `end`, where `key` is JSON's last before.

        `within` has read what is before `start`, and reads on to `end`. What is behind that is
        looked at, for it may show that what ends there is no placeholder, as in :meth:`settled`,
        whose places alone are ends.
        """
        if not self._mentioned(text, start):
            within.read(text[start:end])
            return text[start:end]
        said: list[str] = []
        read = start
        for found in written(self.kinds).finditer(text, start):
            known = self._known(found) if found.end() <= end else None
            if known is None:
                continue
            first, last = found.span()
            within.read(text[read:first])
            depth, read = within.depth, last
            within.value()
            key = self.key(text, start, first) or key
            if self._is_bare(found) and not (depth and key in self._spoken):
                first, last = self._with_quotes(found, start, end)
            coded = found[0].startswith("%")
            said += text[start:first], quote(known, safe="") if coded else escaped(known, depth)
            start = last
        within.read(text[read:end])
        return "".join([*said, text[start:end]])

    def key(self, text: str, start: int, end: int) -> str:
        """JSON's last field's name in `text`, as far as that matters for what comes back."""
        return last_key(text, max(0, start - LOOK), end) if self._bare and self._spoken else ""

    def settled(self, text: str, start: int = 0) -> int:
        """The place in `text` up to which it means the same whatever comes after it.

        What is before `start` was settled earlier.
        """
        if not self._values:
            return len(text)
        kinds = self.kinds
        placeholders = list(written(kinds).finditer(text, start))
        spans = [found.span() for found in placeholders]
        begin = start
        start = max(start, len(text) - LONGEST)
        while (found := unfinished(kinds).search(text, start)) is not None:
            within = next((end for a, end in spans if a < found.start() < end), None)
            if within is None:
                return self._settled_quotes(text, begin, found.start(), those=placeholders)
            start = within
        return self._settled_quotes(text, begin, len(text), those=placeholders)

    def _settled_quotes(
        self, text: str, start: int, end: int, *, those: Sequence[re.Match[str]]
    ) -> int:
        """The place, not behind `end`, before which no quote may yet go with a number.

        `those` are the placeholders in `text`.
        """
        if not self._bare:
            return end
        for one in those[:-1]:
            # A quote that goes with one goes with no other.
            if self._known(one) is not None:
                _, start = self._with_quotes(one, start, len(text))
        last = those[-1] if those else None
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

    def _mentioned(self, text: str, start: int = 0) -> bool:
        """Whether `text` has a value's digest from `start` on: a tenth of a search's time."""
        if not self._values or len(text) - start < DIGEST:
            return False
        return any(one.lower() in self._digests for one in _DIGESTS.findall(text, start))

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


class Unmasking:
    """Puts values back into a text that comes in pieces.

    All pieces together are what :meth:`Vault.unmask` makes of the whole, wherever it was cut.
    What may yet become a placeholder is held back.
    """

    def __init__(self, vault: Vault, *, in_json: bool = False) -> None:
        self._vault = vault
        self._within = Within(always=in_json)
        self._text = ""
        self._said = 0
        self._key = ""

    def feed(self, piece: str) -> str:
        """What can be said once `piece` has come."""
        self._text += piece
        return self._upto(self._vault.settled(self._text, self._said))

    def end(self) -> str:
        """What was held back, once nothing more comes."""
        return self._upto(len(self._text))

    def _upto(self, place: int) -> str:
        part = self._vault.part
        said = part(self._text, self._said, place, within=self._within, key=self._key)
        self._key = self._vault.key(self._text, self._said, place) or self._key
        # What stands before a placeholder says whether it is one.
        kept = max(place - LOOK, 0)
        self._text = self._text[kept:]
        self._said = place - kept
        return said
