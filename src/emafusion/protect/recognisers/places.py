"""Postal addresses as English-speaking countries write them: a number, a street, perhaps a town.

A word for a street that is often another ("Way", "Place") needs more: a postcode, a unit, or words
around it that go with addresses. So do streets in small letters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers.cues import Cues
from emafusion.protect.recognisers.reading import Reading


def _all(words: str) -> frozenset[str]:
    return frozenset(words.split())


_SURE = (
    "street|st|avenue|ave|av|road|rd|lane|ln|boulevard|blvd|crescent|cres|parkway|pkwy|highway|hwy"
    "|gdns|terrace|tce|mews|wynd"
)
_LIKELY = (
    "way|place|pl|drive|dr|court|ct|close|row|square|sq|ter|circle|cir|circuit|cct|trail|trl|hill"
    "|gardens|grove|gr|walk|quay|quays|wharf|parade|pde|alley|loop|broadway|strand|view|green|park"
    "|heights|hts|esplanade|rise|vale|gate|bend|turnpike|point|cove|ridge|path|crossing|plaza|plz"
    "|common|brae|croft|chase|villas|cottages|promenade|expressway|freeway|expy|lawn|downs"
)
_STOP = (
    "(?!(?:and|or|of|in|on|at|to|for|with|from|by|is|are|was|were|has|had|have|that|this|will|can"
    "|near|into|than|as|per|an?|its?|he|she|they|we|you|i|my|our|your|their|his|her|not|no|more"
    r"|most|other|down|along|about|just|then|only|all|both|if|when|which|who)(?!\w))"
)
"""Words that no street has in its name."""
_SP = r"(?:[ \t]{1,2}|\r?\n[>\t ]{0,6})"
_NUMBER = (
    r"[0-9](?<![\w.$€£+/-][0-9])(?<![0-9]:[0-9])(?!(?<=[0-9],[0-9])[0-9]{2}(?!\d))"
    r"(?!(?:9|0)[0-9]{2}-(?:19|20)[0-9]{2},)"  # years of a copyright
    r"[0-9]{0,4}(?:[a-z](?!\w))?(?: ?[-–/&] ?[0-9]{1,5}[a-z]?){0,2}(?![\w.:%])"
)
STREET = re.compile(
    rf"{_NUMBER},?{_SP}(?P<name>(?:{_STOP}(?:[^\W\d_]|[0-9]{{1,3}}(?:st|nd|rd|th))"
    rf"[\w'’.-]{{0,24}}{_SP}){{0,4}})(?:(?P<sure>{_SURE})|(?P<likely>{_LIKELY}))(?!\w)"
    r"(?:\.(?=[ ,\n][ ]?[\w#])|\.(?=,))?"
    rf"(?:{_SP}(?:[ns][ew]?|[ew]|north|south|east|west|central|upper|lower)\.?(?!['’\w]))?"
)
_UNITS = (
    r"(?:flat|unit|apt|apartment|suite|ste|level|lvl|floor|fl|room|rm|lot|plot|shop|studio|office"
    r"|bldg|building)"
)
_ORDINAL = r"(?:[0-9]{1,2}(?:st|nd|rd|th)|ground|first|second|third|top) (?:floor|flat)"
BEFORE = re.compile(
    rf"(?<![^\W_])(?:{_UNITS}\.? ?(?:#?[\w-]{{1,6}}(?:, ?|/| |\n))?|{_ORDINAL},? )\Z"
)
_UNIT = (
    rf"(?:,?\s{{1,2}}(?:(?:{_UNITS}\.? |# ?)#?"
    rf"(?=[\w-]{{0,5}}[0-9]|[a-z](?!\w))[\w-]{{1,6}}|{_ORDINAL}))"
)
UNIT = re.compile(f"{_UNIT}{{1,2}}", re.IGNORECASE)
_SEP = r"(?:,\s{0,3}|\s{1,3})"
_COUNTRY = (
    rf"(?:{_SEP}(?i:USA|U\.S\.A\.|United States|UK|United Kingdom|England|Scotland|Wales|Ireland"
    r"|Canada|Australia|New Zealand)(?!\w))?"
)
_CODE = (
    r"(?:[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}|[0-9]{5}(?:-[0-9]{4})?|[A-Z][0-9][A-Z][ -]?[0-9]"
    r"[A-Z][0-9]|[A-Z][0-9][0-9W] ?[A-Z0-9]{4}|(?:NSW|VIC|QLD|WA|SA|TAS|ACT|NT),?\s{1,2}[0-9]{4}"
    r"|Dublin [0-9]{1,2}W?)(?!\w)"
)
_NAME = r"[A-Z][\w'’.-]{0,24}"
_CODED = rf"(?:{_SEP}(?:{_NAME}|of|on|upon|le|and|the)){{0,8}}?{_SEP}{_CODE}{_COUNTRY}"
CODED = re.compile(_CODED)
CODED_SMALL = re.compile(
    rf"(?:{_SEP}{_STOP}[a-z][\w'’.-]{{0,24}}){{0,6}}?{_SEP}{_CODE}{_COUNTRY}", re.IGNORECASE
)
"""What stands behind a street, to its postcode."""
TOWN = re.compile(rf"(?:, {_NAME}(?: {_NAME}){{0,2}}){{1,3}}(?!\w)")
TOWN_SMALL = re.compile(
    r", (?!thanks|please|and |but |so )[a-z]{3,20}(?: [a-z]{2,20})?(?=[\"'\n]|\.?\Z)"
)
BOX = re.compile(
    r"(?<!\w)(?:(?:p\.? ?o\.? ?|post office |g\.?p\.?o\.? |postal )box|locked bag|private bag"
    r"|(?:rr|hc|county road|county rd|rural route|route|rte|cr|highway) [0-9]{1,5},? box)"
    r" #?[0-9]{1,6}(?!\w)"
)
_CAP = r"[A-Z][\w'’.-]{1,24}"
_TITLES = "|".join(word.title() for word in _SURE.split("|"))
_HOUSES = "Cottage House Rectory Farm Lodge Barn Hall Manor Vicarage Villa Farmhouse Court Mill"
NAMED = re.compile(
    rf"(?:{_CAP} ){{1,3}}(?:{_HOUSES.replace(' ', '|')}),\s(?:[0-9]{{1,4}} )?(?:{_CAP} ){{1,3}}"
    rf"(?:{_TITLES}|Way|Drive|Close|Row|Hill|Green)(?!\w)"
)
HOUSES = tuple(f"{house},".lower() for house in _HOUSES.split())
SPELLED = re.compile(
    r"(?:One|Two|Three|Four|Five|Six|Seven|Eight|Nine|Ten|Eleven|Twelve|Fifteen|Twenty) "
    rf"(?!Way )(?:{_CAP} ){{1,2}}"
    rf"(?:{'|'.join(map(str.title, f'{_SURE}|{_LIKELY}'.split('|')))})(?!\w)"
)
POSTCODE = re.compile(r"[A-Z](?<!\w[A-Z])[A-Z]?[0-9][A-Z0-9]? [0-9][ABD-HJLNP-UW-Z]{2}(?!\w)")
AREAS = _all(
    "AB AL BA BB BD BH BL BN BR BS BT CA CB CF CH CM CO CR CT CV CW DA DD DE DG DH DL DN DT DY EC"
    " EH EN EX FK FY GL GU GY HA HD HG HP HR HS HU HX IG IM IP IV JE KA KT KW KY LA LD LE LL LN LS"
    " LU ME MK ML NE NG NN NP NR NW OL OX PA PE PH PL PO PR RG RH RM SA SE SG SK SL SM SN SO SP SR"
    " SS ST SW SY TA TD TF TN TQ TR TS TW UB WA WC WD WF WN WR WS WV YO ZE"
)
"""Where British postcodes begin with two letters; of one, they need a town or a line before."""
LONE = frozenset("BEGLMNSW")
LETTERED = re.compile(r"(?:EC[1-4]|SW1|WC[12]|W1) ")
"""Districts that have another letter."""
CUES = Cues(
    "address addr adr address1 address2 address_line street streetaddress line1 residence location"
    " domicile headquarters hq$ shipto deliver_to mailing_to",
    "street address", "ship to", "bill to", "lives at", "address line",
)  # fmt: skip
"""Words behind which whole values are addresses, where they stand in quotes, cells or lines."""
_VALUE = re.compile(
    r"\w{0,12}[\"'`*_\])]{0,3}\s{0,3}(?:=>|[:=>])\s{0,3}"
    r"(?:[\"'`](?P<quoted>[^\"`\n<>{}|]{6,160}?)[\"'`]"
    r"(?=\s{0,3}[,;:)\]}\n]|\s{0,3}\Z)"
    r"|(?P<open>[^\s\"'`<>{}|\[][^\"`\n<>{}|=]{5,120}))"
)
NEAR = re.compile(
    r"(?:address\w{0,6}|addr|street\w{0,8}|\bliv(?:es?|ed|ing) (?:at|in|on)"
    r"|resid(?:es?|ing) (?:at|in)"
    r"|mov(?:ed?|ing) (?:in)?to|deliver\w{0,4} (?:\w{1,8} )?to|ship\w{0,5} (?:\w{1,8} )?to"
    r"|located at|based at|sent? (?:\w{1,8} )?to|premises|residence|home is|house is|office is)"
    r"[^0-9.!?]{0,16}\Z"
)
"""Words before an address."""
AT = _all("at near outside opposite behind")
TOWARDS = _all("to from in on of is and or visit leave left via by between for across around past")
GO_ON = _all(
    "before after in on by until since please for with and or last this next from near at when"
    " where which because if but tomorrow today around to as is was has every again now then"
    " instead still"
)
"""Words with which a sentence goes on behind an address."""
OPENS = frozenset(":;,.!?(\"'>|=[{*_`-–—•\n\t")
CLOSES = frozenset(".,;:!?)\"'<|]}*_`\n\r\t\\–—")
_LAST = re.compile(r"([a-z]+) {1,2}\Z|[a-z]+\n\Z")
_NEXT = re.compile(r" ([a-z]+)")
_HOUSED = re.compile(
    rf"(?:{_UNITS}\.? ?)?#?[0-9]{{1,5}}[a-z]?(?:[-/][0-9]{{1,5}})?,? [^\W\d_]{{2}}"
)
_ON = re.compile(r" [A-Z][a-z]")
_WORD = re.compile(r"\S+")
_KIND = re.compile(rf"\w[ ](?:{_SURE}|{_LIKELY})(?!\w)")


def streets(reading: Reading) -> Iterator[Entity]:
    """Streets with their number, with what follows of unit, town and postcode; post boxes."""
    text, folded = reading.text, reading.folded
    if any(house in folded for house in HOUSES):
        for found in NAMED.finditer(text):
            yield _entity(found.start(), _end(text, found.end(), small=False)[0], 0.6)
    for found in SPELLED.finditer(text):
        end, sure = _end(text, found.end(), small=False)
        if sure or (_opened(folded, found.start()) and _closed(folded, end, words=True)):
            yield _entity(found.start(), end, 0.6)
    yield from _keyed(reading)
    if not reading.has_digits:
        return
    for found in STREET.finditer(folded):
        yield from _numbered(text, folded, found)
    if "box" in folded or " bag " in folded:
        for found in BOX.finditer(folded):
            yield _entity(found.start(), _end(text, found.end(), small=False)[0], 0.8)
    for found in POSTCODE.finditer(text):
        if _posted(text, found):
            yield _entity(found.start(), found.end(), 0.5)


def is_address(said: str) -> bool:
    """Whether what a key or a head calls an address is one of a street."""
    said = said.lower()
    if "@" in said or "://" in said:
        return False
    return any(form.search(said) is not None for form in (_HOUSED, _KIND, BOX))


def _numbered(text: str, folded: str, found: re.Match[str]) -> Iterator[Entity]:
    """The address of a street with a number, if enough speaks for one."""
    start, end = found.span()
    words = [word.start() for word in _WORD.finditer(text, *found.span("name"))]
    kind = found.start(found.lastgroup or 0)
    if found["name"].startswith("the"):
        words = words[1:] or [kind]
    small = any(text[place].islower() for place in (*words, kind))
    end, coded = _end(text, end, small=small or text[kind : kind + 2].isupper())
    before = BEFORE.search(folded, max(0, start - 24), start)
    cued = NEAR.search(folded, max(0, start - 48), start) is not None
    if before is not None:
        start = before.start()
    sure = found.lastgroup == "sure"
    goes_on = _ON.match(text, end) is not None
    around = _said(folded, start, end, small=small, sure=sure, goes_on=goes_on)
    if coded or cued or (words and (before is not None or around)):
        yield _entity(start, end, 0.7)


def _said(folded: str, start: int, end: int, *, small: bool, sure: bool, goes_on: bool) -> bool:
    """Whether the words around a street with a number let it be an address."""
    if sure and not small:
        # What goes on with a name is that of a street only where a word before says so.
        return _opened(folded, start) or not goes_on
    last = _LAST.search(folded, max(0, start - 20), start)
    word = "" if last is None else last[1] or ""
    if word in AT and (sure or not small):
        return _closed(folded, end, words=True)
    if word in TOWARDS:
        return _closed(folded, end, words=not small) and (sure or not small)
    return (sure or not small) and _opened(folded, start) and _closed(folded, end, words=False)


def _opened(folded: str, start: int) -> bool:
    """Whether nothing, a mark or a word of place stands before `start`."""
    before = folded[max(0, start - 20) : start].rstrip(" ")
    if not before or before[-1] in OPENS:
        return True
    last = _LAST.search(folded, max(0, start - 20), start)
    return last is not None and (last[1] in AT or last[1] in TOWARDS)


def _closed(folded: str, end: int, *, words: bool) -> bool:
    """Whether nothing, a mark or, with `words`, how a sentence goes on stands at `end`."""
    if end >= len(folded) or folded[end] in CLOSES or not folded[end:].strip(" "):
        return True
    after = _NEXT.match(folded, end)
    return words and after is not None and after[1] in GO_ON


def _end(text: str, end: int, *, small: bool) -> tuple[int, bool]:
    """Where an address whose street ends at `end` does; whether it has a unit or a postcode."""
    unit = UNIT.match(text, end)
    if unit is not None:
        end = unit.end()
    for form in (CODED, CODED_SMALL) if small else (CODED,):
        coded = form.match(text, end)
        if coded is not None:
            return coded.end(), True
    town = TOWN.match(text, end) or (TOWN_SMALL.match(text, end) if small else None)
    return (end if town is None else town.end()), unit is not None


def _keyed(reading: Reading) -> Iterator[Entity]:
    """Whole values behind a key for an address."""
    for place in CUES.ends(reading):
        found = _VALUE.match(reading.text, place)
        if found is None:
            continue
        start, end = found.span(found.lastgroup or 0)
        said = found[found.lastgroup or 0]
        if found.lastgroup == "open":
            end = start + len(re.split(r"\.\s|[;\"'`*]| - |\t", said)[0].rstrip(" .,)"))
            if _HOUSED.match(said.lower()) is None or end - start > 100:
                continue
        if is_address(reading.text[start:end]):
            yield _entity(start, end, 0.6)


def _posted(text: str, found: re.Match[str]) -> bool:
    """Whether a British postcode can be one where nothing else says so."""
    code, start = found.group(), found.start()
    if LETTERED.match(code) is not None:
        return False
    if code[1].isalpha():
        return code[:2] in AREAS
    before = text[max(0, start - 20) : start].rstrip(" ")
    town = before.rpartition(" ")[2]
    return code[0] in LONE and (
        not before or before[-1] in ",\n:\"'>|" or town[:1].isupper() or "code" in town.lower()
    )


def _entity(start: int, end: int, score: float) -> Entity:
    return Entity(kind="ADDRESS", start=start, end=end, score=score)
