"""A text as it reads once its disguises are off, with where its characters stood.

Undoes escapes of JSON, Python, URLs and HTML, unseen characters, accents apart from their letters,
digits and letters that only look unlike plain ones. Knows no kind of value.
"""

from __future__ import annotations

import html
import re
import sys
import unicodedata
from bisect import bisect_right
from functools import cache

UNSEEN = re.compile(
    "[\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\U0001d173-\U0001d17a\U000e0000-\U000e007f"
    "\U000e0100-\U000e01ef]"
)
"""Characters that are not seen."""
_HEX = "[0-9a-fA-F]"
_CODES = (
    # A quotation within a quotation doubles its backslashes.
    rf"\r|\\{{1,8}}(?:u[dD][89abAB]{_HEX}{{2}}\\{{1,8}}u[dD][c-fC-F]{_HEX}{{2}}|u{_HEX}{{4}}"
    rf"|U000{_HEX}{{5}}|x{_HEX}{{2}}|[nrtfv]|[^\w\s]|_)"
    rf"|%(?:25){{0,4}}(?:[0-7]{_HEX}|[cCdD]{_HEX}%[89abAB]{_HEX}"
    rf"|[eE]{_HEX}(?:%[89abAB]{_HEX}){{2}}|[fF]{_HEX}(?:%[89abAB]{_HEX}){{3}})"
    rf"|&(?:amp;){{0,3}}(?:#[0-9]{{1,7}}|#[xX]{_HEX}{{1,6}}|[a-zA-Z]{{2,8}});"
)
CODES = re.compile(_CODES)
"""Characters that are written as several."""
ALL = re.compile(
    rf"{_CODES}|{UNSEEN.pattern}+|(?P<marks>[\u0300-\u036f\u20d0-\u20ff]+)"
    "|(?<=[0-9a-zA-Z])[\u3002\uff61](?=[0-9a-zA-Z])"
)
HIDDEN = re.compile(f"{UNSEEN.pattern}|[\u0300-\u036f\u20d0-\u20ff\u3002\uff61]")
WITHIN = re.compile(r"[^\s\"'`{\[(:,=<>;\\]\\+[\"'][^\s\"'`,.:;!?{}\[\])<>\\]")
"""An escaped quote within what is quoted: what is nested in quotes ends or begins beside it."""
GREEK = re.compile("[\u0370-\u052f]")
NEWLINE = re.compile(r"\n|\\{1,8}n|%(?:25){0,4}0[aA]|&#(?:10|[xX]0?[aA]);")
BLANKS = {"n": "\n", "r": "\r", "t": "\t", "f": "\n", "v": "\n"}
_FIELD = r"[\w.~+-]{1,40}=(?![^\s&\"'<>]{0,100}(?:@|%40))[^\s&\"'<>]*+"
FORM = re.compile(rf"(?<=[?&]){_FIELD}|(?<![^\s\"']){_FIELD}(?=&)")
BLANK = re.compile(r"(?<=[0-9A-Za-z,.)])\+(?=[0-9A-Za-z(%])")
"""A field of a URL's query, in which blanks are plus signs; in a mail address they are none."""
POSED = {
    **dict.fromkeys("\u00a0\u1680\u202f\u205f\u2800\u3000", " "),
    **{chr(code): " " for code in range(0x2000, 0x200B)},
    **dict.fromkeys("\u0085\u2028\u2029", "\n"),
    **{chr(code): "-" for code in range(0x2010, 0x2016)},
    **dict.fromkeys("\u2043\u2212\ufe58\ufe63\uff0d", "-"),
    **dict.fromkeys("\u00b7\u2024\u2219\u22c5\u30fb", "."),
    **dict.fromkeys("\u2018\u2019\u02bc", "'"),
    **dict.fromkeys("\u00ab\u00bb\u201c\u201d\u201e", '"'),
}
"""Blanks, dashes, dots and quotes, each with the ASCII character that it poses as."""
BLOCKS = (
    (0x0660, 0x1A9A), (0x2070, 0x209D), (0x2100, 0x2150), (0x2460, 0x2500), (0xA620, 0xABFA),
    (0xFE10, 0xFE1A), (0xFE50, 0xFE6C), (0xFF01, 0xFF61), (0x104A0, 0x11DAA), (0x1D400, 0x1D800),
    (0x1E140, 0x1E95A), (0x1FBF0, 0x1FBFA),
)  # fmt: skip
"""Where Unicode keeps digits, and letters drawn in another way."""
LATIN = str.maketrans(
    "асеорхуіјѕһԁвкмнтАВСЕНІЈКМОРЅТХУαειοκνρτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aceopxyijshdbkmhtABCEHIJKMOPSTXYaeiokvptuxABEZHIKMNOPTYX",
)
"""Greek and Cyrillic letters that look like Latin ones."""
# What bounds it on the left keeps it from being tried anew at each letter of a long word.
MIXED = re.compile(
    "(?<![a-zA-Z\u0370-\u052f])(?:[a-zA-Z]+[\u0370-\u052f]|[\u0370-\u052f]+[a-zA-Z])[^\\W_]*"
)


class Places:
    """Where each character of a plain text stood in the text that it was made of."""

    def __init__(self) -> None:
        self._at = [0]
        self._from = [(0, 0)]
        self.quotes: list[int] = []
        """Where in the plain text a quote stands that does not end what is quoted."""

    def put(self, at: int, start: int, end: int) -> None:
        """Say that from `at` on the plain text was ``start:end``, or begins anew at `end`."""
        self._at.append(at)
        self._from.append((start, end))

    def __call__(self, start: int, end: int) -> tuple[int, int]:
        """Where ``start:end`` of the plain text stood, escapes with all their characters."""
        return self._place(start)[0], self._place(end - 1)[1]

    def _place(self, at: int) -> tuple[int, int]:
        n = bisect_right(self._at, at) - 1
        start, end = self._from[n]
        if start < end:
            return start, end
        return start + at - self._at[n], start + at - self._at[n] + 1


def plain(text: str) -> tuple[str, Places | None]:
    """`text` without its disguises, and where its characters were, if elsewhere."""
    odd = "" if text.isascii() else "".join(c for c in set(text) if c > "\x7f")
    coded = "\\" in text or "%" in text or "&" in text or "\r" in text
    if "+" in text and "=" in text and ("?" in text or "&" in text):
        text = FORM.sub(lambda found: BLANK.sub(" ", found.group()), text)
    if not odd and not coded:
        return text, None
    places = None
    if HIDDEN.search(odd) is not None:
        text, places = _undone(text, ALL)
    elif coded:
        text, places = _undone(text, CODES)
    # A code may stand for what poses as another character.
    if odd or not text.isascii():
        if places is not None or not posed().keys().isdisjoint(map(ord, odd)):
            text = text.translate(posed())
        if GREEK.search(odd) is not None or places is not None:
            text = MIXED.sub(lambda found: found.group().translate(LATIN), text)
    return text, places


def _undone(text: str, pattern: re.Pattern[str]) -> tuple[str, Places | None]:
    places, parts = Places(), []
    last = length = 0
    for found in pattern.finditer(text):
        start, end = found.span()
        if found.lastgroup == "marks":
            # The letter before goes with its accents.
            start = max(last, start - 1)
            said = _joined(text[start:end])
        else:
            said = _meant(text[start:end])
            # Lines of mails and forms end in two characters, which part a value as one does.
            if said == "\r":
                said = "" if NEWLINE.match(text, end) else "\n"
        if said == text[start:end]:
            continue
        parts += [text[last:start], said]
        length += start - last
        if said in ("'", '"') and WITHIN.match(text, max(0, start - 1), end + 1):
            places.quotes.append(length)
        places.put(length, start, end)
        length += len(said)
        places.put(length, end, end)
        last = end
    if not parts:
        return text, None
    return "".join([*parts, text[last:]]), places


def _joined(text: str) -> str:
    """A letter with its accents as one character; marks that fit no letter go."""
    whole = unicodedata.normalize("NFC", text)
    return (
        whole if len(whole) == 1 else "".join(c for c in whole if unicodedata.category(c)[0] != "M")
    )


def _meant(code: str) -> str:
    """What a code stands for."""
    if code[0] == "%":
        # What parts the fields of a query would cut a value in two.
        if code.endswith("26"):
            return code
        return bytes.fromhex(re.sub("%(?:25)*(?=..)", "", code)).decode(errors="replace")
    if code[0] == "&":
        return html.unescape("&" + re.sub("^&(?:amp;)+(?=.)", "", code).lstrip("&"))
    if code[0] == "\\":
        return _escaped(code)
    if code == "\r":
        return code
    return "." if code in "\u3002\uff61" else ""


def _escaped(code: str) -> str:
    """What stands behind backslashes in JSON, Python and the like."""
    bare = code.lstrip("\\")
    if bare in BLANKS:
        return BLANKS[bare]
    if bare[:1] not in ("u", "U", "x") or len(bare) < 3:
        return bare or "\\"
    units = re.findall(f"{_HEX}+", re.sub(r"\\+u", "u", bare))
    if len(units) == 2:
        high, low = (int(unit, 16) for unit in units)
        return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)
    number = int(units[0], 16)
    return chr(number) if number <= sys.maxunicode and not 0xD800 <= number < 0xE000 else "\ufffd"


@cache
def posed() -> dict[int, str]:
    """What poses as a plain character, by its number; made once, in some milliseconds."""
    table = {}
    for first, over in BLOCKS:
        for code in range(first, over):
            digit = unicodedata.digit(chr(code), None)
            meant = unicodedata.normalize("NFKC", chr(code)) if digit is None else str(digit)
            if meant.isascii() and len(meant) == 1:
                table[code] = meant
    table.update({ord(c): meant for c, meant in POSED.items()})
    return table
