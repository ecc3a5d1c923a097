"""What a text says to a model that people do not see in it: codes, look-alikes, unseen characters.

Each undoing starts only where its traces show, takes time linear in the text, and gives nothing
where nothing readable comes out. Knows nothing of what a text says.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
import urllib.parse
from collections.abc import Callable, Iterator

from emafusion.protect.recognisers.plain import LATIN, UNSEEN

TAGS = re.compile("(?<!\U0001f3f4)[\U000e0020-\U000e007e]{6,}")
"""Letters that are never drawn; behind a black flag they say whose flag it is."""
PIERCED = re.compile("[a-zA-Z][\u200b\u2060\ufeff\u00ad](?=[a-zA-Z])")
_POSING = "".join(map(chr, LATIN))
MIXED = re.compile(rf"[a-z][{_POSING}]|[{_POSING}][a-z]")
PACKED = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{24,}={0,2}")
HEX = re.compile(r"(?:[0-9a-fA-F]{2}){16,}\Z")
SPACED = re.compile(r"(?<=\b\w) {1,3}\w(?: {1,3}\w){9,}\b")
LEET = str.maketrans("4310570@$", "aeiostoas")
ENTITIES = re.compile(r"(?:[\w ]{0,2}&#x?[0-9a-fA-F]{1,6};){6,}")
PERCENTS = re.compile(r"(?:[\w.~-]{0,12}%[0-9A-Fa-f]{2}){4,}[\w.~-]{0,24}")
LEETED = re.compile(r"(?<=[a-z])[0-9@$]{1,2}(?=[a-z])")
TURNED = (
    (lambda text: codecs.decode(text, "rot13"),
     ("vtaber", "vtabevat", "vafgehpgvbaf", "flfgrz", "cebzcg", "cerivbhf", "nffvfgnag", "cnffjbeq",
      "sbyybj", "gnfx", "ehyrf", "vzzrqvngryl", "shygher", "gur", "naq", "lbhe")),
    (lambda text: text[::-1],
     ("erongi", "snoitcurtsni", "metsys", "tpmorp", "suoiverp", "tnatsissa", "drowssap", "wollof",
      "ksat", "selur", "eht", "dna", "ruoy")),
)  # fmt: skip
"""Ciphers that keep words apart, with words by which they show; two are needed."""
MOST = 100_000
"""Characters of one text that are decoded."""


def folded(text: str) -> tuple[str, bool]:
    """`text` in small, plain letters, and whether it was written not to be read."""
    odd = False
    if not text.isascii():
        odd = len(PIERCED.findall(text)) >= 6
        text = unicodedata.normalize("NFKC", UNSEEN.sub("", text))
    lower = text.lower()
    if not lower.isascii() and len(MIXED.findall(lower)) >= 2:
        lower, odd = lower.translate(LATIN), True
    return lower, odd


def said(text: str) -> Iterator[str]:
    """What `text` says where its codes are undone."""
    if not text.isascii():
        for found in TAGS.findall(text):
            yield "".join(chr(ord(c) - 0xE0000) for c in found)
    yield from _packed(text)
    if "&#" in text:
        yield from map(html.unescape, ENTITIES.findall(text))
    if "%" in text:
        yield from map(urllib.parse.unquote, PERCENTS.findall(text))
    for run in SPACED.findall(text):
        yield re.sub(" {2,}", " ", re.sub(r"(?<=\S) (?=\S)", "", run))
    lower = text.lower()
    yield from (line.translate(LEET) for line in lower.split("\n") if _leet(line))
    yield from _turned(lower)


def _leet(line: str) -> bool:
    """Whether `line` has figures in many of its words."""
    found = len(LEETED.findall(line))
    return found >= 4 and found * 5 >= line.count(" ")


def _packed(text: str) -> Iterator[str]:
    read = 0
    for found in PACKED.findall(text):
        read += len(found)
        if read > MOST:
            return
        whole = found.rstrip("=")
        if HEX.match(whole):
            yield _readable(bytes.fromhex, whole)
        else:
            standard = whole.replace("-", "+").replace("_", "/")
            yield _readable(base64.b64decode, standard + "=" * (-len(standard) % 4))


def _readable(decode: Callable[[str], bytes], code: str) -> str:
    """What `code` stands for, where that is words."""
    try:
        text = decode(code).decode()
    except (binascii.Error, ValueError):
        return ""
    shown = sum(c.isprintable() or c in "\r\n\t" for c in text)
    words = " " in text or PACKED.fullmatch(text) is not None
    return text if words and shown >= 0.95 * len(text) else ""


def _turned(lower: str) -> Iterator[str]:
    words: set[str] | None = None
    for undo, traces in TURNED:
        if any(trace in lower for trace in traces[:4]):
            words = set(re.findall("[a-z]+", lower)) if words is None else words
            if len(words.intersection(traces)) >= 2:
                yield undo(lower)
