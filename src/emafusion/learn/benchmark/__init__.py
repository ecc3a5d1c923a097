"""``emafusion evaluate``: fit on one folder, replay another, compare with the field's systems.

:mod:`~emafusion.learn.benchmark.run` is the story.
"""

from __future__ import annotations

from emafusion.learn.benchmark.preparing import Options, Parts
from emafusion.learn.benchmark.run import run

__all__ = ["Options", "Parts", "run"]
