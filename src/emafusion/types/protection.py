"""What a request's text is classed as, and what was found in it: never what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from emafusion.types.values import Value

DataClass = Literal["public", "internal", "confidential", "restricted"]
CLASSES: tuple[DataClass, ...] = ("public", "internal", "confidential", "restricted")
"""From what anybody may see to what only private models may."""


class Findings(Value, frozen=True, kw_only=True):
    """What the first stage found in one request, for the record: counts and scores, never a value.

    ``masked`` and ``allowed`` count values by kind; ``failed`` names the detectors that did not
    answer, or answered what cannot be; ``injection`` is how far a document or tool result reads
    like an attack; ``unread`` says that there were parts which no detector reads; ``seal`` tells
    which secret the placeholders were made with.
    """

    data_class: DataClass
    private: bool
    masked: Mapping[str, int] = field(default_factory=dict)
    allowed: Mapping[str, int] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    injection: float = 0.0
    unread: bool = False
    seal: str = ""

    @property
    def untold(self) -> bool:
        """Whether no text of the request may be kept anywhere, masked or not.

        Where a detector failed, nobody knows whether all that is sensitive was masked.
        """
        return bool(self.failed) or self.data_class == "restricted"

    def __str__(self) -> str:
        told: list[str] = [self.data_class]
        if self.private:
            told.append("private models only")
        told += _counted("masked", self.masked)
        told += _counted("allowed", self.allowed)
        if self.failed:
            told.append(f"failed: {', '.join(self.failed)}")
        if self.injection:
            told.append(f"injection {self.injection:.2f}")
        if self.unread:
            told.append("parts that are no text")
        return " · ".join(told)


def highest(*classes: DataClass) -> DataClass:
    """The most restricted of `classes`."""
    return max(classes, key=CLASSES.index)


def _counted(what: str, counts: Mapping[str, int]) -> list[str]:
    told = [f"{kind} {count}" for kind, count in sorted(counts.items())]
    return [f"{what} {', '.join(told)}"] if told else []
