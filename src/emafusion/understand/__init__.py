"""Stage 2: what kind of request this is, on four axes, and how familiar."""

from __future__ import annotations

from emafusion.understand.familiarity import Familiarity
from emafusion.understand.fast import FastClassifier
from emafusion.understand.taxonomy import Taxonomy

__all__ = ["Familiarity", "FastClassifier", "Taxonomy"]
