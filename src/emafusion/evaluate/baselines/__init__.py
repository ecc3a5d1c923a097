"""The systems that emafusion is measured against, each implemented from its paper.

Every baseline is a pure function of three tables: it fits on ``train``, tunes on ``val`` and
replays ``test``, of which it sees vectors, drafts and the costs of what it pays for, never the
score of an answer before giving it (the oracle, a bound and not a competitor, alone does).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from emafusion.evaluate.runs import System, Table


class Baseline(Protocol):
    """Fits on ``train``, tunes on ``val``, replays ``test``."""

    def __call__(self, train: Table, val: Table, test: Table, *, seed: int) -> System:
        """The system's operating points on ``test``, each with its ``val`` figures."""
        ...


def _lazily(name: str) -> Baseline:
    """The baseline in the file of that name, which is loaded when it is first run."""

    def run(train: Table, val: Table, test: Table, *, seed: int) -> System:
        system: System = import_module(f"{__name__}.{name}").run(train, val, test, seed=seed)
        return system

    return run


_NAMES = (
    "best_single",
    "random",
    "zero_router",
    "oracle",
    "knn",
    "guarded_knn",
    "kmeans",
    "matrix_factorisation",
    "frugal_gpt",
    "automix",
    "cascade_routing",
    "majority_vote",
    "always_fuse",
)

BASELINES: Final[Mapping[str, Baseline]] = MappingProxyType({n: _lazily(n) for n in _NAMES})
"""By name; :func:`singles.every` gives every single model besides."""

__all__ = ["BASELINES", "Baseline"]
