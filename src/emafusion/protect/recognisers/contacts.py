"""How to reach somebody: mail addresses, telephone numbers, IP addresses, URLs with passwords."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers.reading import Reading

LOCAL = re.compile(r"\w(?:[\w.%+'~-]{0,62}[\w+~-])?\Z")
DOMAIN = re.compile(r"(?:[\w-]{1,63}\.){1,8}[^\W\d_][\w-]{1,62}|\[[\d.]{7,15}\]")
SPOKEN = re.compile(
    r"\b[\w.+-]{1,64} ?(?:\(at\)|\[at\]|\{at\}| at ) ?[\w-]{1,63}"
    r"(?: ?(?:\(dot\)|\[dot\]|\{dot\}| dot ) ?[\w-]{2,63}){1,4}\b"
)
LINK = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{1,20}\Z")
AUTHORITY = re.compile(r"[^\s/@:\"'<>]{0,100}:[^\s/@\"'<>]{1,200}@[^\s\"'<>]{1,300}")
IPV4 = re.compile(r"(?<![\w.])\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\w]|\.\d)")
IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}(?![\w:])")
SHORT_LEFT = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?\Z")
SHORT_RIGHT = re.compile(r"::(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?(?![\w:])")
VERSION = re.compile(r"(?:\bv|\bversion|\brelease|\bbuild|==)[ :=]{0,2}\Z")
DATE = re.compile(
    r"\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d\b|(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2}\b"
)
WORLDWIDE = re.compile(
    r"(?<![\w+.,])(?:\+ ?\(?[1-9](?:[ .\-/()]{0,3}\d){7,14}|00 ?[1-9](?:[ \-/()]{0,3}\d){7,14})"
    r"(?!\d|[.,]\d)"
)
AMERICAN = re.compile(
    r"(?<![\w.+-])(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .-])[2-9]\d\d[ .-]\d{4}(?![\w-])"
)
NATIONAL = re.compile(r"(?<![\w.,+-])\(?0[1-9]\d{0,4}\)?(?:[ ./-]{1,3}\d{2,8}){1,5}(?![\w-])")
GROUPED = re.compile(
    r"(?<![\w.,+-])(?:[6789]\d\d(?:[ .-]\d{3}){2}|[6789]\d\d(?:[ .-]\d\d){3}"
    r"|3\d\d[ .-]\d{3}[ .-]?\d{3,4}|3\d\d[ .-]\d{7})(?![\w-]|[.,]\d)"
)
CUE = re.compile(
    r"\b(?:tel|phone|telephone|mobile|cell|call|fax|ring|text|whatsapp|hotline|sms|telefon\w*|handy"
    r"|mobil\w*|rufnummer|anrufen|erreichbar|t[ée]l|t[ée]l[ée]phone|portable|appel\w*|joindre"
    r"|tel[ée]fono|m[óo]vil|ll[áa]m\w*|cellulare|telefono|chiam\w*|telefone|ligue|telefoon|bel)"
    r"(?:s|d|ing)?\b[^\d\n]{0,24}\Z"
)
CUED = re.compile(r"(?<![\w.,])\(?\d(?:[ .\-/()]{0,2}\d){5,14}(?!\w)")


def mails(reading: Reading) -> Iterator[Entity]:
    """Mail addresses, also those that say "at" and "dot" in words."""
    text = reading.text
    place = text.find("@")
    while place >= 0:
        local = LOCAL.search(text, max(0, place - 64), place)
        domain = DOMAIN.match(text, place + 1) if local is not None else None
        if local is not None and domain is not None:
            yield Entity(kind="EMAIL", start=local.start(), end=domain.end(), score=0.95)
        place = text.find("@", place + 1)
    folded = reading.folded
    if " dot " in folded or "dot)" in folded or "dot]" in folded or "dot}" in folded:
        for found in SPOKEN.finditer(folded):
            yield Entity(kind="EMAIL", start=found.start(), end=found.end(), score=0.7)


def links(reading: Reading) -> Iterator[Entity]:
    """URLs that carry a name and a password."""
    text = reading.text
    place = text.find("://")
    while place >= 0:
        scheme = LINK.search(text, max(0, place - 21), place)
        found = AUTHORITY.match(text, place + 3)
        if scheme is not None and found is not None:
            yield Entity(kind="URL", start=scheme.start(), end=found.end(), score=1.0)
        place = text.find("://", place + 3)


def addresses(reading: Reading) -> Iterator[Entity]:
    """IP addresses; what a version is called is none."""
    text = reading.text
    if reading.has_digits and text.count(".") >= 3:
        for found in IPV4.finditer(text):
            if _ip(found.group()) and not VERSION.search(reading.before(found.start(), 12)):
                yield Entity(kind="IP", start=found.start(), end=found.end(), score=0.8)
    if text.count(":") >= 7:
        for found in IPV6.finditer(text):
            yield Entity(kind="IP", start=found.start(), end=found.end(), score=0.8)
    place = text.find("::")
    while place >= 0:
        left = SHORT_LEFT.search(text, max(0, place - 36), place)
        right = SHORT_RIGHT.match(text, place)
        start, end = (left.start() if left else place), (right.end() if right else place)
        # Two parts and no more are as often names in a program.
        if text.count(":", start, end) >= 3 and _ip(text[start:end]):
            yield Entity(kind="IP", start=start, end=end, score=0.8)
        place = text.find("::", place + 2)


def phones(reading: Reading) -> Iterator[Entity]:
    """Telephone numbers: worldwide, or as a country groups them, or behind a word for one."""
    for found in reading.numbers(WORLDWIDE):
        yield Entity(kind="PHONE", start=found.start(), end=found.end(), score=0.75)
    for pattern, least in ((AMERICAN, 10), (NATIONAL, 9), (GROUPED, 9)):
        for found in reading.numbers(pattern):
            if least <= _digits(found.group()) <= 13 and not DATE.search(found.group()):
                yield Entity(kind="PHONE", start=found.start(), end=found.end(), score=0.6)
    for found in reading.numbers(CUED):
        # Only what a word for it stands before; else any number would do.
        if CUE.search(reading.before(found.start())) and not DATE.search(found.group()):
            yield Entity(kind="PHONE", start=found.start(), end=found.end(), score=0.55)


def _digits(text: str) -> int:
    return sum(c.isdigit() for c in text)


def _ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
