"""What a family of questions is: wordings, and a way to draw an item with its computed answer.
Knows the shape only; each sibling file knows one kind of question.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from emafusion.answers.structured import Json
from emafusion.errors import DataError
from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Difficulty, Question
from emafusion.learn.families.splits import Split, split_of

_COMPLEXITY: Mapping[int, str] = {1: "recall", 2: "single_step", 3: "multi_step"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One drawn case of a family, before it is worded.

    Attributes
    ----------
    slots
        What the wordings' braces stand for.
    reference, grader
        The right answer, computed, and how a reply is marked.
    labels
        Taxonomy labels that differ from the family's own for this item.
    identity
        What the item is about, where several families or drawings share it (one fact): then it
        alone decides the split, and a family asks it once.
    """

    slots: Mapping[str, str]
    reference: str
    grader: Grader
    labels: Mapping[str, str] = field(default_factory=dict)
    identity: str = ""

    @property
    def digest(self) -> str:
        """Hexadecimal digits that depend on the content, not on the wording."""
        if self.identity:
            return hashlib.sha256(self.identity.encode()).hexdigest()
        content = json.dumps([dict(self.slots), self.reference], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


Draw = Callable[[random.Random, Difficulty], Item]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A way to ask one kind of question in several wordings.

    Attributes
    ----------
    name
        Its name; the subtask of its questions.
    labels
        Task, domain and format; complexity too when the difficulty does not decide it.
    wordings
        Templates for the training and validation splits.
    held_out
        Templates for the test split alone.
    draw
        Draws an item of a difficulty from a random source.
    levels
        The difficulties it draws, in turn; one may stand more than once.
    weight
        How many turns it has in each round of drawing.
    """

    name: str
    labels: Mapping[str, str]
    wordings: tuple[str, ...]
    held_out: tuple[str, ...]
    draw: Draw
    levels: tuple[Difficulty, ...] = (1, 2, 1, 3)
    weight: int = 1

    def __post_init__(self) -> None:
        if len(self.wordings) + len(self.held_out) < 6 or len(self.held_out) < 2:
            raise DataError(f"family {self.name!r} needs six wordings, two of them held out")

    def question(self, item: Item, difficulty: Difficulty, phrasing: int) -> Question:
        """Words an item; ``phrasing`` counts the wordings, then the held-out ones, from 0."""
        held_out = phrasing >= len(self.wordings)
        wording = (*self.wordings, *self.held_out)[phrasing]
        labels = {"complexity": _COMPLEXITY[difficulty], **self.labels, **item.labels}
        return Question(
            prompt=wording.format(**item.slots),
            reference=item.reference,
            grader=item.grader,
            labels={axis: labels[axis] for axis in ("task", "complexity", "domain", "format")},
            family=self.name,
            phrasing=phrasing,
            held_out=held_out,
            difficulty=difficulty,
        )


def labelled(
    task: str, domain: str, format: str, *, complexity: str | None = None
) -> dict[str, str]:
    """A family's labels; without ``complexity`` the difficulty decides it."""
    labels = {"task": task, "domain": domain, "format": format}
    return labels if complexity is None else {**labels, "complexity": complexity}


def exact(*, aliases: Sequence[str] = (), others: Sequence[str] = ()) -> Grader:
    """A grader for a short answer in words: its spellings, and the rivals it must not name."""
    params: dict[str, Json] = {}
    if aliases:
        params["aliases"] = list(aliases)
    if others:
        params["others"] = list(others)
    return Grader(type="exact", params=params)


def split_of_item(family: str, item: Item) -> Split:
    """The one split an item belongs to, by its content."""
    content = item.identity or f"{family}/{item.digest}"
    return split_of(hashlib.sha256(content.encode()).hexdigest())
