"""Lists of asks whose items are numbered, lettered, named or bulleted.

Knows how items are labelled and that labels come in sequence; whether what stands under them are
asks is weighed in `evidence`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from emafusion.understand.splitting.layout import CROWDED, MOST, Boundary, Kind, Layout, cut
from emafusion.understand.splitting.plain import stands
from emafusion.understand.splitting.words import ASK_NOUNS, NUMBERS

_NOUNS: Final = "|".join(sorted(ASK_NOUNS, key=len, reverse=True))
_SPELT: Final = "|".join(sorted(NUMBERS, key=len, reverse=True))
_NUMERAL: Final = rf"\d{{1,2}}|[ivx]{{1,4}}|[A-Ha-h]|{_SPELT}|[①-⑧]|[❶-❽]|[⓵-⓼]"
_OF: Final = r"(?:[ \t]*(?:/|of|out[ ]of|de|von)[ \t]*(?:\d{1,2}|[a-z]{3,5}\b))?"
_NOTE: Final = r"(?:[ \t]*[(\[][^()\[\]\n]{1,30}[)\]])?"
_CLOSE: Final = r"[ \t]*[.):\]}>|*_=~#–—、．：/-]{1,10}"

_LABEL = re.compile(
    r"(?:^|(?<=\s))(?=[^\w\n]{0,14}+[\w①-⑧❶-❽⓵-⓼])"
    rf"(?P<open>[#*_=~<\[({{\"'>|§•-]{{0,10}}[ \t]?[*_\[(]{{0,3}})"
    rf"(?P<word>(?:[^\W\d_]{{1,14}}[ \t-]{{1,2}}){{0,2}}?(?:(?:{_NOUNS}|n[o°º]\.?|nr\.?|number)"
    rf"(?:[ \t_-]|[ \t]?[#№]|(?=\d)))|)"
    rf"(?P<mark>[ \t]?[#№]?[ \t]?)(?P<num>{_NUMERAL})(?P<cap>\ufe0f?\u20e3)?"
    rf"(?P<close>{_OF}{_NOTE}{_CLOSE}(?=\s|\Z|[^\W\d_])|[ \t]*$|(?=[ \t]))",
    re.IGNORECASE | re.MULTILINE,
)
_NAMED = re.compile(
    rf"^[ \t]*(?P<open>[#*_=<\[(>•-]{{0,8}}[ \t]?[*_]{{0,2}})"
    r"(?P<word>(?:[^\W\d_]{1,14}[ \t]){0,3}?"
    rf"(?:{_NOUNS}|asks?|asked|wonders|wants to know))"
    rf"(?P<close>[ \t]*[:>\])*_=–—-]{{1,8}}[ \t]*|[ \t]*$)",
    re.IGNORECASE | re.MULTILINE,
)
_BULLET = re.compile(
    r"^(?P<indent>[ \t]*)(?P<glyph>(?![#|>])[^\w\s\"'“(\[{$\\`<\x00.,?!]{1,3})[ \t]+"
    r"(?:\[ ?\][ \t]+)?(?=\S)",
    re.M,
)
_HEADING = re.compile(r"^(?P<level>#{1,4})[ \t]+[^\s#].{0,60}$", re.MULTILINE)
_SECTION = re.compile(
    r"\b(?:task|role|goals?|objectives?|context|background|input|output|rules?|requirements?|format"
    r"|instructions?|constraints?|examples?|notes?|steps?|introduction|methods?|results?|summary"
    r"|conclusions?|discussion|abstract|overview|setup|usage|installation|style|tone|guidelines?"
    r"|scenario|data|passage|text|questions?|code|error|expected|actual|problem|description)\b",
    re.IGNORECASE,
)
_ROMAN: Final = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8}


def _of_order(order: int) -> tuple[re.Pattern[str], ...]:
    """What a label of this order holds, in small ASCII letters: a figure, a word, a letter."""
    spelt = "|".join(word for word, number in NUMBERS.items() if number == order)
    roman = next(numeral for numeral, number in _ROMAN.items() if number == order)
    alone = r"(?<![a-z0-9])(?:{})(?:(?![a-z0-9])|(?=of|out|de|von))"
    words = (spelt, roman, chr(ord("a") + order - 1))
    return (
        re.compile(rf"(?<!\d)0?{order}(?!\d)"),
        *(re.compile(alone.format(word)) for word in words),
    )


_OPTION_RUN: Final = 2
_BEGUN: Final = tuple(zip(_of_order(2), _of_order(1), strict=True))
"""A list is labelled in one way: no text is a labelled list that lacks both of each pair."""


def labelled(text: str, mask: str) -> Iterator[Layout]:
    """The layouts that numbered or lettered labels give `text`, likeliest first."""
    if mask.isascii() and not _may_be_labelled(mask.lower()):
        return
    found = list(islice(_LABEL.finditer(mask), CROWDED))
    if len(found) == CROWDED:
        return
    groups: dict[tuple[str, ...], list[tuple[Boundary, bool]]] = defaultdict(list)
    for each in found:
        at_line = not mask[mask.rfind("\n", 0, each.start()) + 1 : each.start()].strip()
        for kind, order in _orders(each["num"].lower()):
            word = _own_word(each["word"], at_line=at_line)
            signature = _signature(each, kind, word)
            if signature:
                start = each.start() if at_line or not word else each.end("word") - len(word)
                groups[signature].append((_boundary(each, order, start=start), at_line))
    chains = []
    for signature, found_marks in groups.items():
        letters = signature[0] == "letter"
        marks = _without_options(found_marks, text) if letters else found_marks
        kind = _kind(signature)
        lines = [mark for mark, at_line in marks if at_line]
        blank = [mark for mark in lines if mask[: mark.start].rstrip(" \t").endswith("\n\n")]
        for chosen in (lines, [mark for mark, _ in marks], lines[:1] + blank):
            chain = _sequence(chosen)
            if len(chain) >= 2:
                chains.append((kind != "worded", chain[0].start, -len(chain), kind, chain))
    for *_, kind, chain in sorted(chains, key=lambda each: each[:3]):
        yield cut(text, chain, kind)


def _may_be_labelled(small: str) -> bool:
    """Whether an ASCII text in small letters may hold a first and a second label of one kind."""
    return any(second.search(small) and first.search(small) for second, first in _BEGUN)


def _own_word(word: str, *, at_line: bool) -> str:
    """The words of a label; within a line those before the last are the end of what precedes."""
    if at_line or not word.strip():
        return word
    return word[len(word.rstrip()) - len(word.rsplit(maxsplit=1)[-1].rstrip()) :]


def _boundary(found: re.Match[str], order: int, *, start: int | None = None) -> Boundary:
    at = found.start() if start is None else start
    label = " ".join(found.string[at : found.end()].split())
    return Boundary(start=at, end=found.end(), order=order, label=label)


def _orders(numeral: str) -> Iterator[tuple[str, int]]:
    if numeral.isdigit() and numeral.isascii():
        yield "digit", int(numeral)
    elif numeral in NUMBERS:
        yield "spelt", NUMBERS[numeral]
    elif len(numeral) == 1 and not numeral.isascii():
        order = unicodedata.digit(numeral, None)
        if order is not None:
            yield "digit", order
    else:
        if numeral in _ROMAN:
            yield "roman", _ROMAN[numeral]
        if len(numeral) == 1 and "a" <= numeral <= "h":
            yield "letter", ord(numeral) - ord("a") + 1


def _signature(found: re.Match[str], kind: str, said: str) -> tuple[str, ...] | None:
    word = " ".join(said.lower().split())
    mark = found["mark"].strip() or "#" * found["open"].endswith("#")
    close = "".join(found["close"].split())
    close = re.sub(r"[(\[].*[)\]]|/\d+|(?:of|outof|de|von)\w+", "", close) or close[-1:]
    opened = found["open"].strip().removesuffix("#" * (mark == "#"))
    bare = not word and not mark and not found["cap"]
    if bare and ((kind == "spelt" and opened != "(") or not (close or set(opened) & set("#*[(<"))):
        return None
    if bare and not close and not (opened and found.group().endswith("\n")):
        return None
    case = "upper" if found["num"].isupper() else ""
    return (kind, case if kind in {"letter", "roman"} else "", word, mark, opened, close)


def _kind(signature: tuple[str, ...]) -> Kind:
    if signature[2] or signature[3]:
        return "worded"
    return "lettered" if signature[0] in {"letter", "roman"} else "numbered"


def _without_options(marks: list[tuple[Boundary, bool]], text: str) -> list[tuple[Boundary, bool]]:
    """`marks` less runs A, B, C … of whose lines few ask anything: options of a choice."""
    runs: list[list[tuple[Boundary, bool]]] = []
    for mark in marks:
        previous = runs[-1][-1][0] if runs else None
        near = previous is not None and text.count("\n", previous.end, mark[0].start) <= 1
        if near and previous is not None and mark[0].order == previous.order + 1:
            runs[-1].append(mark)
        else:
            runs.append([mark])
    return [mark for run in runs if len(run) <= _OPTION_RUN or _asking(run, text) for mark in run]


def _asking(run: Sequence[tuple[Boundary, bool]], text: str) -> bool:
    stops = [*(mark.start for mark, _ in run[1:]), len(text)]
    items = [text[mark.end : stop] for (mark, _), stop in zip(run, stops, strict=True)]
    lines = [text[mark.end : mark.end + 300].split("\n", 1)[0] for mark, _ in run]
    asked = sum("?" in line or len(line) > 150 for line in lines)
    return 2 * asked > len(lines) or all(map(stands, items))


def _sequence(marks: Sequence[Boundary]) -> list[Boundary]:
    chain: list[Boundary] = []
    for mark in marks:
        if mark.order == len(chain) + 1 and (not chain or mark.start >= chain[-1].end):
            chain.append(mark)
    return chain if len(chain) <= MOST else []


def named(text: str, mask: str) -> Iterator[Layout]:
    """The layouts that one repeated name gives ("Question: … Question: …")."""
    groups: dict[tuple[str, str], list[Boundary]] = defaultdict(list)
    for found in islice(_NAMED.finditer(mask), CROWDED):
        if found["close"].strip() or found["open"].strip():
            asker = re.search(r"asks?$|asked$|wonders$|know$", found["word"], re.IGNORECASE)
            name = "asks" if asker else found["word"].lower()
            groups[name, found["open"].strip()].append(_boundary(found, 0))
    for marks in groups.values():
        if 2 <= len(marks) <= MOST:
            yield cut(text, marks, "worded")


def headed(text: str, mask: str) -> Iterator[Layout]:
    """The layouts of sections under headings of one level, whatever the headings say.

    Headings that name a part of one prompt ("Context", "Output format") give none.
    """
    groups: dict[str, list[Boundary]] = defaultdict(list)
    for found in islice(_HEADING.finditer(mask), CROWDED):
        groups[found["level"]].append(_boundary(found, 0))
    for marks in groups.values():
        if 2 <= len(marks) <= MOST and not any(_SECTION.search(mark.label) for mark in marks):
            yield cut(text, marks, "heading")


def bulleted(text: str, mask: str) -> Iterator[Layout]:
    """The layouts that bullets of one glyph and indent give."""
    groups: dict[tuple[str, str], list[Boundary]] = defaultdict(list)
    for found in islice(_BULLET.finditer(mask), CROWDED):
        groups[found["indent"], found["glyph"]].append(_boundary(found, 0))
    for marks in groups.values():
        if 2 <= len(marks) <= MOST:
            yield cut(text, marks, "bullet")
