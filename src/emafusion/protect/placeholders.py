"""What stands in a text for a value that was taken out, and how it is known again.

A placeholder, ``[EMAIL_k3f9q2ab5d]``, is keyed: the same value has the same one in every process
that knows the secret, and nobody else can tell which value that is, or make one up that fits. It
is not known here which values a request held.

Models alter what they copy. :func:`written` also matches other capitals, brackets and separators,
and escapes of Markdown and JSON, but never less than the kind's name and the whole digest.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import unicodedata
from functools import lru_cache

from msgspec import Struct

from emafusion.protect.recognisers.mails import unspoken
from emafusion.protect.recognisers.plain import plain

DIGEST = 10
"""Base-32 digits of a placeholder's digest: 50 bits."""
SPELLINGS = 16
"""Spellings of one value in one request; those beyond cannot be told from a chance meeting."""
LONGEST = 64
"""More than the characters of any placeholder, however a model writes it."""
_OPEN = r"[\[<{【][ \t]?"
_ESCAPED = r"\\{1,2}\["
_CODED = r"%5[Bb]|\\{1,2}u005[bB]"
"""An opening bracket as URLs have it, and as JSON may."""
_BETWEEN = r"[ \t]?\\{0,2}[_\-: ][ \t]?"
_DIGIT = r"[a-zA-Z2-7]"
_CLOSE = r"[ \t]?\\{0,2}[\]>}】]|%5[Dd]|\\{1,2}u005[dD]"
_HALF = r"%5?|\\{1,2}(?:u(?:0(?:05?)?)?)?"
"""What may become a bracket that is coded."""
ANY = re.compile(rf"\[[A-Z]{{2,12}}_[a-z2-7]{{{DIGEST}}}\]")
"""A placeholder of any kind, as we write it."""
_SPACES = re.compile(r"\s+")
_AT_HOME = re.compile(r"\A((?:\+|00)\d{1,3})\s?\(0\)")
"""A country's code and the nought that is only dialled within the country."""
_PUNCTUATED = frozenset({"PHONE", "IBAN", "CARD", "ID", "PASSPORT", "LICENCE"})
"""Kinds whose values are the same however they are grouped."""
_FOLDED = frozenset({"EMAIL", "IBAN", "ID", "PERSON", "ADDRESS", "TERM"})
"""Kinds whose values are the same in capitals and small letters."""


class Mint(Struct, frozen=True):
    """Makes placeholders with a `secret` of at least 16 bytes."""

    secret: bytes

    def digest(self, kind: str, value: str, *, scope: str, spelling: int = 0) -> str:
        """The digest of `value`: equal for equal kinds, values and scopes, else unlike.

        HMAC-SHA-256 over all with their lengths, so that none can pose as part of another.
        `spelling` tells apart those of one value in one request, in the order they came.
        """
        named = (scope, kind, alike(kind, value), str(spelling))
        parts = [part.encode("utf-8", "surrogatepass") for part in named]
        said = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        code = base64.b32encode(hmac.digest(self.secret, said, hashlib.sha256))
        return code[:DIGEST].decode().lower()

    @property
    def seal(self) -> str:
        """What tells this secret from others: the digest of nothing, which no value has."""
        return self.digest("", "", scope="")

    def placeholders(self, kind: str, value: str, *, scope: str) -> tuple[str, ...]:
        """What may stand for `value` of `kind` within `scope`, however it was spelt there."""
        digests = (self.digest(kind, value, scope=scope, spelling=n) for n in range(SPELLINGS))
        return tuple(spelt(kind, digest) for digest in digests)


def spelt(kind: str, digest: str) -> str:
    """The placeholder of that kind and digest."""
    return f"[{kind}_{digest}]"


def alike(kind: str, value: str) -> str:
    """`value` as all its spellings have it: what an erasure asks for need not be written alike."""
    found = unicodedata.normalize("NFKC", plain(value)[0])
    if kind in _FOLDED:
        found = found.casefold()
    if kind == "EMAIL":
        found = unspoken(found)
    if kind == "PHONE":
        found = _AT_HOME.sub(r"\1", found)
    if kind in _PUNCTUATED:
        return "".join(c for c in found if c.isalnum() or c == "+")
    return _SPACES.sub(" ", found).strip()


@lru_cache(maxsize=256)
def written(kinds: tuple[str, ...]) -> re.Pattern[str]:
    """A placeholder of `kinds`: as we write it, kind and digest in groups 1 and 2; else 3 and 4."""
    names = "|".join(kinds)
    rest = rf"(?:{names})_[a-z2-7]{{{DIGEST}}}\]"
    # What opens an unaltered one is never taken for part of an altered one before it.
    opened = rf"(?:{_ESCAPED}(?!{rest})[ \t]?|{_OPEN}|{_CODED})"
    return re.compile(
        rf"\[({names})_([a-z2-7]{{{DIGEST}}})\]"
        rf"|(?:{opened}|(?<![a-zA-Z]))((?i:{names})){_BETWEEN}({_DIGIT}{{{DIGEST}}})(?![a-zA-Z0-9])(?:{_CLOSE})?"
    )


@lru_cache(maxsize=256)
def unfinished(kinds: tuple[str, ...]) -> re.Pattern[str]:
    """The end of a text that could go on as a placeholder of `kinds`, or as more of one."""
    names = "|".join(kinds)
    begun = "|".join(sorted({kind[:n] for kind in kinds for n in range(1, len(kind))}))
    opened = rf"(?:{_ESCAPED}[ \t]?|{_OPEN}|{_CODED})"
    begun_name = rf"|(?i:{begun})" if begun else ""
    return re.compile(
        rf"(?:{_HALF}|{opened}|(?:{opened}|(?<![a-zA-Z]))(?:(?i:{names})"
        rf"(?:[ \t]?\\{{0,2}}|{_BETWEEN}{_DIGIT}{{0,{DIGEST}}}"
        rf"|{_BETWEEN}{_DIGIT}{{{DIGEST}}}(?:[ \t]?\\{{0,2}}|{_HALF})){begun_name}))\Z"
    )
