"""Free text to a canonical answer: what a reply says, and whether two replies say the same."""

from emafusion.answers.extraction import canonical, equivalent, extract, shareable
from emafusion.answers.guess import guess_kind
from emafusion.answers.kinds import KINDS, Extracted, Kind

__all__ = [
    "KINDS",
    "Extracted",
    "Kind",
    "canonical",
    "equivalent",
    "extract",
    "guess_kind",
    "shareable",
]
