"""The kinds of answer a question may ask for. Knows their names, not how any is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Kind = Literal["choice", "number", "expression", "literal", "json", "code", "text", "date"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

LONGEST: Final = 100_000
"""Characters of a reply that are looked at; what a longer reply says first is cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """One answer found in a reply.

    Attributes
    ----------
    kind
        The kind it was read as.
    span
        The answer as the model wrote it, without what surrounded it.
    key
        Its canonical form: two answers of one kind are the same answer exactly when their
        keys are equal.
    """

    kind: Kind
    span: str
    key: str
