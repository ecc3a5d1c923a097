"""Values that the head of their column tells apart: in CSV, Markdown, HTML and SQL.

Knows how rows and columns are written, and which words head a column. Forms that stand for
themselves are found without.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter

from emafusion.protect.entities import Entity
from emafusion.protect.recognisers import cued, passwords
from emafusion.protect.recognisers.cues import Cues
from emafusion.protect.recognisers.reading import Reading

Cell = tuple[int, int]
"""Where a cell stands."""
_LINE = re.compile(r"[^\n]+")
_CELLS = {
    mark: re.compile(
        rf'"(?:[^"\n]|""){{0,500}}"|[^{re.escape(mark)}\n]+|(?<={re.escape(mark)})(?={re.escape(mark)})'
    )
    for mark in ",;\t|"
}
_ROW_HTML = re.compile(r"<tr[^>]{0,200}>(.{0,4000}?)</tr>", re.DOTALL | re.IGNORECASE)
_CELL_HTML = re.compile(r"<t[hd][^>]{0,200}>([^<]{0,500})<", re.IGNORECASE)
_INSERT = re.compile(
    r"insert into [\w.\"`\[\]]{1,80} ?\((?P<heads>[^()]{1,1000})\)\s{0,4}values\s{0,4}",
    re.IGNORECASE,
)
_TUPLE = re.compile(r"\(((?:'[^'\n]{0,500}'|[^()'\n]){1,2000})\)[,\s]{0,4}")
_FIELD = re.compile(r"\s{0,8}(?:'[^'\n]{0,500}'|[^,']{1,500})")
HEAD_LONGEST = 40
_NUMBER = re.compile(r"\+?\(?[0-9A-Za-z][0-9A-Za-z ./()\-]{4,24}")


def _secret(said: str) -> bool:
    """Whether a cell can be a password: one word, and none of a language."""
    return " " not in said and len(said) >= passwords.LEAST and passwords.secret(said)


COLUMNS: tuple[tuple[str, Cues, Callable[[str], bool]], ...] = (
    ("KEY", passwords.SURE, _secret),
    ("KEY", passwords.LIKELY, passwords.random),
    ("BIRTH", cued.BIRTH, lambda said: cued.IS_DATE.fullmatch(said.lower()) is not None),
    *(
        (kind, cues, lambda said, kind=kind, least=least: bool(
            _NUMBER.fullmatch(said) and cued.numbered(kind, said, least)))
        for kind, cues, _, least, _ in cued.NUMBERS
        if cues is not cued.CALL
    ),
)  # fmt: skip
"""Kinds that a head can name, and what their values are like."""


Fits = Callable[[str], bool]
Named = Sequence[tuple[int, str, Fits]]
"""Where words for a kind end, in order, with the kind and what its values are like."""
Known = list[tuple[str, Fits]]


def tabled(reading: Reading) -> Iterator[Entity]:
    """Values in columns whose head says what they are."""
    text, folded = reading.text, reading.folded
    if "\n" not in text and "<td" not in folded and "insert into" not in folded:
        return
    named = [(end, kind, fits) for kind, cues, fits in COLUMNS for end in cues.ends(reading)]
    named.sort(key=itemgetter(0))
    if not named:
        return
    yield from _under(text, _lines(text, named[0][0]), named)
    if "<td" in folded:
        rows = ([_inner(text, c.span(1)) for c in _CELL_HTML.finditer(text, *row.span())]
                for row in _ROW_HTML.finditer(text))  # fmt: skip
        yield from _under(text, rows, named)
    if "insert into" in folded:
        for insert in _INSERT.finditer(text):
            yield from _under(text, _tuples(text, insert), named)


def _under(text: str, rows: Iterator[list[Cell]], named: Named) -> Iterator[Entity]:
    """What stands under heads, which are a row of words that names a kind."""
    kinds: dict[int, Known] = {}
    for cells in rows:
        heads = _heads(text, cells, named)
        if heads or not cells:
            kinds = heads
            continue
        for place, known in kinds.items():
            start, end = cells[place] if place < len(cells) else (0, 0)
            said = text[start:end]
            kind = next((kind for kind, fits in known if said and fits(said)), None)
            if kind is not None:
                yield Entity(kind=kind, start=start, end=end, score=0.55)


def _heads(text: str, cells: Sequence[Cell], named: Named) -> dict[int, Known]:
    """Which columns are of which kinds; none where the row is none of heads."""
    found: dict[int, Known] = {}
    for place, (start, end) in enumerate(cells):
        if end - start > HEAD_LONGEST or any(c.isdigit() for c in text[start:end]):
            return {}
        first = bisect_left(named, start, key=itemgetter(0))
        over = bisect_right(named, end, key=itemgetter(0))
        known = [(kind, fits) for _, kind, fits in named[first:over]]
        if known:
            found[place] = known
    return found


def _lines(text: str, first: int) -> Iterator[list[Cell]]:
    """The cells of each line from the one on where `first` is; none of one that ends a table."""
    mark = ""
    for line in _LINE.finditer(text, text.rfind("\n", 0, first) + 1):
        said = line.group()
        if not mark or mark not in said:
            mark = next((m for m in "|\t;," if m in said), "")
        if set(said) <= set("|-: "):
            continue
        if mark:
            yield [_inner(text, c.span()) for c in _CELLS[mark].finditer(text, *line.span())]
        else:
            # A column alone; a line of many words is a sentence.
            yield [_inner(text, line.span())] if len(said) <= HEAD_LONGEST else []


def _tuples(text: str, insert: re.Match[str]) -> Iterator[list[Cell]]:
    """The names of the columns, then each row of an SQL statement."""
    yield [_inner(text, c.span()) for c in _FIELD.finditer(text, *insert.span("heads"))]
    row = _TUPLE.match(text, insert.end())
    while row is not None:
        yield [_inner(text, c.span()) for c in _FIELD.finditer(text, *row.span(1))]
        row = _TUPLE.match(text, row.end())


def _inner(text: str, cell: Cell) -> Cell:
    """A cell without its blanks and quotes."""
    start, end = cell
    while start < end and text[start] in " \"'`*_\r":
        start += 1
    while end > start and text[end - 1] in " \"'`*_\r":
        end -= 1
    return start, end
