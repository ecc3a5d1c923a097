"""Telephone numbers by their form alone: worldwide, or grouped as a country groups them.

Those that need a word before them are :mod:`~emafusion.protect.recognisers.cued`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers.cued import AFTER, IS_DATE
from emafusion.protect.recognisers.identities import NOT
from emafusion.protect.recognisers.reading import APART, Reading

_OVER = r"(?![0-9A-Za-z]|[-/ .]\d)"
WORLDWIDE = re.compile(r"[1-9](?:[ .\-/()]{0,3}\d){6,14}(?!\d)")
WRAPPED = re.compile(r"[1-9](?:[ .\-/()\n]{0,3}\d){8,12}(?!\d)")
DOUBLE_0 = re.compile(
    r"00(?:[) ]? ?(?:1(?:[ \-/()]{0,3}\d){10}|[2-9](?:[ \-/()]{0,3}\d){7,14})"
    # Australia dials 0011.
    r"|11[ -][1-9](?:[ \-/()]{0,3}\d){7,13}|11[1-9]\d{9,13})(?!\d|\.\d)"
)
AMERICAN = re.compile(
    r"(?:1[ .-])?(?:(?!\d11)[2-9]\d\d(?:\) ?|[ .-])|\([2-9]\d\d\) ?)(?!\d11)[2-9]\d\d[ .-]\d{4}"
    r"(?![0-9A-Za-z]|[-.]\d)"
)
SERVICE = re.compile(r"(?:1-)?8(?:00|33|44|55|66|77|88)-\d{3}-\d{4}(?![\w-])")
NATIONAL = re.compile(
    r"0[1-9]\d{0,4}\)?(?: ?[/.-] ?| {1,2})\d{2,8}(?:[ ./-]\d{2,5}){0,5}(?:-\d)?"
    r"(?![0-9A-Za-z]|[-/]\d)"
)
"""Behind the 0 that countries dial before an area."""
MOBILE = re.compile(r"(?:07[3-9]\d{8}|0[67]\d{8}|01[567]\d{8,9}|04\d{8}|09\d{9})(?![0-9A-Za-z.])")
"""Mobile numbers without blanks: GB, FR, NL, DE, AU, PH."""
_PAIR = re.compile(
    rf"(?:9\d \d{{3}} \d\d \d\d|[679]\d[ .-]\d{{3}}[ .-]\d\d[ .-]\d\d|9\d \d{{3}} \d{{4}}){_OVER}"
)
_TRIPLE = re.compile(
    rf"(?:[5679]\d\d(?:[ .-]\d{{3}}){{2}}|[679]\d\d(?:[ .-]\d\d){{3}}|9\d\d \d\d \d{{3}}"
    rf"|3\d\d[ ./-](?:\d{{3}}[ .-]?\d{{4}}|\d{{7}})){_OVER}"
)
_FOUR = re.compile(rf"[2-9]\d{{3}}-(?!(?<=00-)\d\d(?:99|00))\d{{4}}{_OVER}")
_FIVE = re.compile(rf"(?:[6-9]\d{{4}}[ -]\d{{5}}|9\d{{4}}-\d{{4}}){_OVER}")
GROUPED = (_PAIR, _TRIPLE, _FOUR, _FIVE)
"""Numbers without a 0: ES, PL, IT, NO, IN, BR."""
NUMBERED = re.compile(
    r"(?:[^\W\d_]-|(?<![^\W_])(?:bytes?|ports?|range|rows?|lines?|pages?|columns?|addresses|offsets?"
    r"|issues?|cases?|http)[\s:=#.]{1,3})\Z"
)
"""Before two groups of four that are a range, or the number of something: a fault, a ticket."""
OF_YEAR = re.compile(r"(?:\A|(?<![^\W_])(?:ms|bulletin|advisory) )\Z")
"""The same where the first is a year."""
RUSSIAN = re.compile(r"[78] ?\(?\d{3}\)? ?\d{3}-\d\d-\d\d(?![0-9A-Za-z-])")
BRAZILIAN = re.compile(r"[1-9]\d\)? ?9\d{4}-\d{4}(?![0-9A-Za-z-])")
KOREAN = re.compile(r"01[016-9]-\d{3,4}-\d{4}(?![0-9A-Za-z-])")
Forms = tuple[tuple[re.Pattern[str], int, float], ...]
_OPEN: Forms = ((AMERICAN, 10, 0.6), (SERVICE, 10, 0.6), (_TRIPLE, 8, 0.55))
_AREA: Forms = ((NATIONAL, 9, 0.6),)
BY_RUN: dict[tuple[int, bool], Forms] = {
    (1, False): ((AMERICAN, 10, 0.6), (SERVICE, 10, 0.6), (RUSSIAN, 11, 0.6)),
    (2, False): ((_PAIR, 8, 0.55), (BRAZILIAN, 11, 0.6)),
    (2, True): _AREA,
    (3, False): _OPEN,
    (3, True): ((KOREAN, 10, 0.6), *_AREA),
    (4, False): ((_FOUR, 8, 0.5),),
    (4, True): _AREA,
    (5, False): ((_FIVE, 9, 0.5),),
    (5, True): _AREA,
    (10, True): ((MOBILE, 10, 0.5),),
    (11, True): ((MOBILE, 11, 0.5),),
    (12, True): ((MOBILE, 12, 0.5),),
}
"""Forms by how many digits they begin with and whether with a 0; the least digits, the score."""
MOST = 13
GROUPS = re.compile(r"\d+")
LEAST_GROUPS = 3
"""Groups of a number that tell it, behind a plus that begins a line, from a line of a patch."""
ROUND = re.compile(r"0[0-9]?0\b.*0[0-9]?0\b")
YEARS = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")


def phones(reading: Reading) -> Iterator[Entity]:
    """Telephone numbers that their form tells."""
    text = reading.text
    for start, end in reading.runs:
        before = text[max(0, start - 3) : start]
        if before[-1:].isascii() and before[-1:].isalpha():
            continue
        zero = text[start] == "0"
        whole = _worldwide(text, start, before) if zero or "+" in before else None
        if whole is not None:
            yield Entity(kind="PHONE", start=whole[0], end=whole[1], score=0.75)
        elif (end - start, zero) in BY_RUN and not _goes_on(before):
            yield from _national(reading, start, end)


def _goes_on(before: str) -> bool:
    """Whether the characters before digits make them the rest of another number."""
    if before[-1:] == ".":
        return not before[-2:-1].isalpha()
    return before[-1:] in ("-", "+", "/") and before[-2:-1].isdigit()


def _worldwide(text: str, start: int, before: str) -> tuple[int, int] | None:
    """A number that begins with a plus, or with two zeros for it."""
    place = before.rfind("+")
    if place >= 0 and before[place + 1 :] in ("", " ", "("):
        first = start - len(before) + place
        found = WORLDWIDE.match(text, start) or WRAPPED.match(text, start)
        if found is None or (before[place + 1 :] == " " and _added(text, first, found.group())):
            return None
        return first, found.end()
    if text.startswith("00", start):
        # The rest of a decimal begins with zeros, too.
        found = None if before[-1:] == "." and _goes_on(before) else DOUBLE_0.match(text, start)
        return None if found is None else (start, found.end())
    return None


def _added(text: str, plus: int, said: str) -> bool:
    """Whether the plus before a blank and the number `said` adds it to another, or is a line's."""
    before = text[max(0, plus - 2) : plus]
    if APART in before:
        return False
    if before.endswith("\n"):
        return len(GROUPS.findall(said)) < LEAST_GROUPS
    # In a sum the plus has a blank on both sides.
    return before.strip() != ""


def _national(reading: Reading, start: int, end: int) -> Iterator[Entity]:
    text = reading.text
    before = text[max(0, start - 1) : start]
    for form, least, score in BY_RUN[end - start, text[start] == "0"]:
        found = form.match(text, start)
        if found is None or not _plausible(found.group(), least):
            continue
        if reading.in_uuid(start) or _counts(reading, found, form):
            continue
        first = start - 1 if before == "(" and ")" in found.group() else start
        yield Entity(kind="PHONE", start=first, end=found.end(), score=score)
        return


def _plausible(said: str, least: int) -> bool:
    """Whether `said` has as many digits as a number that is dialled, and is no date."""
    groups = GROUPS.findall(said)
    if not least <= sum(map(len, groups)) <= MOST or IS_DATE.fullmatch(said) is not None:
        return False
    if len(YEARS.findall(said)) > 1 or (len(groups) > 2 and set(map(len, groups)) == {4}):
        return False
    return set(map(len, groups)) != {2} or len(groups) == 5


def _counts(reading: Reading, found: re.Match[str], form: re.Pattern[str]) -> bool:
    """Whether the words around say that it is a number of something else."""
    start = found.start()
    if NOT.search(reading.before(start, 32)) is not None:
        return True
    said = found.group()
    blanks = all(c.isdigit() or c == " " for c in said)
    if reading.in_row(start, found.end()):
        return True
    if form not in GROUPED and not (form is AMERICAN and blanks):
        return False
    in_row = {len(group) for group in said.split()} == {3} and ROUND.search(said) is not None
    if form is _FOUR and _numbered(reading, start):
        return True
    return in_row or AFTER.match(reading.folded, found.end()) is not None


def _numbered(reading: Reading, start: int) -> bool:
    """Whether two groups of four are a range, or the number of something, of a year's perhaps."""
    before = reading.before(start, 12)
    if NUMBERED.search(before) is not None:
        return True
    return reading.text.startswith(("200", "201", "202"), start) and (
        OF_YEAR.search(before) is not None
    )
