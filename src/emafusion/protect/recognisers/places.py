"""Postal addresses as English-speaking countries write them: a number, a street, perhaps a town."""

from __future__ import annotations

import re
from collections.abc import Iterator

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers.reading import Reading

_STREET = (
    r"(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Place|Pl|Square|Sq"
    r"|Terrace|Ter|Way|Close|Crescent|Cres|Parkway|Pkwy|Highway|Hwy|Circle|Cir|Trail|Row|Mews|Hill"
    r"|Gardens|Gdns|Grove|Walk|Quay|Wharf|Parade|Alley|Loop|Broadway|Strand)"
)
_POSTCODE = (
    r"(?:[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|(?:[A-Z]{2},? )?\d{5}(?:-\d{4})?"
    r"|[A-Z]\d[A-Z] \d[A-Z]\d|[A-Z]{2,3} \d{4})"
)
_UNIT = r"(?:,? ?(?:(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Room|#)\.? ?[\w-]{1,6}))"
_NAME = r"[A-Z][\w'’-]{1,24}"
STREET = re.compile(
    r"(?<![\w.,])(?:(?:Flat|Unit|Apt|Suite) [\w-]{1,6},? )?\d{1,5}[a-zA-Z]?(?:[-/]\d{1,5})?,? "
    r"(?:(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West|Old|Upper|Lower|The)\.? )?"
    rf"(?:[A-Z][\w'’.-]{{1,24}} |\d{{1,3}}(?:st|nd|rd|th) ){{1,3}}{_STREET}\b\.?{_UNIT}?"
)
TOWN = re.compile(
    rf",? ?\n?(?:{_NAME}(?: {_NAME}){{0,2}})?,? {_POSTCODE}(?!\w)"
    rf"|, {_NAME}(?: {_NAME}){{0,2}}(?:,? {_POSTCODE}(?!\w))?"
)
BOX = re.compile(r"\b(?:P\.? ?O\.? Box|PO Box|Post Office Box) \d{1,6}\b")
POSTCODE_UK = re.compile(r"(?<!\w)[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}(?!\w)")


def streets(reading: Reading) -> Iterator[Entity]:
    """Streets with their number, with what follows of unit, town and postcode; post boxes."""
    if not reading.has_digits:
        return
    text = reading.text
    for pattern, score in ((STREET, 0.7), (BOX, 0.8)):
        for found in pattern.finditer(text):
            town = TOWN.match(text, found.end())
            end = found.end() if town is None else town.end()
            yield Entity(kind="ADDRESS", start=found.start(), end=end, score=score)
    for found in POSTCODE_UK.finditer(text):
        yield Entity(kind="ADDRESS", start=found.start(), end=found.end(), score=0.5)
