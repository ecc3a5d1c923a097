"""Numbers that carry a check: bank accounts, cards, and what countries number their people with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from msgspec import Struct

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers import checks
from emafusion.protect.recognisers.reading import Reading

_COUNTRIES = {
    15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
    24: "AD CZ DJ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR",
    27: "BI FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA",
    30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
}  # fmt: skip
LENGTHS = {
    country: length for length, countries in _COUNTRIES.items() for country in countries.split()
}
"""How long an IBAN is, by its country (the IBAN registry)."""
IBAN = re.compile(r"(?<!\w)[A-Za-z]{2}\d\d(?:[ -]?[A-Za-z0-9]){11,34}")
CARD = re.compile(r"(?<![\w.,])[2-6]\d(?:[ -]?\d){11,17}(?!\w|[.,]\d)")
_GROUPS = re.compile(r"[ .\-/]")


def accounts(reading: Reading) -> Iterator[Entity]:
    """Bank accounts whose length and check digits are right."""
    if not reading.has_digits:
        return
    for found in IBAN.finditer(reading.text):
        length = LENGTHS.get(found.group()[:2].upper())
        end = _end(found.group(), length) if length is not None else None
        if end is None:
            continue
        whole = found.group()[:end]
        if checks.mod97(_GROUPS.sub("", whole).upper()):
            yield Entity(kind="IBAN", start=found.start(), end=found.start() + end, score=1.0)


def _end(text: str, length: int) -> int | None:
    """Where the first `length` letters and digits of `text` end, at the end of a word."""
    count = 0
    for place, c in enumerate(text):
        count += c.isalnum()
        if count == length:
            after = text[place + 1 : place + 2]
            return None if after.isalnum() else place + 1
    return None


def cards(reading: Reading) -> Iterator[Entity]:
    """Payment cards whose last digit is right."""
    for found in reading.numbers(CARD):
        digits = _GROUPS.sub("", found.group())
        if checks.luhn(digits) and len(set(digits)) > 1:
            yield Entity(kind="CARD", start=found.start(), end=found.end(), score=0.9)


class Numbering(Struct, frozen=True, kw_only=True):
    """How one country numbers people.

    ``cue`` is what must stand before a number that could as well be another; ``check`` is given it
    without what groups it.
    """

    form: re.Pattern[str]
    check: Callable[[str], bool] | None = None
    cue: re.Pattern[str] | None = None
    score: float = 0.85


def _form(pattern: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.,+-]){pattern}(?![\w-])")


def _cue(words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{words})\b[^\n]{{0,28}}\Z")


US = _cue(r"ssn|social security|itin|tin|taxpayer")
DIGITAL = (
    Numbering(form=_form(r"(?!000|666)\d{3}-(?!00)\d\d-(?!0000)\d{4}"), score=0.8),
    Numbering(form=_form(r"(?!000|666)\d{3} ?(?!00)\d\d ?(?!0000)\d{4}"), cue=US),
    Numbering(
        form=_form(r"[1-9]\d(?: ?\d{3}){3}"),
        check=checks.german_tax,
    ),
    Numbering(
        form=_form(r"[12] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d"),
        check=checks.french_social,
    ),
    Numbering(form=_form(r"\d{3}[ -]\d{3}[ -]\d{4}"), check=checks.nhs, score=0.7),
    Numbering(
        form=_form(r"\d{10}"),
        check=checks.nhs,
        cue=_cue("nhs|health service|patient"),
    ),
    Numbering(
        form=_form(r"\d{4}[. ]?\d\d[. ]?\d{3}"),
        check=checks.dutch,
        cue=_cue("bsn|burgerservicenummer|sofinummer"),
    ),
    Numbering(form=_form(r"\d{11}"), check=checks.polish),
    Numbering(form=_form(r"(?:19|20)?\d{6}[-+]\d{4}"), check=lambda n: checks.luhn(n[-10:])),
    Numbering(form=_form(r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d\d"), check=checks.swiss),
    Numbering(form=_form(r"\d{3}\.\d{3}\.\d{3}-\d\d"), check=checks.brazilian),
    Numbering(
        form=_form(r"\d{3}[ -]?\d{3}[ -]?\d{3}"),
        check=checks.luhn,
        cue=_cue("sin|social insurance"),
    ),
)
"""Numbers of digits alone."""
LETTERED = (
    Numbering(
        form=re.compile(
            r"(?<!\w)(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]"
            r" ?\d\d ?\d\d ?\d\d ?[A-D](?!\w)"
        )
    ),
    Numbering(form=_form(r"(?:\d{8}|\d\d\.\d{3}\.\d{3})[ -]?[A-Z]"), check=checks.spanish),
    Numbering(form=_form(r"[XYZ][ -]?\d{7}[ -]?[A-Z]"), check=checks.spanish),
    Numbering(
        form=_form(r"[A-Z]{6} ?\d\d[A-EHLMPRST]\d\d ?[A-Z]\d{3}[A-Z]"),
        check=checks.italian,
        score=0.95,
    ),
)
"""Numbers with letters, read in capitals."""


def identities(reading: Reading) -> Iterator[Entity]:
    """Numbers of people: social security, taxes, health."""
    if not reading.numerals:
        return
    for numbering in DIGITAL:
        yield from _numbered(numbering, reading.text, reading)
    capitals = reading.text.upper()
    if len(capitals) == len(reading.text):
        for numbering in LETTERED:
            yield from _numbered(numbering, capitals, reading)


def _numbered(numbering: Numbering, text: str, reading: Reading) -> Iterator[Entity]:
    for found in reading.numbers(numbering.form, text):
        bare = _GROUPS.sub("", found.group())
        if numbering.check is not None and not numbering.check(bare):
            continue
        if numbering.cue is not None and not numbering.cue.search(reading.before(found.start())):
            continue
        yield Entity(kind="ID", start=found.start(), end=found.end(), score=numbering.score)
