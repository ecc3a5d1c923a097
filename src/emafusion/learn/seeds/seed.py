"""A seed: wordings with slots, what fills them, and how a reply is marked.

Knows what a seed consists of and how one filling becomes a reference and a grader. Reading files,
drawing fillings and varying prompts are its siblings' business.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from emafusion.errors import DataError
from emafusion.evaluate.graders import Grader
from emafusion.evaluate.questions import Difficulty
from emafusion.learn.families import Family, Split
from emafusion.learn.seeds.expressions import Expression, Scope
from emafusion.learn.seeds.slots import Generated, Slot
from emafusion.learn.seeds.templates import fill, fill_json, plain

BOTH: Final[frozenset[Split]] = frozenset({"train", "val"})
ALL: Final[frozenset[Split]] = frozenset({"train", "val", "test"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """One way to ask.

    Attributes
    ----------
    id
        ``w0`` … as given, ``h0`` … held out, ``g0`` … by a generator model.
    text
        The template.
    splits
        Whose prompts may use it.
    generator
        The model that wrote it, if one did.
    """

    id: str
    text: str
    splits: frozenset[Split]
    generator: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """What a seed file says of one kind of prompt.

    Attributes
    ----------
    name, source
        Its name, and the file it is from.
    wordings
        Ways to ask, at least one for each split.
    context, clauses
        Text that the wordings speak of, and requirements whose order is free; templates.
    slots, computed, where
        What is drawn, what follows from it, and what must hold of it.
    reference, answer
        The right answer: a template or JSON with templates, or an expression.
    grader
        The grader's fields; templates in them are filled.
    labels
        Taxonomy labels; a classifier gives those that are missing.
    difficulty
        An expression for 1, 2 or 3; ``None`` to have it estimated.
    weight
        Its share of the prompts against other seeds'.
    variations
        The kinds of variation that leave its answers right.
    """

    name: str
    source: str
    wordings: tuple[Wording, ...]
    context: str = ""
    clauses: tuple[str, ...] = ()
    slots: Mapping[str, Slot] = field(default_factory=dict)
    computed: Mapping[str, Expression] = field(default_factory=dict)
    where: tuple[Expression, ...] = ()
    reference: object = None
    answer: Expression | None = None
    grader: Mapping[str, object] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    difficulty: Expression | None = None
    weight: float = 1.0
    variations: frozenset[str] = frozenset()

    def wordings_of(self, split: Split) -> list[Wording]:
        """The ways to ask in a split."""
        return [wording for wording in self.wordings if split in wording.splits]

    def hungry(self) -> dict[str, Generated]:
        """The slots that a generator model is to fill, and that lack values."""
        return {
            name: slot
            for name, slot in self.slots.items()
            if isinstance(slot, Generated) and slot.size < slot.count
        }

    def answered(self, scope: Scope) -> tuple[str, Grader]:
        """The reference and the grader of one filling.

        Raises
        ------
        DataError
            A slot does not fit where it is used, or the grader has no such parameter.
        """
        kind = str(self.grader["type"])
        params = {n: fill_json(value, scope) for n, value in self.grader.items() if n != "type"}
        return self._reference(kind, scope), Grader(type=kind, params=params)

    def level(self, scope: Scope) -> Difficulty | None:
        """The difficulty the seed states of one filling."""
        if self.difficulty is None:
            return None
        value = self.difficulty(scope)
        if value in (1, 2, 3):
            return value  # type: ignore[return-value]  # just checked
        raise DataError(f"its difficulty is {value!r}; it must be 1, 2 or 3")

    def _reference(self, kind: str, scope: Scope) -> str:
        if self.answer is not None:
            value = plain(self.answer(scope))
            whole = isinstance(value, str) and kind != "json"
            return str(value) if whole else json.dumps(value, ensure_ascii=False)
        if self.reference is None:
            return ""
        if isinstance(self.reference, str):
            return fill(self.reference, scope)
        return json.dumps(fill_json(self.reference, scope), ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilySeed:
    """A built-in family of questions, drawn beside the seeds."""

    name: str
    source: str
    family: Family
    weight: float = 1.0
