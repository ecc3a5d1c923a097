"""Secrets that another field names: pairs of a name and a value, lists, arguments of commands.

Knows how such pairs are written in JSON, YAML, XML and attributes. What says that a value is a
secret, and what is none, is :mod:`~emafusion.protect.recognisers.passwords`.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers.passwords import (
    LEAST,
    LIKELY,
    PROSE,
    SURE,
    VALUE,
    mixed,
    random,
    secret,
    strong,
    told,
)
from emafusion.protect.recognisers.reading import Reading

NAME = re.compile(
    r"(?:\b(?:name|key|field|variable|label|parameter|property|attribute|header)[\"']?"
    r" ?(?:=>|[:=]) ?[\"']?|<(?:name|key|field|label|parameter)>\s{0,8})[\w.:-]{0,40}\Z"
)
"""What stands before a word that is the value of a field that holds names."""
KIND = re.compile(
    r"\b(?:type|kind|element|selector)[\"']? ?(?:=>|[:=]) ?[\"']?(?:[\w.:#-]{1,30} ){0,3}"
    r"[\w.:#-]{0,40}\Z"
)
"""The same of a field for the kind of what stands beside it."""
NEIGHBOUR = re.compile(
    r"(?P<rest>[\d_-]{0,4}(?:_base)?)(?: (?:field|input|(?:text ?)?box|entry|element)){0,2}"
    r"(?:\s{0,8}</\w{1,20}>\s{0,60}|[\"']?[\s,;]{1,60})"
    # A field or two may stand between: a type, a place.
    r"(?:[\"']?(?!val)\w{1,20}[\"']? ?[:=] ?[\"']?[\w./-]{0,40}[\"']?[\s,;]{1,60}){0,2}"
    r"(?:[\"']?(?:value|val|string|default|content|text)[\"']? ?(?=[:=])"
    r"|<(?:value|val|string|data|content)(?=>))"
    rf"(?P<says>=>|[:=>])\s{{0,8}}{VALUE}"
)
"""Behind a name the value that it is of."""
LIST = re.compile(r"(?P<rest>[s\d_-]{0,4})[\"']? ?(?:=>|[:=]) ?[\[(]\s{0,60}(?=[\"'])")
OBJECT = re.compile(r"(?P<rest>[s\d_-]{0,4})[\"']? ?(?:=>|[:=]) ?\{\s{0,60}(?=[\"'])")
MEMBER = re.compile(
    r"(?P<quote>[\"'])(?P<name>[\w.-]{1,60})(?P=quote)\s{0,8}(?:=>|[:=])\s{0,8}"
    r"(?:(?P<mark>[\"'])(?P<item>[^\"'\n]{0,200})(?P=mark)|[\w.+-]{1,40})\s{0,60}"
    r"(?P<more>,?)\s{0,60}"
)
"""One of the fields within another, with no more below it."""
WITHIN = frozenset({
    "value", "values", "val", "text", "string", "default", "secret", "data", "content", "current",
    "old", "new", "main", "primary", "previous", "password", "passwd", "input",
})  # fmt: skip
"""Fields within one that is named a secret which say no more of theirs."""
ITEM = re.compile(
    r"(?P<quote>[\"'])(?P<item>[^\"'\n]{0,200})(?P=quote)\s{0,60}(?P<more>,?)\s{0,60}"
)
_SHORT = r"(?=[^\s\"']{0,80}[\d!#$%&*+@^~=])(?!-)[^\s\"']{5,80}"
ARGUMENTS = re.compile(
    rf"[\"'](?:mysql\w*|mariadb[\w-]*)[\"'][^\]\x00]{{0,300}}?[\"']-p(?P<short>{_SHORT})[\"']"
    rf"|[\"'](?:sshpass|redis-cli|mongo\w*)[\"'][^\]\x00]{{0,300}}?[\"']-[pa][\"'],\s{{0,60}}"
    rf"[\"'](?P<apart>{_SHORT})[\"']"
)
"""A command as a list of its arguments."""
OPTION = re.compile(r"(?:[\"']|^[ \t]{0,40}- [\"']?)--?[\w-]{0,40}\Z", re.MULTILINE)
"""What stands before the word in an option that has a place of its own in such a list."""
NEXT = re.compile(
    r"(?P<rest>\d{0,2})(?P<says>)"
    rf"(?:[\"'],\s{{0,60}}(?=[\"'])|[\"']?\n[ \t]{{0,40}}- ){VALUE}"
)
"""Behind an option the argument that is the next in the list."""


def secrets(reading: Reading) -> Iterator[Entity]:
    """Values of pairs, items of lists and arguments that are said to be secrets."""
    folded = reading.spanned
    for sure, cues in ((True, SURE), (False, LIKELY)):
        for end in cues.ends(reading):
            yield from _neighbour(reading, end, sure=sure)
            yield from _next(reading, end, sure=sure)
    for start, over in (*_listed(reading), *_within(reading)):
        yield Entity(kind="KEY", start=start, end=over, score=0.7)
    if "-p" in folded or "-a" in folded:
        for found in ARGUMENTS.finditer(folded):
            start, over = found.span("short" if found["short"] else "apart")
            yield Entity(kind="KEY", start=start, end=over, score=0.7)


def _neighbour(reading: Reading, end: int, *, sure: bool) -> Iterator[Entity]:
    """The value of the field beside the one whose value ends with the word that ends at `end`."""
    folded = reading.spanned
    found = NEIGHBOUR.match(folded, end)
    if found is None:
        return
    before = reading.before(end, 70)
    named = NAME.search(before) is not None
    span = told(reading, found, sure=sure) if named or KIND.search(before) is not None else None
    if span is None:
        return
    value = reading.text[slice(*span)]
    if mixed(value) and not (" " in value and (not named or PROSE.search(value.lower()))):
        yield Entity(kind="KEY", start=span[0], end=span[1], score=0.7)


def _next(reading: Reading, end: int, *, sure: bool) -> Iterator[Entity]:
    """The argument behind the option in whose name a word ends at `end`, in a list of them."""
    found = NEXT.match(reading.spanned, end)
    if found is None or OPTION.search(reading.before(end, 60)) is None:
        return
    span = told(reading, found, sure=sure)
    if span is None:
        return
    value = reading.text[slice(*span)]
    if secret(value) and not value.startswith("-"):
        yield Entity(kind="KEY", start=span[0], end=span[1], score=0.7)


def _listed(reading: Reading) -> Iterator[tuple[int, int]]:
    """Where the secrets of lists stand; what is read as an item begins no list."""
    read = 0
    for end in SURE.ends(reading):
        opened = LIST.match(reading.spanned, end) if end >= read else None
        if opened is not None:
            read = yield from _items(reading, opened)


def _within(reading: Reading) -> Iterator[tuple[int, int]]:
    """Where the secrets in fields within one that is named so stand."""
    for sure, cues in ((True, SURE), (False, LIKELY)):
        read = 0
        for end in cues.ends(reading):
            opened = OBJECT.match(reading.spanned, end) if end >= read else None
            if opened is not None:
                read = yield from _members(reading, opened, sure=sure)


def _members(
    reading: Reading, opened: re.Match[str], *, sure: bool
) -> Generator[tuple[int, int], None, int]:
    """Where the secrets of the fields in `opened` stand; returns where it was read to."""
    read = opened.end()
    member = MEMBER.match(reading.spanned, read)
    while member is not None:
        start, over = member.span("item")
        value = reading.text[start:over] if start >= 0 else ""
        if member["name"] in WITHIN:
            right = len(value) >= LEAST and (secret(value) if sure else random(value))
        else:
            right = sure and strong(value)
        if right and " " not in value:
            yield start, over
        read = member.end()
        member = MEMBER.match(reading.spanned, read) if member["more"] else None
    return read


def _items(reading: Reading, opened: re.Match[str]) -> Generator[tuple[int, int], None, int]:
    """Where the secrets of the list `opened` stand; returns where it was read to."""
    # What is called secrets is often a list of their names.
    named = reading.before(opened.start(), 7).endswith(("secret", "secrets"))
    read = opened.end()
    item = ITEM.match(reading.spanned, read)
    while item is not None:
        start, over = item.span("item")
        value = reading.text[start:over]
        right = random(value) if named else len(value) >= LEAST and secret(value)
        if right and not (" " in value and PROSE.search(value.lower())):
            yield start, over
        read = item.end()
        item = ITEM.match(reading.spanned, read) if item["more"] else None
    return read
