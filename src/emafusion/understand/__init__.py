"""Stage 2: what kind of request this is, on four axes, and how familiar."""

from __future__ import annotations

from emafusion.understand.blend import Blend, Mixture
from emafusion.understand.familiarity import Familiarity
from emafusion.understand.fast import FastClassifier
from emafusion.understand.slow import SlowClassifier
from emafusion.understand.taxonomy import Taxonomy

__all__ = ["Blend", "Familiarity", "FastClassifier", "Mixture", "SlowClassifier", "Taxonomy"]
