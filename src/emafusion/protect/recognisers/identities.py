"""What countries number their people with, where a check digit or a strict form tells it.

Numbers that need a word before them are :mod:`~emafusion.protect.recognisers.cued`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from msgspec import Struct

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers import checks
from emafusion.protect.recognisers.reading import Reading

NOT = re.compile(
    r"(?:(?<![^\W_])(?:invoices?|orders?|items?|sku|part|parts|model|models|ticket|case|docket|seats?|rooms?"
    r"|pages?|figures?|years?|score|isbn|ean|issn|gtin|barcode|tracking|version|art|artikel|rechnung"
    r"|bestell\w*|commande|pedido|ordine|facture|factura|fattura|build|route|row|serial|flight"
    r"|imei|vin|ref|rfc|pp|transaction|txn|shipment|product)(?:(?![^\W_])[\s.:#,\"'=_-]*)?"
    r"(?:(?:n[ro°º]|no|number|nummer|ids?)(?![^\W_])[\s.:#\"'=\[]*)?)\Z"
)
"""Words before a number that say it is not a person's."""


class Numbering(Struct, frozen=True, kw_only=True):
    """How one country numbers people.

    ``lead`` is how many letters and marks stand before the first digits, ``runs`` how many digits
    those can be; ``check`` is given the number without what groups it.
    """

    form: re.Pattern[str]
    runs: frozenset[int]
    lead: int = 0
    check: Callable[[str], bool] | None = None
    score: float = 0.85


def _of(
    pattern: str,
    *runs: int,
    check: Callable[[str], bool] | None = None,
    lead: int = 0,
    score: float = 0.85,
) -> Numbering:
    form = re.compile(rf"{pattern}(?![0-9A-Za-z]|[.-]\d)")
    return Numbering(form=form, runs=frozenset(runs), check=check, lead=lead, score=score)


NUMBERINGS = (
    _of(r"(?!000|666)\d{3}-(?!00)\d\d-(?!0000)\d{4}", 3, score=0.8),  # US
    _of(r"[1-9]\d(?: ?\d{3}){3}", 2, 11, check=checks.german_tax),
    _of(r"[12] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d",
        1, 6, 13, 15, check=checks.french_social),
    _of(r"\d{3}[ -]\d{3}[ -]\d{4}", 3, check=checks.nhs, score=0.7),  # GB
    _of(r"\d{11}", 11, check=checks.polish),
    _of(r"(?:19|20)?\d{6}[-+]\d{4}", 6, 8, check=checks.swedish),
    _of(r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d\d", 3, 13, check=checks.swiss),
    _of(r"\d{3}\.\d{3}\.\d{3}-\d\d", 3, check=checks.brazilian),
    _of(r"\d{9}-\d\d", 9, check=checks.brazilian),
    _of(r"\d\d\.\d{3}\.\d{3}/\d{4}-\d\d", 2, check=checks.brazilian_firm),
    _of(r"\d{11}", 11, check=checks.norwegian),
    _of(r"[1-9]\d{10}", 11, check=checks.turkish),
    _of(r"[1-8]\d{12}", 13, check=checks.romanian),
    _of(r"\d{6}-[1-8]\d{6}", 6, check=checks.korean),
    _of(r"[1-9]\d{16}[0-9Xx]", 17, 18, check=checks.chinese),
    _of(r"\d{6}[-+A]\d{3}[0-9A-Y]", 6, check=checks.finnish),
    _of(r"\d\d\.\d\d\.\d\d-\d{3}\.\d\d", 2, check=checks.belgian),
    _of(r"\d{1,2}\.\d{3}\.\d{3}-[\dkK]", 1, 2, check=checks.chilean),
    _of(r"[2-9]\d{3}[ -]\d{4}[ -]\d{4}", 4, check=checks.verhoeff),  # IN
    _of(r"(?:\d{8}|\d\d\.\d{3}\.\d{3})[ -]?[A-Z]", 2, 8, check=checks.spanish),
    _of(r"[XYZ][ -]?\d{7}[ -]?[A-Z]", 7, lead=1, check=checks.spanish),
    _of(r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][ -]?\d\d[ -]?\d\d[ -]?\d\d"
        r"[ -]?[A-D]", 2, 6, lead=2),  # GB
    _of(r"[A-Z]{3} ?[A-Z]{3} ?\d\d[A-EHLMPRST]\d\d ?[A-Z]\d{3}[A-Z]",
        2, lead=6, check=checks.italian, score=0.95),
    _of(r"[A-Z]{4}\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[HM][A-Z]{5}[0-9A-Z]\d", 6, lead=4,
        score=0.95),  # MX
    _of(r"[STFG]\d{7}[A-Z]", 7, lead=1, check=checks.singaporean),
)  # fmt: skip
"""Numbers, read in capitals."""
BY_RUN = {
    length: tuple(one for one in NUMBERINGS if length in one.runs)
    for length in sorted({length for one in NUMBERINGS for length in one.runs})
}
"""The numberings whose first digits are so many."""
_BEHIND = {1: " .", 2: " .-", 3: " .-", 4: " -", 6: " -+", 7: " -", 8: " -+", 9: "-"}
"""What goes on a number that begins with so many digits, letters aside."""
ALONE = 10
"""Digits of the shortest number that is a person's with nothing behind them."""
_MARKS = re.compile(r"[ .\-/]")


def identities(reading: Reading) -> Iterator[Entity]:
    """Numbers of people: social security, taxes, health."""
    if not reading.runs:
        return
    text = reading.text.upper()
    if len(text) != len(reading.text):
        text = "".join(map(_capital, reading.text))
    for start, end in reading.runs:
        size = end - start
        if size not in BY_RUN or (size < ALONE and not _goes_on(text, end, size)):
            continue
        bare = reading.begins(start)
        lead = 0 if bare and text[start - 1 : start] not in (" ", "-") else _letters(text, start)
        for numbering in BY_RUN[size]:
            found = None
            if not numbering.lead:
                found = _numbered(numbering, text, start) if bare else None
            elif lead and (numbering.lead == lead or (numbering.lead == 6 and lead == 3)):
                found = _lettered(numbering, reading, text, start=start)
            if found is None or reading.in_row(*found.span()):
                continue
            if not NOT.search(reading.before(found.start(), 32)):
                yield Entity(kind="ID", start=found.start(), end=found.end(), score=numbering.score)


def _goes_on(text: str, end: int, size: int) -> bool:
    after = text[end : end + 1]
    return after.isalpha() or (after != "" and after in _BEHIND[size])


def _letters(text: str, start: int) -> int:
    """How many letters stand before `start`, a blank or a dash between; 7 for more than 6."""
    place = start - 1
    if place > 0 and text[place] in " -":
        place -= 1
    count = 0
    while place >= 0 and count < 7 and text[place].isalpha():
        place, count = place - 1, count + 1
    return count


def _lettered(
    numbering: Numbering, reading: Reading, text: str, *, start: int
) -> re.Match[str] | None:
    """A number that begins with letters, and perhaps marks, before the digits at `start`."""
    for first in range(start - numbering.lead, start - numbering.lead - 3, -1):
        if first >= 0 and text[first].isalpha() and reading.begins(first):
            found = _numbered(numbering, text, first)
            if found is not None:
                return found
    return None


def _numbered(numbering: Numbering, text: str, start: int) -> re.Match[str] | None:
    found = numbering.form.match(text, start)
    if found is None or numbering.check is None:
        return found
    return found if numbering.check(_MARKS.sub("", found.group())) else None


def _capital(c: str) -> str:
    upper = c.upper()
    return upper if len(upper) == 1 else c
