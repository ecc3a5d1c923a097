"""Where drafts agree, contradict each other, and leave out what another says.

Pure text analysis: statements are compared by their words, rare ones weightier, and told apart by
their values (numbers, names, negations). Knows neither models nor which draft is right, and asks
nobody. What it quotes is as untrusted as the drafts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import zip_longest
from typing import TypeVar

from msgspec import Struct

from emafusion import answers
from emafusion.answers import Kind, structured
from emafusion.execute.provenance import FUNCTION_WORDS, Rarity, parts, tokens

MOST_POINTS = 12
"""Points of one sort that are noted, the weightiest first chosen."""
LONGEST_POINT = 200
"""Characters of a statement that are quoted."""
CHARACTERS = 24_000
"""Characters of a draft that are read."""
MOST_STATEMENTS = 200
"""Statements of a draft that are compared."""
ALL_STATEMENTS = 480
"""Statements of all drafts together that are compared."""
POSTINGS = 48
"""Statements a word may occur in and still suggest that two of them say the same."""
TRIED = 3
"""Likeliest counterparts in one other draft that are compared in full."""

ALIKE = 0.55
"""Similarity from which on two statements say the same."""
WITHIN = 0.7
"""What it counts for that the shorter of two statements stands in the longer one whole."""
SAME_SUBJECT = 0.6
"""Similarity, values left aside, from which on other numbers are a contradiction."""
SAME_WORDS = 0.75
"""The same for another name or a negation, which vary more often without any harm."""
NEARBY = 2
"""Tokens before and after a number that tell what it counts."""
NEW = 0.5
"""Share of a statement's words that no other draft uses, from which on it is one draft's own."""
MANY_NAMES = 0.35
"""Share of capitalised words above which a language capitalises more than names."""

_NEGATIONS = (
    "not no never none neither nor cannot without isn't aren't wasn't weren't don't doesn't didn't "
    "can't couldn't won't wouldn't shouldn't hasn't haven't nicht kein keine keinen keiner nie "
    "niemals ne pas jamais aucun aucune nunca jamás ningún ninguna non mai nessun não niet geen "
    "не нет никогда 不 没 無 非"
)
NEGATIONS = frozenset(_NEGATIONS.split())
_SPELT = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")
_NUMERALS = {word: str(number) for number, word in enumerate((*_SPELT, "twelve"), 2)}
_FENCED = re.compile(r"^[ \t]*```.*?(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_MARKER = re.compile(r"\s*(?:[-*+•>#|]+\s*|\(?(?:\d{1,3}|[A-Za-z])[.)]\s+)*")
_CAPITALISED = re.compile(
    r"(?<=[^\s.!?:>*#|(\"“])[ \t]+[*_\"'(“]?([A-ZÀ-ÖØ-ÞΑ-ΩА-Я][^\W\d_]++)(?!:)"
)
_CHATTER = re.compile(
    r"(?:sure|certainly|of course|absolutely|great question|here(?:'s| is| are)|i hope|let me know|"
    r"feel free|in (?:conclusion|summary)|natürlich|gerne|bien sûr|voici|claro|aquí)\b",
    re.IGNORECASE,
)
_YES = re.compile(
    r"[\W_]*(?:answer\W+)?(?:(yes|true|ja|oui|sí|sì|sim|да|はい|是的)|"
    r"(no|false|nein|non|não|nee|нет|いいえ|不是))(?=[*_]*[ \t]*(?:[,.!;:–—\n。、，]|\Z))",
    re.IGNORECASE,
)


class Point(Struct, frozen=True, kw_only=True):
    """Something said, in the words of one of the ``drafts`` (positions, ascending)."""

    text: str
    drafts: tuple[int, ...]


class Notes(Struct, frozen=True, kw_only=True):
    """What a comparison of drafts shows; at most 12 of each, in the drafts' own order.

    ``answers`` says who gives which final answer, where one can be read. ``agreements`` are said by
    several drafts alike. Each of ``contradictions`` is what two or more sides say on one matter.
    ``gaps`` are said by one draft only: what the others lack, or what it alone gets wrong.
    """

    answers: tuple[Point, ...] = ()
    agreements: tuple[Point, ...] = ()
    contradictions: tuple[tuple[Point, ...], ...] = ()
    gaps: tuple[Point, ...] = ()


def notes(texts: Sequence[str], kind: Kind) -> Notes:
    """Compare drafts statement by statement, or field by field where `kind` is ``"json"``.

    Code in fences is not compared. Takes time linear in the texts' length, and no more than their
    first 24,000 characters.

    Parameters
    ----------
    texts : sequence of n str
        The drafts.
    kind : Kind
        What sort of answer was asked for.
    """
    read = [text[:CHARACTERS] for text in texts]
    final = _answers(read, kind)
    if kind == "json":
        return _of_fields(read, final)
    statements = _statements(read)
    comparison = _Comparison(statements, len(read))
    agreements, contradictions = comparison.matched()
    return Notes(
        answers=final,
        agreements=tuple(_chosen(agreements)),
        contradictions=tuple(_chosen(contradictions)),
        gaps=tuple(_in_turn(comparison.single(), len(read))),
    )


class _Statement(Struct, frozen=True, kw_only=True):
    """One statement: its draft, its place among all, and its tokens by what they can tell.

    ``numbers`` holds for each number the tokens near it, with the side on which they stand.
    """

    draft: int
    place: int
    text: str
    words: frozenset[str]
    numbers: Mapping[str, frozenset[str]]
    negative: bool

    @property
    def all(self) -> frozenset[str]:
        """Every token that similarity counts."""
        return self.words.union(self.numbers)


T = TypeVar("T")
Ranked = tuple[float, int]
"""How much something says, and its place."""


class _Comparison:
    """The statements of all drafts, indexed by word."""

    def __init__(self, statements: Sequence[_Statement], drafts: int) -> None:
        self._statements = statements
        self._drafts = drafts
        self._names = _names(statements)
        self._rarity = Rarity([s.all for s in statements], names=self._names)
        self._where: dict[str, list[_Statement]] = {}
        self._twins: dict[frozenset[str], list[_Statement]] = {}
        self._vocabulary: list[set[str]] = [set() for _ in range(drafts)]
        for statement in statements:
            self._twins.setdefault(statement.all, []).append(statement)
            self._vocabulary[statement.draft] |= statement.all
            for word in statement.all:
                self._where.setdefault(word, []).append(statement)
        self._weights = {word: self._rarity(word) for word in self._where}
        self._best = {statement.place: self._counterparts(statement) for statement in statements}

    def matched(
        self,
    ) -> tuple[list[tuple[Ranked, Point]], list[tuple[Ranked, tuple[Point, ...]]]]:
        """What several drafts say alike, and where they say different things of one matter."""
        agreements: list[tuple[Ranked, Point]] = []
        contradictions: list[tuple[Ranked, tuple[Point, ...]]] = []
        used: set[int] = set()
        for statement in self._statements:
            if statement.place in used:
                continue
            group = [statement, *self._mates(statement, used)]
            if len(group) == 1:
                continue
            used.update(member.place for member in group)
            sides = self._sides(group)
            rank = (len(group) * self._sum(statement.all), statement.place)
            if len(sides) > 1:
                contradictions.append((rank, tuple(_point(side) for side in sides)))
            else:
                agreements.append((rank, _point(self._plainest_first(group))))
        return agreements, contradictions

    def single(self) -> list[tuple[Ranked, Point]]:
        """What one draft says in words that the others do not use."""
        if self._drafts < 2:
            return []
        elsewhere = [self._elsewhere(draft) for draft in range(self._drafts)]
        found = []
        for statement in self._statements:
            new = self._sum(statement.all - elsewhere[statement.draft])
            if new >= NEW * self._sum(statement.all) and not self._best[statement.place]:
                found.append(((new, statement.place), _point([statement])))
        return found

    def _elsewhere(self, draft: int) -> frozenset[str]:
        """The words of all drafts but one."""
        others = (words for i, words in enumerate(self._vocabulary) if i != draft)
        return frozenset().union(*others)

    def _plainest_first(self, group: Sequence[_Statement]) -> list[_Statement]:
        """`group`, first the statement that says least beyond what another says too."""

        def beyond(statement: _Statement) -> float:
            others = (member.all for member in group if member is not statement)
            return self._sum(statement.all - frozenset().union(*others))

        return sorted(group, key=beyond)

    def _mates(self, statement: _Statement, used: set[int]) -> Iterator[_Statement]:
        """The counterpart in each other draft that has `statement` for its own."""
        for draft, mate in sorted(self._best[statement.place].items()):
            back = self._best[mate.place].get(statement.draft)
            if mate.place not in used and back is statement and draft != statement.draft:
                yield mate

    def _counterparts(self, statement: _Statement) -> dict[int, _Statement]:
        """For each other draft that speaks of the same matter, its likest statement."""
        shared: dict[int, float] = {}
        for word in statement.all:
            where = self._where[word]
            for other in where if len(where) <= POSTINGS else ():
                shared[other.place] = shared.get(other.place, 0.0) + self._weights[word]
        for twin in self._twins[statement.all]:
            shared[twin.place] = float("inf")
        likely: dict[int, list[_Statement]] = {}
        for place in sorted(shared, key=lambda place: (-shared[place], place)):
            other = self._statements[place]
            tried = likely.setdefault(other.draft, [])
            if other.draft != statement.draft and len(tried) < TRIED:
                tried.append(other)
        best = {}
        for draft, tried in likely.items():
            related = [other for other in tried if self._related(statement, other)]
            if related:
                best[draft] = max(related, key=lambda other: self._alike(statement, other))
        return best

    def _related(self, one: _Statement, other: _Statement) -> bool:
        """Whether two statements say the same, or cannot both hold."""
        differ = _apart(set(one.numbers), set(other.numbers)) or one.negative != other.negative
        return (not differ and self._alike(one, other) >= ALIKE) or self._conflict(one, other)

    def _conflict(self, one: _Statement, other: _Statement) -> bool:
        """Whether two statements on one matter cannot both hold."""
        if _rival_numbers(one, other):
            return self._subject(one, other, frozenset()) >= SAME_SUBJECT
        if one.negative != other.negative:
            return self._subject(one, other, NEGATIONS) >= SAME_WORDS
        mine, theirs = one.words & self._names, other.words & self._names
        if not _apart(mine, theirs):
            return False
        unheard = (
            not (mine - theirs) & self._vocabulary[other.draft]
            or not (theirs - mine) & self._vocabulary[one.draft]
        )
        return unheard and self._subject(one, other, mine ^ theirs) >= SAME_WORDS

    def _subject(self, one: _Statement, other: _Statement, aside: frozenset[str]) -> float:
        """The similarity of two statements' words, those in `aside` not counted."""
        mine, theirs = one.words - aside, other.words - aside
        content = (mine & theirs) - FUNCTION_WORDS
        labelled = content and mine == theirs
        return self._dice(mine, theirs) if labelled or len(content) >= 2 else 0.0

    def _alike(self, one: _Statement, other: _Statement) -> float:
        alike = self._dice(one.all, other.all)
        shared = one.all & other.all
        if len(shared - FUNCTION_WORDS) < 3:
            return alike
        shorter = min(self._sum(one.all), self._sum(other.all))
        return max(alike, WITHIN * self._sum(shared) / shorter)

    def _dice(self, mine: frozenset[str], theirs: frozenset[str]) -> float:
        """Twice what is shared over the sum of both, by weight (Dice, 1945)."""
        both = self._sum(mine) + self._sum(theirs)
        return 2.0 * self._sum(mine & theirs) / both if both else 0.0

    def _sides(self, group: Sequence[_Statement]) -> list[list[_Statement]]:
        sides: list[list[_Statement]] = []
        for statement in group:
            for side in sides:
                if not self._conflict(side[0], statement):
                    side.append(statement)
                    break
            else:
                sides.append([statement])
        return sides

    def _sum(self, words: Iterable[str]) -> float:
        return sum(self._weights[word] for word in sorted(words))


def _statements(texts: Sequence[str]) -> list[_Statement]:
    """The statements worth comparing: no code, no pleasantries, no bare headings, no twins."""
    most = min(MOST_STATEMENTS, max(ALL_STATEMENTS // max(len(texts), 1), 1))
    found: list[_Statement] = []
    for draft, text in enumerate(texts):
        kept: dict[frozenset[str], _Statement] = {}
        for shown in _spoken(_FENCED.sub("\n", text)):
            statement = _statement(shown, draft=draft, place=len(found) + len(kept))
            if len(statement.all - FUNCTION_WORDS) >= 2 and statement.all not in kept:
                kept[statement.all] = statement
            if len(kept) == most:
                break
        found.extend(kept.values())
    return found


def _spoken(text: str) -> Iterator[str]:
    for start, end in parts(text):
        line = _plain(text[start:end]).replace("**", "")
        bare = line[_matched(_MARKER, line) :].rstrip(" |*_\\[$")
        if not line.startswith("#") and not bare.endswith(":") and not _CHATTER.match(bare):
            yield bare


def _matched(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.match(text)
    return found.end() if found else 0


def _plain(text: str) -> str:
    """One printable line of bounded length."""
    line = " ".join(text[: 4 * LONGEST_POINT].split())
    return "".join(char for char in line if char.isprintable())


def _statement(shown: str, *, draft: int, place: int) -> _Statement:
    said = [_NUMERALS.get(token, token) for token in tokens(shown)]
    near: dict[str, frozenset[str]] = {}
    for index, token in enumerate(said):
        if token[0].isdigit():
            before = (f"{word} _" for word in said[max(0, index - NEARBY) : index])
            after = (f"_ {word}" for word in said[index + 1 : index + 1 + NEARBY])
            near[token] = near.get(token, frozenset()).union(before, after)
    return _Statement(
        draft=draft,
        place=place,
        text=shown,
        words=frozenset(token for token in said if not token[0].isdigit()),
        numbers=near,
        negative=bool(NEGATIONS & set(said)),
    )


def _names(statements: Sequence[_Statement]) -> frozenset[str]:
    """The words that stand capitalised within sentences, and lower-case nowhere."""
    found: set[str] = set()
    lower: set[str] = set()
    for statement in statements:
        found.update(name.casefold() for name in _CAPITALISED.findall(statement.text))
        lower.update(word for word in statement.text.split() if word.islower())
    names = frozenset(found - lower)
    words = {word for statement in statements for word in statement.words} - FUNCTION_WORDS
    return names if len(names) <= MANY_NAMES * len(words) else frozenset()


def _apart(one: Set[str], other: Set[str]) -> bool:
    """Whether each says something the other does not."""
    return bool(one - other) and bool(other - one)


def _rival_numbers(one: _Statement, other: _Statement) -> bool:
    """Whether in one place of the same sentence each has a number that the other lacks."""
    mine = [near for number, near in one.numbers.items() if number not in other.numbers]
    theirs = [near for number, near in other.numbers.items() if number not in one.numbers]
    return any(near & rival for near in mine for rival in theirs)


def _point(statements: Sequence[_Statement]) -> Point:
    drafts = sorted({statement.draft for statement in statements})
    return Point(text=_short(statements[0].text), drafts=tuple(drafts))


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_POINT else f"{text[: LONGEST_POINT - 1]}…"


def _chosen(ranked: Sequence[tuple[Ranked, T]]) -> list[T]:
    """The weightiest, in the order of their places."""
    kept = sorted(ranked, key=lambda entry: (-entry[0][0], entry[0][1]))[:MOST_POINTS]
    return [item for _, item in sorted(kept, key=lambda entry: entry[0][1])]


def _in_turn(ranked: Sequence[tuple[Ranked, Point]], drafts: int) -> list[Point]:
    """The weightiest of each draft in turn, so that a long draft leaves room for the others."""
    by_draft: list[list[tuple[Ranked, Point]]] = [[] for _ in range(drafts)]
    for entry in sorted(ranked, key=lambda entry: (-entry[0][0], entry[0][1])):
        by_draft[entry[1].drafts[0]].append(entry)
    turns = [entry for turn in zip_longest(*by_draft) for entry in turn if entry is not None]
    return _chosen(turns[:MOST_POINTS])


def _answers(texts: Sequence[str], kind: Kind) -> tuple[Point, ...]:
    """Who gives which final answer: read by kind, else a yes or no that opens the draft."""
    read: dict[str, tuple[str, list[int]]] = {}
    for draft, text in enumerate(texts):
        found = _answer(text, kind)
        if found is not None:
            read.setdefault(found[0], (found[1], []))[1].append(draft)
    if kind == "text" and sum(len(drafts) for _, drafts in read.values()) < 2:
        return ()
    points = [Point(text=_short(_plain(t)), drafts=tuple(d)) for t, d in read.values()]
    return tuple(points[:MOST_POINTS])


def _answer(text: str, kind: Kind) -> tuple[str, str] | None:
    """The key and the wording of a draft's final answer."""
    if kind in ("json", "code"):
        return None
    if kind != "text":
        found = answers.extract(text, kind)
        return None if found is None else (found.key, found.span)
    opening = _YES.match(text)
    if opening is None:
        return None
    return ("yes" if opening.group(1) else "no"), (opening.group(1) or opening.group(2))


def _of_fields(texts: Sequence[str], final: tuple[Point, ...]) -> Notes:
    """The notes on JSON drafts: what each field holds, and who says so."""
    said: dict[str, dict[str, list[int]]] = {}
    readable = []
    for draft, text in enumerate(texts):
        found = structured.find(text)
        if found is None:
            continue
        readable.append(draft)
        for (path, value), _ in zip(_leaves(found[0], ""), range(MOST_STATEMENTS), strict=False):
            said.setdefault(path, {}).setdefault(value, []).append(draft)
    agreements, contradictions, gaps = [], [], []
    for path, values in said.items():
        points = tuple(
            Point(text=_short(_plain(f"{path} = {value}")), drafts=tuple(drafts))
            for value, drafts in values.items()
        )
        if len(points) > 1:
            contradictions.append(points)
        elif len(points[0].drafts) > 1:
            agreements.append(points[0])
        elif len(readable) > 1:
            gaps.append(points[0])
    return Notes(
        answers=final,
        agreements=tuple(agreements[:MOST_POINTS]),
        contradictions=tuple(contradictions[:MOST_POINTS]),
        gaps=tuple(gaps[:MOST_POINTS]),
    )


def _leaves(value: structured.Json, path: str) -> Iterator[tuple[str, str]]:
    """Every innermost field with its path and its canonical value."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path or "value", structured.key(value)
