"""What the questions cover: shares that let nothing dominate, and what is missing afterwards.

Knows counts and labels only.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from emafusion.evaluate.questions import AXES, Question
from emafusion.learn.families import Split
from emafusion.learn.seeds.duplicates import pairs

_STEERED: Final = ("task", "format")
"""The axes along which no label may dominate: a seed's domain and complexity are its own matter."""


class Leaks(Struct, frozen=True, kw_only=True):
    """What two splits share, counted after all is drawn; all zero is what is wanted.

    ``prompts`` and ``items`` (the same values in the same seed) and ``rows`` (of a divided table)
    must never be shared; ``near`` are near-duplicates across splits; ``wordings`` are templates of
    the test split that another split uses, which a seed with few wordings cannot avoid.
    """

    prompts: int
    items: int
    rows: int
    near: int
    wordings: int


def shares(
    weights: Mapping[str, float], labels: Mapping[str, Mapping[str, str]]
) -> dict[str, float]:
    """Each seed's part of the questions; the parts add up to 1.

    A seed's part goes with its weight over the square root of the weight that shares its label,
    averaged geometrically over the axes ``task`` and ``format``: ten seeds of one task together get
    about three times one seed's part rather than ten times.

    Parameters
    ----------
    weights, labels
        Of each seed, by name.
    """
    crowds = {
        axis: _crowds(weights, {name: own[axis] for name, own in labels.items()})
        for axis in _STEERED
    }
    parts = {
        name: weight / math.sqrt(math.prod(crowds[axis][name] for axis in _STEERED) ** 0.5)
        for name, weight in weights.items()
    }
    total = sum(parts.values())
    return {name: part / total for name, part in parts.items()}


def count(questions: Sequence[Question]) -> dict[str, dict[str, int]]:
    """For each axis, how many questions carry each label, the commonest first."""
    return {
        axis: dict(Counter(question.labels[axis] for question in questions).most_common())
        for axis in AXES
    }


def leaks(questions: Mapping[Split, Sequence[Question]]) -> Leaks:
    """What the splits share, found from the finished questions alone."""
    everything = [(split, question) for split, part in questions.items() for question in part]
    near = pairs(question.prompt for _, question in everything)
    return Leaks(
        prompts=_shared((split, [q.prompt]) for split, q in everything),
        items=_shared((split, [str(q.provenance.get("item", q.id))]) for split, q in everything),
        rows=_shared((split, _rows(q)) for split, q in everything),
        near=sum(everything[a][0] != everything[b][0] for a, b in near),
        wordings=len(shared_wordings(questions)),
    )


def shared_wordings(questions: Mapping[Split, Sequence[Question]]) -> tuple[str, ...]:
    """The wordings, as ``seed/wording``, that the test split shares with another."""
    used: dict[Split, set[str]] = {
        split: {f"{q.family}/{q.provenance.get('wording', q.phrasing)}" for q in part}
        for split, part in questions.items()
    }
    others = used.get("train", set()) | used.get("val", set())
    return tuple(sorted(used.get("test", set()) & others))


def _rows(question: Question) -> list[str]:
    rows = question.provenance.get("rows", [])
    return [str(row) for row in rows] if isinstance(rows, list) else []


def _shared(held: Iterable[tuple[Split, Sequence[str]]]) -> int:
    """How many things more than one split holds."""
    splits: defaultdict[str, set[Split]] = defaultdict(set)
    for split, things in held:
        for thing in things:
            splits[thing].add(split)
    return sum(len(found) > 1 for found in splits.values())


def _crowds(weights: Mapping[str, float], label: Mapping[str, str]) -> dict[str, float]:
    """For each seed, the weight of all seeds with its label."""
    totals: Counter[str] = Counter()
    for name, weight in weights.items():
        totals[label[name]] += weight  # type: ignore[assignment]  # weights are no whole numbers
    return {name: totals[label[name]] for name in weights}
