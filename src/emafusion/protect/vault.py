"""The values taken out of one request, and how they come back into what is said to its caller.

A vault lives as long as its request and is never written down. It knows placeholders and values;
not where in a request they stood, nor how an answer is laid out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from emafusion.protect.entities import LITERAL
from emafusion.protect.placeholders import (
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
            known = self._placeholders[kind, value] = self._put(kind, value)
        return known

    def _put(self, kind: str, value: str) -> str:
        named = (kind, alike(kind, value))
        if named in self._full:
            return self._full[named]
        digest = ""
        for spelling in range(SPELLINGS):
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
                said += text[start : found.start()], _escaped(known) if in_json else known
                start = found.end()
        return "".join([*said, text[start:end]])

    def settled(self, text: str, start: int = 0) -> int:
        """The place in `text` up to which it means the same whatever comes after it.

        What is before `start` was settled earlier.
        """
        if not self._values:
            return len(text)
        kinds = self.kinds
        spans = [found.span() for found in written(kinds).finditer(text, start)]
        start = max(start, len(text) - LONGEST)
        while (found := unfinished(kinds).search(text, start)) is not None:
            within = next((end for a, end in spans if a < found.start() < end), None)
            if within is None:
                return found.start()
            start = within
        return len(text)

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
        kind, digest = found[1] or found[3].upper(), found[2] or found[4].lower()
        return self._values.get((kind, digest))


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
