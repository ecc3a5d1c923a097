"""Questions a grader can mark. Knows what a question carries and its JSON form, not where
questions come from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from emafusion.answers.structured import Json
from emafusion.errors import DataError
from emafusion.evaluate.graders import Grader

AXES: Final = ("task", "complexity", "domain", "format")

Difficulty = Literal[1, 2, 3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A prompt with its reference answer, its grader and its place in the taxonomy.

    Attributes
    ----------
    prompt, reference
        What is asked, and a right answer to it.
    grader
        How a reply is marked.
    labels
        The label id on each taxonomy axis.
    family
        The family of questions it was drawn from.
    phrasing
        Which of the family's wordings it uses.
    held_out
        Whether that wording is kept for the test split.
    difficulty
        1 (a small model should manage) to 3.
    provenance
        Where it comes from, as JSON values: the seed, the wording, the slots' values, the
        variations, the generator model. Empty for the built-in families.
    """

    prompt: str
    reference: str
    grader: Grader
    labels: Mapping[str, str]
    family: str
    phrasing: int
    held_out: bool
    difficulty: Difficulty
    provenance: Mapping[str, Json] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Sixteen hexadecimal digits that depend on the prompt alone."""
        return hashlib.sha256(self.prompt.encode()).hexdigest()[:16]

    def grade(self, text: str) -> float:
        """The mark of a reply, 0 to 1, or NaN; see :meth:`Grader.grade`."""
        return self.grader.grade(text, self.reference)

    def to_json(self) -> str:
        """One line of JSON."""
        fields: dict[str, object] = {
            "id": self.id,
            "prompt": self.prompt,
            "reference": self.reference,
            "grader": json.loads(self.grader.to_json()),
            "labels": dict(self.labels),
            "family": self.family,
            "phrasing": self.phrasing,
            "held_out": self.held_out,
            "difficulty": self.difficulty,
        }
        if self.provenance:
            fields["provenance"] = dict(self.provenance)
        return json.dumps(fields, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Question:
        """The inverse of :meth:`to_json`.

        Raises
        ------
        DataError
            A field is missing or of the wrong type, or the id is not the prompt's.
        """
        try:
            fields = json.loads(text)
            question = cls(
                prompt=fields["prompt"],
                reference=fields["reference"],
                grader=Grader.from_json(json.dumps(fields["grader"])),
                labels=fields["labels"],
                family=fields["family"],
                phrasing=int(fields["phrasing"]),
                held_out=bool(fields["held_out"]),
                difficulty=fields["difficulty"],
                provenance=dict(fields.get("provenance") or {}),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"not a question: {type(error).__name__} {error}") from error
        if fields.get("id", question.id) != question.id:
            raise DataError(f"question {fields['id']!r}: the id does not belong to its prompt")
        return question
