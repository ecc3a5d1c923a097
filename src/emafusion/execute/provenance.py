"""Which draft each part of a written answer came from.

Knows how a text falls into sentences, list items, table rows and lines of code, and how rare a word
is among the drafts. Does not know who wrote a draft, nor whether it is right.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from emafusion.types import Origin

LONGEST = 200_000
"""Characters of a text that are looked at; what follows is one last part of unknown origin."""
ENOUGH = 0.5
"""The support from which on a draft counts as an origin."""
NEAR = 0.15
"""How far below the best supported draft another may lie and still be an origin."""
REWORDED = 0.8
"""What words found in one statement of a draft, in any order, count for beside a literal run."""
RUN = 3
"""Words in a row that make a literal run."""
RARE = 24
"""Statements a word may occur in and still point at one of them: keeps the search linear."""

_FUNCTION_WORDS = (
    "a an the and or but of to in on at by for with from as is are was were be been it its this "
    "that these those there has have had will would can could may might should do does did i you "
    "he she we they their your his her our not no so if than then which who what when how also "
    "der die das und oder ist sind ein eine einer im mit von zu auf für den dem des sich es auch "
    "le la les un une et ou est sont de du des en dans pour sur avec par que qui il elle au aux se "
    "el los las y o es son una del con por para su al lo gli uno e è sono di da che per nel "
    "os as um uma não na em het een van op te и в на с не что это"
)
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Words that say little of where a sentence came from, in the languages most often asked in."""

_TOKEN = re.compile(
    r"\d+(?:[.,]\d+)*+|[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]|[^\W\d_\u0e00-\u0e7f\u3040-\u30ff"
    r"\u3400-\u9fff]++(?:['’][^\W\d_]+)?"
)
_END = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'”’»)\]*_]*+(?:\s++|$)|(?<![。！？])[。！？]++[」』”）]*+\s*+"
)
_LAST_WORD = re.compile(r"([^\W\d_]+)\Z")
_SHORTENED = "mr mrs ms dr prof st vs etc cf fig no vol approx ca bzw usw sr sra g e z b"
_ABBREVIATIONS = frozenset(_SHORTENED.split())
_FENCES = ("```", "~~~")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?\Z")


class Coverage(Struct, frozen=True, kw_only=True):
    """The share of a text's characters from each draft, and the writer's ``own``; they sum to 1.

    A part with several origins counts for each of them alike. An empty text is nobody's: all 0.
    """

    drafts: tuple[float, ...]
    own: float


class Rarity:
    """How much a word says: high for one that few of the given statements use.

    ln(1 + N / n) for a word in n of N statements (Spärck Jones, 1972), twice that for a number or
    one of `names`, a fifth for a function word.
    """

    def __init__(
        self, statements: Sequence[Iterable[str]], *, names: frozenset[str] = frozenset()
    ) -> None:
        self._counts = Counter(token for statement in statements for token in set(statement))
        self._total = max(len(statements), 1)
        self._names = names

    def __call__(self, token: str) -> float:
        """The weight of `token`, positive."""
        weight = math.log(1.0 + self._total / self._counts.get(token, 0.5))
        if token in FUNCTION_WORDS:
            return 0.2 * weight
        return 2.0 * weight if token[0].isdigit() or token in self._names else weight

    def count(self, token: str) -> int:
        """How many of the statements have `token`."""
        return self._counts[token]

    def sum(self, tokens: Iterable[str]) -> float:
        """The weight of `tokens` together."""
        return math.fsum(map(self, tokens))


def provenance(text: str, drafts: Sequence[str]) -> tuple[Origin, ...]:
    """The origin of every sentence, list item, table row and line of code of `text`.

    A draft supports a part by the share of its words, rare ones weightier, that stand in runs of
    three which the draft has too, or, for less, in one statement of the draft in any order.

    Parameters
    ----------
    text : str
        The written answer.
    drafts : sequence of n str
        What it was written from.

    Returns
    -------
    tuple of Origin
        In order; together they cover `text` without gap or overlap.
    """
    library = _Library(drafts)
    origins = []
    for start, end in parts(text):
        found = library.support(tokens(text[start:end])) if end <= LONGEST else {}
        best = max(found.values(), default=0.0)
        kept = {i: s for i, s in sorted(found.items()) if s >= max(ENOUGH, best - NEAR)}
        support = tuple(round(value, 3) for value in kept.values())
        origins.append(Origin(start=start, end=end, drafts=tuple(kept), support=support))
    return tuple(origins)


def coverage(origins: Sequence[Origin], count: int) -> Coverage:
    """The shares of `count` drafts, and of the writer, in the text that `origins` tile."""
    total = max(sum(origin.end - origin.start for origin in origins), 1)
    shares = [0.0] * count
    own = 0.0
    for origin in origins:
        share = (origin.end - origin.start) / total
        if not origin.drafts:
            own += share
        for draft in origin.drafts:
            shares[draft] += share / len(origin.drafts)
    return Coverage(drafts=tuple(shares), own=own)


def parts(text: str) -> list[tuple[int, int]]:
    """(start, end) of each statement of `text`; they tile it, and none is without a word.

    White space, rules and brackets standing alone belong to the part before them, at the very
    start to the one after. A text without any word is one part.
    """
    cuts = _cuts(text[:LONGEST])
    if len(text) > LONGEST:
        cuts.append(len(text))
    starts: list[int] = []
    for start, end in zip([0, *cuts], cuts, strict=False):
        if end > LONGEST or _TOKEN.search(text, start, end):
            starts.append(start if starts else 0)
    if not starts:
        return [(0, len(text))] if text else []
    return list(zip(starts, [*starts[1:], len(text)], strict=True))


def tokens(text: str) -> list[str]:
    """The words and numbers of `text`, folded so that equal ones are equal strings.

    Scripts written without spaces give one token a character; 1,000 is 1000 and 5.50 is 5.5.
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return [_number(t) if t[0].isdigit() else t for t in _TOKEN.findall(folded)]


def _cuts(text: str) -> list[int]:
    """The positions where one line or sentence ends and the next begins, the end included."""
    cuts: list[int] = []
    position, fenced = 0, False
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith(_FENCES):
            fenced = not fenced
        elif not fenced:
            cuts.extend(position + end for end in _sentence_ends(line))
        position += len(line)
        if not cuts or cuts[-1] != position:
            cuts.append(position)
    return cuts


def _sentence_ends(line: str) -> list[int]:
    return [stop.end() for stop in _END.finditer(line) if not _abbreviates(line, stop)]


def _abbreviates(line: str, stop: re.Match[str]) -> bool:
    """Whether a full stop belongs to its word ("Dr. ") or to a list's number ("2. ")."""
    if line[stop.start()] != "." or stop.end() == len(line):
        return False
    if line[stop.end()].islower():
        return True
    if stop.start() <= 8 and line[: stop.start()].strip(" \t*_#>(-").isdigit():
        return True
    word = _LAST_WORD.search(line[max(0, stop.start() - 12) : stop.start()])
    return word is not None and word.group().casefold() in _ABBREVIATIONS


def _number(token: str) -> str:
    plain = token.replace(",", "") if _THOUSANDS.match(token) else token.replace(",", ".")
    if plain.count(".") == 1:
        plain = plain.rstrip("0").rstrip(".")
    return plain.lstrip("0") or "0"


class _Library:
    """The drafts, cut and indexed: literal runs, whole short statements, and who uses a word."""

    def __init__(self, drafts: Sequence[str]) -> None:
        self._runs: dict[tuple[str, ...], set[int]] = {}
        self._whole: dict[tuple[str, ...], set[int]] = {}
        self._statements: list[tuple[int, frozenset[str]]] = []
        for position, draft in enumerate(drafts):
            self._add(position, draft[:LONGEST])
        self._weight = Rarity([words for _, words in self._statements])
        self._where: dict[str, list[int]] = {}
        for index, (_, words) in enumerate(self._statements):
            for word in words:
                if self._weight.count(word) <= RARE:
                    self._where.setdefault(word, []).append(index)

    def support(self, part: Sequence[str]) -> dict[int, float]:
        """The drafts that have the words of `part`, each with the share it has, in [0, 1]."""
        total = self._weight.sum(part)
        if not part or total <= 0:
            return {}
        if len(part) < RUN:
            return dict.fromkeys(self._whole.get(tuple(part), ()), 1.0)
        found = {draft: share / total for draft, share in self._literal(part).items()}
        for draft, share in self._reworded(part).items():
            found[draft] = max(found.get(draft, 0.0), REWORDED * share)
        return {draft: min(share, 1.0) for draft, share in found.items()}

    def _add(self, position: int, draft: str) -> None:
        for start, end in parts(draft):
            statement = tokens(draft[start:end])
            if len(statement) < RUN:
                self._whole.setdefault(tuple(statement), set()).add(position)
            for run in _runs(statement):
                self._runs.setdefault(run, set()).add(position)
            self._statements.append((position, frozenset(statement)))

    def _literal(self, part: Sequence[str]) -> dict[int, float]:
        """The weight of the words of `part` that stand in a run of each draft."""
        covered: dict[int, set[int]] = {}
        for index, run in enumerate(_runs(part)):
            for draft in self._runs.get(run, ()):
                covered.setdefault(draft, set()).update(range(index, index + RUN))
        return {
            draft: self._weight.sum(part[place] for place in places)
            for draft, places in covered.items()
        }

    def _reworded(self, part: Sequence[str]) -> dict[int, float]:
        """The share of the words of `part` in the statement of each draft that has most."""
        words = frozenset(part)
        shared: dict[int, float] = {}
        for word in words:
            for index in self._where.get(word, ()):
                shared[index] = shared.get(index, 0.0) + self._weight(word)
        nearest: dict[int, tuple[float, int]] = {}
        for index, weight in shared.items():
            draft = self._statements[index][0]
            nearest[draft] = max(nearest.get(draft, (0.0, 0)), (weight, index))
        total = self._weight.sum(words)
        return {
            draft: self._weight.sum(words & self._statements[index][1]) / total
            for draft, (_, index) in nearest.items()
        }


def _runs(statement: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(statement[i : i + RUN]) for i in range(len(statement) - RUN + 1)]
