"""The corpus of the benchmark, for tests. Knows where it is and no value in it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[1] / "benchmarks"


def load() -> ModuleType:
    """The module that makes sentences."""
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module("protect_corpus")
    finally:
        sys.path.remove(str(FOLDER))
