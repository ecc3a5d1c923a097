"""Where something is reached: IP addresses, URLs with passwords."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers.reading import Reading

LINK = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{1,20}\Z")
AUTHORITY = re.compile(
    r"(?:[^\s/@:\"'<>]{0,100}:[^\s/@\"'<>]{1,200}|[^\s/@:\"'<>]{16,200})@[^\s\"'<>]{1,300}"
)
IPV4 = re.compile(
    r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"
    r"(?![0-9A-Za-z]|\.\d|-[a-zA-Z]|\.(?:tar|t?gz|zip|whl|jar|deb|rpm|apk|exe|msi|dmg|dll|nupkg)\b)"
)
IPV6 = re.compile(r"(?<![0-9A-Za-z:.])(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}(?![0-9A-Za-z:])")
SHORT_LEFT = re.compile(r"(?<![0-9A-Za-z:.])(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?\Z")
SHORT_RIGHT = re.compile(
    r"::(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?"
    r"(?![0-9A-Za-z:])|::(?:ffff:)?\d{1,3}(?:\.\d{1,3}){3}(?![0-9A-Za-z:])"
)
VERSION = (
    "version", "versions", "release", "build", "firmware", "update", "upgrade", "section",
    "sections", "§", "kernel", "chapter", "clause", "rev", "patch", "mask", "@",
)  # fmt: skip
"""What ends before numbers with dots that are no addresses."""
NOBODY = ("255.", "0.", "127.0.")
"""What masks begin with, and the addresses of every machine."""
AT_LEAST = (">=", ">= ", "<=", "<= ", "~=", "~= ", "~> ")
"""What stands between a package and its version."""
PACKAGE = re.compile(
    r"(?P<name>[a-z][\w.-]{0,60})[\s\"',:(\[]{0,4}"
    r"(?:[<>~=!]{1,2} ?\d[\w.]{0,30}[\s\"',]{0,3}(?:and )?)?[\"']?(?:[<>~]=|~>) ?\Z"
)
REACHED = re.compile(
    r"(?<![a-z])ip(?!y)|(?<![hpsz])ip\Z|addr|host|src|dst|source|dest|subnet|network|gateway|peer"
    r"|remote|client|server|node|range"
    r"|\A(?:and|or|where|if|not|in|than|from|to|start|end|first|last)\Z"
)
"""Of what is compared with an address: no package's name."""
PAIRS = re.compile(r"(?:[0-9a-fA-F]{2}:){7}[0-9a-fA-F]{2}")
NET = re.compile(r"(?:[fF][eE]80|[fF][cCdD][0-9a-fA-F]{2}|2[0-9a-fA-F]{3})::")
PARTS = frozenset((1, 2, 3))


def links(reading: Reading) -> Iterator[Entity]:
    """URLs that carry a name and a password, or a token."""
    text = reading.text
    place = text.find("://")
    while place >= 0:
        scheme = LINK.search(text, max(0, place - 21), place)
        found = AUTHORITY.match(text, place + 3)
        if scheme is not None and found is not None:
            yield Entity(kind="URL", start=scheme.start(), end=found.end(), score=1.0)
        place = text.find("://", place + 3)


def addresses(reading: Reading) -> Iterator[Entity]:
    """IP addresses; versions and masks of nets are none."""
    text = reading.text
    if text.count(".") >= 3:
        for start, end in reading.runs:
            if text[end : end + 1] == "." and end - start in PARTS:
                yield from _address(reading, start)
    if text.count(":") >= 7:
        for found in IPV6.finditer(text):
            # Pairs of signs are how devices are numbered.
            if PAIRS.fullmatch(found.group()) is None:
                yield Entity(kind="IP", start=found.start(), end=found.end(), score=0.8)
    place = text.find("::")
    while place >= 0:
        left = SHORT_LEFT.search(text, max(0, place - 36), place)
        right = SHORT_RIGHT.match(text, place)
        start, end = (left.start() if left else place), (right.end() if right else place)
        # Two parts and no more are as often names in a program.
        several = text.count(":", start, end) >= 3 or NET.match(text, start) is not None
        if several and _ip(text[start:end]):
            yield Entity(kind="IP", start=start, end=end, score=0.8)
        place = text.find("::", place + 2)


def _address(reading: Reading, start: int) -> Iterator[Entity]:
    text = reading.text
    before = text[start - 1 : start] if start else ""
    if (before.isascii() and before.isalnum()) or before == ".":
        return
    found = IPV4.match(text, start)
    if found is None or found.group().startswith(NOBODY) or not _ip(found.group()):
        return
    said = reading.before(start, 20)
    bare = said.removesuffix("v").rstrip(" :=").removesuffix(" to").removesuffix(" is")
    if bare.endswith(VERSION) or said.rstrip("\"' :=(").endswith("version"):
        return
    if said.endswith(AT_LEAST):
        package = PACKAGE.search(reading.before(start, 120))
        least = package is not None and REACHED.search(package["name"]) is None
    else:
        least = said.endswith(("==", " v", "(v"))
    if not least:
        yield Entity(kind="IP", start=start, end=found.end(), score=0.8)


def _ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
