"""Composite prompts without labels: rules between asks, tags, JSON, connectives, paragraphs.

Knows where one ask may end and the next begin; whether they are asks is weighed in `evidence`.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice, pairwise
from typing import Final

from emafusion.understand.splitting.layout import (
    CROWDED,
    MOST,
    Boundary,
    Layout,
    Piece,
    cut,
)
from emafusion.understand.splitting.reading import (
    announced,
    has_options,
    is_ask,
    is_talk,
    names_list,
    words,
)
from emafusion.understand.splitting.terms import names_all
from emafusion.understand.splitting.words import (
    ABOUT,
    ASK_NOUNS,
    DATA_VERBS,
    LASTLY,
    NUMBERS,
    ONWARD,
    OPENERS,
    spelt,
)

_RULE = re.compile(
    r"^[ \t]*(?P<line>[-*=_~#+.%/\\|<>^@&•·—–⸻]{2,}(?:[ \t]+[-*=_~#+.%/|<>•·—–]+)*|\* ?\* ?\*"
    r"|<hr ?/?>|\[(?:sep|next)\]|<(?:sep|next)>)[ \t]*$"
    r"|(?<=\s)(?P<inline>\|\|+|//+|;;+|\*{3,}|-{3,}|={3,}|~{2,}|>>+|&&|<sep>|\[sep\]|§+|\|)(?=\s)",
    re.IGNORECASE | re.MULTILINE,
)
_OPEN = re.compile(r"([<\[{])([A-Za-z][\w -]{0,24}?)(?:[ ][^<>\[\]{}\n]{0,60})?([>\]}])")
_FIRST_WORDS: Final = "|".join(
    sorted(
        {w.capitalize() for w in ONWARD | LASTLY | OPENERS | frozenset(NUMBERS)}
        | {"And", "My", "The", "One", "Now", "Oh", "P+\\.?S", "On", "To", "In", "As", "For", "Here",
           "Once", "That", "Okay", "Ok", "When", "Let", "Could", "I", "Number", "Question", "Task",
           "Alright", "Right", "Good", "Great", "Thanks", "While", "A", "Y", "Et", "Und", "Zum",
           "Pour", "En", "Por", "E", "Per", "NEXT", "ALSO", "THEN", "FINALLY", "AND"},
        key=len, reverse=True,
    )
)  # fmt: skip
_PHRASE = re.compile(
    rf"(?:^|(?<=\s))[*_(\[]{{0,2}}(?P<phrase>(?:{_FIRST_WORDS})\b\.?"
    rf"(?:,?[ \t](?!(?:{_FIRST_WORDS}),)"
    r"[\w'’]{1,15}(?:-\w+)*){0,9}?)[*_)\]]{0,2}"
    r"(?P<end>[ \t]*(?::|—|–|\.{3}|…|,|-{1,2}(?=\s)|;|[.!](?=\s)|(?=[ \t]*\n))[*_]{0,2})",
    re.MULTILINE,
)
_BARE = re.compile(
    r"(?:^|(?<=[.?!)] ))(?P<phrase>First|Second|Third|Then|Also|Next|Finally|Lastly)(?P<end>)"
    r"(?=[ \t]+[A-Z])",
    re.MULTILINE,
)
_BEFORE_COMMA: Final = spelt("addition note question begin start all done")
_BEFORE_STOP: Final = spelt("next one up more")
_LEADS: Final = spelt("one thing addition note that up for")
_NO_ORDINAL: Final = spelt("one un both")
_QUESTION_KEYS: Final = ("question", "prompt", "text", "query", "ask", "task", "content", "q",
                         "problem", "input", "request")  # fmt: skip
_OPTION_LINE = re.compile(r"\s*[(\[]?[A-J][).:\]]\s")
_TABLE = re.compile(
    r"^(?P<head>\|[^\n]{1,300}\|)[ \t]*\n\|[ \t:|-]+\|[ \t]*(?P<rows>(?:\n\|[^\n]+\|[ \t]*){2,9})$",
    re.MULTILINE,
)
_MOST_BLOCKS: Final = 200
_REMEMBERED: Final = 16
"""Beginnings kept: several ways of reading one prompt ask for its own."""
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*")


def ruled(text: str, mask: str) -> Iterator[Layout]:
    """The layouts that one kind of rule or separator gives, on lines of its own or within one."""
    groups: dict[str, list[Boundary]] = defaultdict(list)
    for found in islice(_RULE.finditer(mask), CROWDED):
        mark = found["line"] or found["inline"]
        if found["line"] and ({"|", "-"} <= set(mark) or set(mark) == {"."}):
            continue  # the line below a table's head; something left out of a passage
        name = f"{bool(found['line'])}{''.join(sorted(set(mark)))}"
        groups[name].append(Boundary(start=found.start(), end=found.end()))
    for marks in groups.values():
        if len(marks) <= MOST + 1:
            stops = [*(mark.start for mark in marks), len(text)]
            starts = [0, *(mark.end for mark in marks)]
            pieces = [text[a:b] for a, b in zip(starts, stops, strict=True)]
            pieces = [piece for piece in pieces if piece.strip()]
            before, after = "", ""
            if len(pieces) > 2 and is_talk(pieces[0]):
                before, *pieces = pieces
            if len(pieces) > 2 and is_talk(pieces[-1]):
                *pieces, after = pieces
            said, start = preamble(pieces[0]) if pieces else ("", 0)
            if not before and (names_list(said) or said.rstrip().endswith(":")):
                before, pieces[0] = said, pieces[0][start:]
            lone = name == "False|" and not names_list(before)  # a bar stands in many texts
            if len(pieces) >= 2 and not lone:
                found_pieces = tuple(Piece(text=piece) for piece in pieces)
                yield Layout(kind="rule", before=before, pieces=found_pieces, after=after)


def tagged(text: str) -> Iterator[Layout]:
    """The layout of repeated tags (<q1>…</q1><q2>…</q2>, [Q]…[/Q])."""
    groups: dict[str, list[tuple[int, int, Piece]]] = defaultdict(list)
    missing = at = 0
    for found in islice(_OPEN.finditer(text), CROWDED):
        if found.start() < at or missing > 32:
            continue
        name = found[2].strip()
        closer = f"{found[1]}/{name}{found[3]}"
        end = text.find(closer, found.end())
        if end < 0:
            missing += 1
            continue
        stem = re.sub(r"[\d_ -]+$|(?<=_)[a-z]$", "", name.lower())
        if stem in {"questions", "tasks", "prompts", "items", "list", "problems", "requests"}:
            continue
        at = end + len(closer)
        piece = Piece(text=text[found.end() : end], label=name)
        groups[stem].append((found.start(), at, piece))
    for stem, tags in groups.items():
        if 2 <= len(tags) <= MOST and stem not in {"python", "code", "example", "option"}:
            between = [text[a[1] : b[0]].strip(" \n\t,;") for a, b in pairwise(tags)]
            if not any(between):
                before, after = (
                    _untagged(each) for each in (text[: tags[0][0]], text[tags[-1][1] :])
                )
                yield Layout(
                    kind="tag", before=before, pieces=tuple(t[2] for t in tags), after=after
                )


def _untagged(text: str) -> str:
    return re.sub(r"</?[A-Za-z]{1,20}>|\[/?[A-Za-z]{1,20}\]", " ", text)


def tabled(text: str) -> Iterator[Layout]:
    """The layout of a table one of whose columns holds the asks, by its own name."""
    for found in islice(_TABLE.finditer(text), 3):
        heads = _cells(found["head"])
        rows = found["rows"].strip("\n").split("\n")
        at = next((i for i, head in enumerate(heads) if head.lower() in ASK_NOUNS), None)
        cells = [_cells(row, most=len(heads)) for row in rows]
        if at is not None and 2 <= len(rows) <= MOST and all(len(c) == len(heads) for c in cells):
            firsts = [cell[0] if at else "" for cell in cells]
            pieces = tuple(
                Piece(text=cell[at], label=f"{first}." if first.isdigit() else first)
                for cell, first in zip(cells, firsts, strict=True)
            )
            before, after = text[: found.start()], text[found.end() :]
            yield Layout(kind="tag", before=before, pieces=pieces, after=after)


def _cells(row: str, *, most: int = 0) -> list[str]:
    """The cells of a table's row; those beyond `most` are the last one's text."""
    row = row.strip().removeprefix("|").removesuffix("|")
    return [cell.strip() for cell in row.split("|", most - 1)]


def listed(text: str) -> Iterator[Layout]:
    """The layout of a JSON array or object whose values are the asks."""
    starts = [at for at in (text.find("["), text.find("{")) if at >= 0]
    for start in sorted(starts)[:2]:
        try:
            value, end = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        pieces = _strings(value)
        if 2 <= len(pieces) <= MOST:
            before = text[:start].rstrip().removesuffix("```json").removesuffix("```")
            after = text[end:].lstrip().removeprefix("```")
            yield Layout(kind="json", before=before, pieces=tuple(pieces), after=after)
            return


def _strings(value: object, *, depth: int = 0) -> list[Piece]:
    if isinstance(value, dict):
        if len(value) == 1 and depth == 0:
            return _strings(next(iter(value.values())), depth=1)
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        items = [("", item) for item in value]
    else:
        return []
    pieces = []
    for key, item in items:
        if isinstance(item, dict):
            named = (item[k] for k in _QUESTION_KEYS if isinstance(item.get(k), str))
            item = next(named, None)  # noqa: PLW2901 - the ask within the object takes its place
        if not isinstance(item, str):
            return []
        pieces.append(Piece(text=item, label=key))
    return pieces


def connected(text: str, mask: str) -> Iterator[Layout]:
    """The layout that connectives give ("First, … Also, … Finally, …")."""
    marks: list[Boundary] = []
    bare = set()
    phrases = [*islice(_PHRASE.finditer(mask), 2 * CROWDED), *islice(_BARE.finditer(mask), CROWDED)]
    for found in sorted(phrases, key=re.Match.start):
        order = _order(found, mask)
        if order is not None:
            marks.append(Boundary(start=found.start(), end=found.end(), order=order))
            if found.re is _BARE:
                bare.add(found.start())
    marks = _glued(marks, text)
    if not marks:
        return
    opener = next((i for i, mark in enumerate(marks) if mark.order == 1), None)
    if opener is not None and is_talk(text[: marks[opener].start]):
        chain = marks[opener:]
        before = text[: chain[0].start]
    else:
        before, start = preamble(text)
        marks = [m for m in marks if m.start > start and m.order != 1 and m.start not in bare]
        chain = [Boundary(start=start, end=start, order=1), *marks]
    if announced(before) != len(chain):
        chain = _complete(chain, text)
    if 2 <= len(chain) <= MOST:
        layout = cut(text, chain, "onward")
        bounds = (text[mark.start : mark.end] for mark in chain if mark.end > mark.start)
        named = all(ASK_NOUNS.intersection(words(bound)) for bound in bounds)
        yield Layout(kind="onward", before=before, pieces=layout.pieces, named=named)


def _order(found: re.Match[str], mask: str) -> int | None:
    """The place a phrase claims, or ``None`` where it does not lead on to an ask."""
    said = words(found["phrase"].replace(",", " "))
    if not said or DATA_VERBS.intersection(said) or not ABOUT.issuperset(said):
        return None
    line_start = not mask[mask.rfind("\n", 0, found.start()) + 1 : found.start()].strip()
    end = found["end"].strip()
    if not end and found.re is not _BARE and not (line_start and ONWARD.intersection(said)):
        return None
    known = frozenset(said)
    if end in {",", ";"} and len(said) > 2 and not known & _BEFORE_COMMA:
        return None
    if end.startswith((".", "!")) and not known & (ASK_NOUNS | _BEFORE_STOP):
        return None
    return _place(said, known, colon=end == ":")


def _place(said: list[str], known: frozenset[str], *, colon: bool) -> int | None:
    short = len(said) <= 2
    numbers = [NUMBERS[word] for word in said if word in NUMBERS and word not in _NO_ORDINAL]
    leads = bool(known & ONWARD) and (short or bool(known & (ASK_NOUNS | _LEADS)))
    if known & LASTLY:
        return -1
    if known & OPENERS and "after" not in known:
        return 1
    if numbers and (short or known & (ASK_NOUNS | {"the"})):
        return numbers[0]
    if leads:
        return 0
    first = colon and "one" in known and known & (ASK_NOUNS | {"here"}) and len(said) < 4
    return 1 if first else None


def _glued(marks: list[Boundary], text: str) -> list[Boundary]:
    """`marks`, those with nothing between them taken together ("Also, one more: …")."""
    glued: list[Boundary] = []
    for mark in marks:
        if glued and not text[glued[-1].end : mark.start].strip():
            order = glued[-1].order or mark.order
            mark = Boundary(start=glued.pop().start, end=mark.end, order=order)  # noqa: PLW2901
        glued.append(mark)
    return glued


@lru_cache(maxsize=_REMEMBERED)
def preamble(text: str) -> tuple[str, int]:
    """What of the start of `text` only talks about the list, and where the rest begins."""
    at = 0
    for found in islice(re.finditer(r"[.!:](?=\s)|\n", text[:600]), 8):
        sentence = text[at : found.end()]
        if not is_talk(sentence) and not names_all(sentence):
            break
        at = found.end()
    return text[:at], at


def _complete(chain: list[Boundary], text: str) -> list[Boundary]:
    """`chain` without the boundaries that leave something on either side that asks nothing."""
    kept = chain[:1]
    for place, mark in enumerate(chain[1:], 1):
        stop = chain[place + 1].start if place + 1 < len(chain) else len(text)
        if mark.order > 1 and mark.order != len(kept) + 1:
            continue
        if is_ask(text[kept[-1].end : mark.start]) and is_ask(text[mark.end : stop]):
            kept.append(mark)
    return kept


def paragraphed(text: str, mask: str) -> Iterator[Layout]:
    """The layouts of paragraphs or lines, where the prompt says that they are several asks."""
    before, start = preamble(text)
    body = text[start:]
    blocks = _blocks(body, mask[start:], _PARAGRAPH)
    after = ""
    if any(_RULE.fullmatch(block.strip()) for block in blocks):
        return
    if len(blocks) > 1 and is_talk(blocks[-1]):
        *blocks, after = blocks
    count = announced(before) or announced(after)
    if count is None and not names_list(f"{before} {after}"):
        return
    for found in (blocks, _blocks(body, mask[start:], re.compile("\n"))):
        grouped = _grouped([block for block in found if block.strip() != after.strip()])
        if 2 <= len(grouped) <= MOST and (count is None or count == len(grouped)):
            pieces = tuple(Piece(text=block) for block in grouped)
            yield Layout(kind="paragraph", before=before, pieces=pieces, after=after)


def _blocks(text: str, mask: str, gap: re.Pattern[str]) -> list[str]:
    blocks = []
    at = 0
    for found in islice(gap.finditer(mask), CROWDED):
        blocks.append(text[at : found.end()])
        at = found.end()
    return [block for block in [*blocks, text[at:]] if block.strip()]


def _grouped(blocks: list[str]) -> list[str]:
    """`blocks` taken together until each group asks; what follows an ask without asking is its."""
    groups: list[str] = []
    if len(blocks) > _MOST_BLOCKS:
        return groups
    for block in blocks:
        option = _OPTION_LINE.match(block) is not None
        whole = bool(groups) and is_ask(groups[-1])
        chosen = bool(groups) and has_options(groups[-1]) and not option
        fenced = block.lstrip().startswith(("[", "```", "\\"))
        if not groups or chosen or (whole and not option and not fenced and is_ask(block)):
            groups.append(block)
        else:
            groups[-1] += block
    return groups
