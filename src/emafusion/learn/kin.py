"""Which queries are so alike that they tell as much as one: of one item, or in nearly equal words.

Knows where questions were drawn from, and prompts. What follows for parts and intervals, others
know. A wording that is shared by different items makes no kin: what is asked of the policy later is
worded as the seeds are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from emafusion.evaluate.questions import Question
from emafusion.evaluate.recorded import Recorded
from emafusion.learn.crossing import PARTS
from emafusion.learn.seeds.duplicates import grouped


def kin(questions: Iterable[Question], recorded: Recorded) -> Mapping[str, str]:
    """By query of `recorded` the name of its kin.

    Queries are kin that are equal, or were drawn from one item: the first row of a divided table
    that they use, or, where they use none, their filling. Those that share a further row, or nearly
    all their words, are kin too, as far as kin do not outgrow one of the :data:`PARTS` that the
    rows of `recorded` are parted into: a long preamble that all prompts share does not make them
    one.
    """
    queries = recorded.queries
    items = {question.id: tuple(_items(question)) for question in questions}
    ties = _tied([items.get(query, ()) for query in queries], recorded.prompts)
    return {query: queries[ties.root(at)] for at, query in enumerate(queries)}


def families(questions: Sequence[Question]) -> int:
    """How many kin there are among `questions`."""
    prompts = [question.prompt for question in questions]
    ties = _tied([tuple(_items(question)) for question in questions], prompts)
    return len({ties.root(at) for at in range(len(questions))})


def _tied(items: Sequence[Sequence[str]], prompts: Sequence[str]) -> _Ties:
    ties = _Ties(len(prompts))
    ties.join(prompts)
    ties.join([held[0] if held else None for held in items])
    most = max(len(prompts) // PARTS, 1)
    users: dict[str, int] = {}
    for at, held in enumerate(items):
        for row in held:
            ties.tie(users.setdefault(row, at), at, most=most)
    for one, other in grouped(prompts):
        ties.tie(one, other, most=most)
    return ties


def _items(question: Question) -> Iterator[str]:
    rows = question.provenance.get("rows")
    item = question.provenance.get("item")
    if isinstance(rows, list) and rows:
        yield from (f"row {row}" for row in rows)
    elif item is not None:
        yield f"item {item}"


class _Ties:
    """Groups of places that grow together (a disjoint-set forest; Galler & Fischer, 1964)."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))
        self._sizes = [1] * count

    def root(self, at: int) -> int:
        """The place that stands for the group of `at`."""
        while self._above[at] != at:
            self._above[at] = self._above[self._above[at]]
            at = self._above[at]
        return at

    def join(self, names: Sequence[str | None]) -> None:
        """Tie the places of each name together."""
        seen: dict[str, int] = {}
        for at, name in enumerate(names):
            if name is not None:
                self.tie(seen.setdefault(name, at), at)

    def tie(self, one: int, other: int, *, most: int | None = None) -> None:
        """Make one group of two, unless it would have more than `most` places."""
        first, second = sorted((self.root(one), self.root(other)))
        size = self._sizes[first] + self._sizes[second]
        if first == second or (most is not None and size > most):
            return
        self._above[second], self._sizes[first] = first, size
