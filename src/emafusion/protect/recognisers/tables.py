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
from emafusion.protect.recognisers import cued, passwords, places
from emafusion.protect.recognisers.cues import Cues
from emafusion.protect.recognisers.reading import APART, Reading

Cell = tuple[int, int]
"""Where a cell stands."""
_LINE = re.compile(r"[^\n]*\n?")
_BLANKS = "  "
"""Parts columns that are set apart by blanks alone."""
_CELLS = {
    mark: re.compile(
        rf'"(?:[^"\n]|""){{0,500}}"|[^{mark}\n]+|(?<=[{mark}])(?=[{mark}])'
        + ("" if mark == "|" else rf"|^(?=[{mark}])|(?<=[{mark}])(?=\r?\n|\Z)"),
        re.MULTILINE,
    )
    for mark in ",;\t|"
} | {_BLANKS: re.compile(r"[^ \n]+(?: [^ \n]+)*")}
_RULE = frozenset("|-:+= \r")
"""Of what lines between the rows of a table are made."""
_ENDED = re.compile(r"[,;({\[]\s*\Z")
"""How a line of a program or of JSON ends, and no row."""
_CODE = re.compile(r"\A-|=|[{}\[\]]|\w\(|\A[^(]*\)|\([^)]*\Z")
"""What stands in code, and not at the head of a column."""
_QUOTE = re.compile(r"[\"']")
_SHUT = re.compile(r"(?<=[^\"'{\[(])[\"'][}\])]{1,8},?\Z")
"""What ends a text within JSON or code; the last of its lines has it."""
_NUMERIC = re.compile(r"\W*\d[\d\W]*\Z|\D*(?:\d\D*){3}")
"""A cell that is a number or has one in it, unlike heads, which are at most numbered."""
_ENDS = re.compile(f"</table|{APART}")
_CELL_HTML = re.compile(r"<t[hd][^<>]{0,200}>([^<]{0,500})<", re.IGNORECASE)
ROW_LONGEST = 4000
_INSERT = re.compile(
    r"insert into [\w.\"`\[\]]{1,80} ?\((?P<heads>[^()\x00]{1,1000})\)\s{0,4}values\s{0,4}",
    re.IGNORECASE,
)
_TUPLE = re.compile(r"\(((?:'[^'\n]{0,500}'|[^()'\n]){1,2000})\)[,\s]{0,4}")
_FIELD = re.compile(r"\s{0,8}(?:'[^'\n]{0,500}'|[^,']{1,500})")
HEAD_LONGEST = 40
_AROUND = frozenset(" \t\r\n\"'`*_|")
"""What stands around a cell and is not of it."""
_NUMBER = re.compile(r"\+?\(?[0-9A-Za-z][0-9A-Za-z ./()\-]{4,24}")


def _secret(said: str) -> bool:
    """Whether a cell can be a password: one word, and none of a language."""
    return " " not in said and len(said) >= passwords.LEAST and passwords.secret(said)


Columns = tuple[tuple[str, Cues, Callable[[str], bool]], ...]
COLUMNS: Columns = (
    ("KEY", passwords.SURE, _secret),
    ("KEY", passwords.LIKELY, passwords.random),
    ("ADDRESS", places.CUES, places.is_address),
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


def tabled(reading: Reading, columns: Columns = COLUMNS) -> Iterator[Entity]:
    """Values in columns whose head says what they are."""
    text, folded = reading.text, reading.folded
    if "\n" not in text and "<td" not in folded and "insert into" not in folded:
        return
    named = [(end, kind, fits) for kind, cues, fits in columns for end in cues.ends(reading)]
    named.sort(key=itemgetter(0))
    if not named:
        return
    yield from _under(text, _lines(text, named[0][0]), named, alone=True)
    if "<td" in folded:
        yield from _under(text, _marked_up(text, folded), named)
    if "insert into" in folded:
        for insert in _INSERT.finditer(text):
            yield from _under(text, _tuples(text, insert), named)


def _under(
    text: str, rows: Iterator[list[Cell]], named: Named, *, alone: bool = False
) -> Iterator[Entity]:
    """What stands under heads, which are a row of words that names a kind.

    A column `alone`, which no mark sets apart from other lines, ends where a line is no value.
    """
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
            elif alone and len(cells) == 1:
                kinds = {}
                break


def _heads(text: str, cells: Sequence[Cell], named: Named) -> dict[int, Known]:
    """Which columns are of which kinds; none where the row is none of heads."""
    found: dict[int, Known] = {}
    # Names are listed with a comma behind the last, too, in programs.
    if cells and cells[-1][0] == cells[-1][1]:
        return found
    for place, (start, end) in enumerate(cells):
        said = text[start:end]
        if len(said) > HEAD_LONGEST or _coded(said) or (said and _NUMERIC.match(said)):
            return {}
        first = bisect_left(named, start, key=itemgetter(0))
        over = bisect_right(named, end, key=itemgetter(0))
        known = [(kind, fits) for _, kind, fits in named[first:over]]
        if known:
            found[place] = known
    return found


def _lines(text: str, first: int) -> Iterator[list[Cell]]:
    """The cells of each line from the one on where `first` is; none where a table ends."""
    mark = ""
    for line in _LINE.finditer(text, text.rfind("\n", 0, first) + 1):
        bare = line.group().strip(" \t\r\n")
        if bare in ("", APART):
            mark = ""
            yield []
            continue
        if _RULE.issuperset(bare):
            continue
        kept = mark if mark and mark in bare else _mark(bare)
        if kept != mark:
            yield []
        mark = kept
        yield _cells(text, line.span(), bare=bare, mark=mark)


def _mark(bare: str) -> str:
    """What parts the columns of a line, if anything does: a comma at its end does not."""
    if bare[0] in ",;" and bare[1:2] not in ("", " ", bare[0]):
        return bare[0]
    within = bare.strip("|,;")
    return next((mark for mark in ("|", "\t", ";", ",", _BLANKS) if mark in within), "")


def _cells(text: str, line: Cell, *, bare: str, mark: str) -> list[Cell]:
    """The cells of a line, which may be one; none of what is no row."""
    if mark:
        return [_inner(text, c.span()) for c in _CELLS[mark].finditer(text, *line)]
    # A column alone; a line of many words is a sentence.
    start, end = _inner(text, line)
    shut = _SHUT.search(text, start, end)
    end = shut.start() if shut is not None else end
    said = text[start:end]
    if len(said) > HEAD_LONGEST or _coded(said) or (shut is None and _ENDED.search(bare)):
        return []
    return [(start, end)]


def _coded(said: str) -> bool:
    """Whether a cell is code, aside from what stands before an open quote."""
    return _CODE.search(_QUOTE.split(said)[-1] or said) is not None


def _marked_up(text: str, folded: str) -> Iterator[list[Cell]]:
    """The cells of each row of HTML; none where a table ends."""
    last = 0
    end = folded.find("</tr>")
    while end >= 0:
        start = folded.rfind("<tr", last, end)
        if _ENDS.search(folded, last, end) is not None:
            yield []
        if start >= 0 and end - start <= ROW_LONGEST and APART not in text[start:end]:
            yield [_inner(text, c.span(1)) for c in _CELL_HTML.finditer(text, start, end)]
        last, end = end, folded.find("</tr>", end + 1)


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
    while start < end and text[start] in _AROUND:
        start += 1
    while end > start and text[end - 1] in _AROUND:
        end -= 1
    return start, end
