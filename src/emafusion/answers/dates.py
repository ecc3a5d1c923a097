"""Calendar dates in a reply. Knows how dates are written; not today's date."""

from __future__ import annotations

import datetime
import re
from typing import Final

from emafusion.answers.conclusion import bold, conclusion
from emafusion.answers.kinds import Extracted

_MONTHS: Final = (
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
)  # fmt: skip
_MONTH: Final = (
    r"(?P<{0}>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_DATE: Final = re.compile(
    rf"""(?<![\w-])(?:
      (?P<y1>\d{{4}})[-/.](?P<m1>\d{{1,2}})[-/.](?P<d1>\d{{1,2}})(?:T[\d:.Z+-]*)?
    | (?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH.format("n2")},?\s+(?P<y2>\d{{4}})
    | {_MONTH.format("n3")}\s+(?P<d3>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y3>\d{{4}})
    | (?P<a4>\d{{1,2}})[/.-](?P<b4>\d{{1,2}})[/.-](?P<y4>\d{{4}})
    )(?![\w-])""",
    re.VERBOSE | re.IGNORECASE,
)


def extract(text: str) -> Extracted | None:
    """The date a reply gives, keyed as ISO 8601, or ``None`` when it gives none.

    ``03/04/2024`` is read month first unless only the other order is a date.
    """
    for stretch in (conclusion(text), bold(text)):
        if stretch:
            found = dates(stretch)
            if found:
                return found[0]
    found = dates(text[-2000:])
    return found[-1] if found else None


def dates(text: str) -> list[Extracted]:
    """Every date written in a text, in order."""
    read = ((place, _date(place.groupdict())) for place in _DATE.finditer(text))
    return [
        Extracted(kind="date", span=place.group(), key=day.isoformat())
        for place, day in read
        if day
    ]


def _date(part: dict[str, str | None]) -> datetime.date | None:
    if part["y1"] and part["m1"] and part["d1"]:
        return _day(part["y1"], part["m1"], part["d1"])
    for name, day, year in (("n2", "d2", "y2"), ("n3", "d3", "y3")):
        if part[name]:
            return _day(part[year], str(_month(part[name])), part[day])
    return _day(part["y4"], part["a4"], part["b4"]) or _day(part["y4"], part["b4"], part["a4"])


def _month(name: str | None) -> int:
    return 1 + _MONTHS.index((name or "")[:3].lower())


def _day(year: str | None, month: str | None, day: str | None) -> datetime.date | None:
    try:
        return datetime.date(int(year or 0), int(month or 0), int(day or 0))
    except ValueError:
        return None
