"""Numbers of money that carry a check: bank accounts and payment cards."""

from __future__ import annotations

import re
from collections.abc import Iterator

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
SEPARATED = r"[ .\-_\t\n]{0,2}"
"""What may stand between the groups of a number whose check digit decides."""
IBAN = re.compile(rf"[A-Za-z]{{2}} ?\d ?\d(?:{SEPARATED}[A-Za-z0-9]){{11,30}}")
DIGITS = 0.45
"""The least share of digits in an account."""
IBAN_PL = re.compile(r"\d\d(?: \d{4}){6}(?![0-9A-Za-z])")
"""Poland writes its own without the country."""
CARD = re.compile(rf"\d{{4}}(?:{SEPARATED}\d){{8,15}}(?![0-9A-Za-z]|\.\d)")
ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|220[0-4]\d{12,15}|3[47]\d{13}|3(?:0[0-59]|[689]\d)\d{11,16}|35(?:2[89]|[3-8]\d)\d{12,15}"
    r"|6(?:011|5\d\d|4[4-9]\d|2\d\d|0\d\d|8[0-9]\d)\d{12,15}"
    r"|(?:50(?:18|20|38)|5893|6304|6390|67\d\d)\d{8,15}"
)
"""What the numbers of card issuers begin with, and how long they are (ISO/IEC 7812)."""
CARD_RUNS = frozenset((4, *range(12, 20)))
_EARLIER = re.compile(r"(?:(?<![0-9.])[0-9]{3,5}(?P<mark>[ \t\n]))(?:[0-9]{3,5}(?P=mark)){0,7}\Z")
_LATER = re.compile(r"(?P<mark>[ \t\n])[0-9]{4,5}(?:(?P=mark)[0-9]{4,5}){0,7}(?![0-9])")
REACH = 48
_MARKS = re.compile(r"[^0-9A-Za-z]")


def accounts(reading: Reading) -> Iterator[Entity]:
    """Bank accounts whose length and check digits are right."""
    text = reading.text
    for start, end in reading.runs:
        if end - start == 2 and not _joined(text, start):
            found = IBAN_PL.match(text, start)
            if found is not None and checks.mod97("PL" + _MARKS.sub("", found.group())):
                yield Entity(kind="IBAN", start=start, end=found.end(), score=0.95)
        if start > 1 and text[start - 1].isalpha():
            first = start - 2
        elif start > 2 and text[start - 1] == " " and text[start - 2].isalpha():
            first = start - 3
        else:
            continue
        if text[first].isalpha() and not _joined(text, first):
            length = LENGTHS.get(text[first : first + 2].upper())
            found = IBAN.match(text, first) if length is not None else None
            over = _end(found.group(), length) if found is not None and length else None
            whole = _MARKS.sub("", text[first : first + over]) if over is not None else ""
            # Of words by chance one in a hundred fits; no country's has as many letters.
            digits = sum(c.isdigit() for c in whole)
            if over is None or not whole[2:4].isdigit() or digits < DIGITS * len(whole):
                continue
            if checks.mod97(whole.upper()):
                yield Entity(kind="IBAN", start=first, end=first + over, score=1.0)


def _joined(text: str, place: int) -> bool:
    """Whether `place` goes on with a word or a number."""
    return place > 0 and text[place - 1].isascii() and text[place - 1].isalnum()


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
    """Payment cards of a known issuer whose last digit is right."""
    text = reading.text
    for start, end in reading.runs:
        size = end - start
        if size not in CARD_RUNS or _joined(text, start) or text[start] not in "23456":
            continue
        found = CARD.match(text, start)
        if found is None or (
            text[start - 1 : start] == "." and text[start - 2 : start - 1].isdigit()
        ):
            continue
        for over in _ends(found):
            digits = _MARKS.sub("", text[start:over])
            right = ISSUED.fullmatch(digits) and checks.luhn(digits) and len(set(digits)) > 1
            if right and not _in_row(text, start, over):
                yield Entity(kind="CARD", start=start, end=over, score=0.9)
                break


def _in_row(text: str, start: int, end: int) -> bool:
    """Whether groups stand in a row of more; another card, a year or an expiry is none."""
    marks = set(_MARKS.findall(text[start:end]))
    if len(marks) != 1 or not marks <= {" ", "\t", "\n"}:
        return False
    mark = marks.pop()
    earlier = _EARLIER.search(text, max(0, start - REACH), start)
    later = _LATER.match(text, end)
    before = earlier.group().count(mark) if earlier and earlier["mark"] == mark else 0
    after = later.group().count(mark) if later and later["mark"] == mark else 0
    return before % 4 + after % 4 > 1


def _ends(found: re.Match[str]) -> Iterator[int]:
    """Where a card may end: with the last group, or before what is written behind it."""
    yield found.end()
    said = found.group()
    for place in range(len(said) - 1, 11, -1):
        if not said[place].isdigit() and said[place - 1].isdigit():
            yield found.start() + place
