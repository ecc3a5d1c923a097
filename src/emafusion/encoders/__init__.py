"""Texts into vectors: interchangeable encoders, and features that need none.

:func:`default` is the one that the shipped artefact was fitted with; ``docs/understand.md`` says
how it was chosen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emafusion.encoders import surface
from emafusion.encoders.hashing import Hashing
from emafusion.encoders.minilm import MiniLM
from emafusion.encoders.remembered import Remembered
from emafusion.encoders.static import Static

if TYPE_CHECKING:
    from emafusion.protocols import Encoder


def default() -> Encoder:
    """A fresh encoder of the kind the shipped artefact uses; its table is read at first use."""
    return Static()


__all__ = ["Hashing", "MiniLM", "Remembered", "Static", "default", "surface"]
