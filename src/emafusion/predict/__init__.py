"""Stage 3: two routers, one forecast."""

from __future__ import annotations

from emafusion.predict.features import Features
from emafusion.predict.learned import LearnedRouter
from emafusion.predict.lengths import Lengths
from emafusion.predict.suitability import Suitability
from emafusion.predict.union import Fitted, Union

__all__ = ["Features", "Fitted", "LearnedRouter", "Lengths", "Suitability", "Union"]
