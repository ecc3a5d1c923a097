"""Makes the local models' files present: what is here, what must be fetched, what cannot be had.

It knows which models run from a file; where files come from, the weights know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Protocol

from msgspec import Struct

from emafusion.errors import UnavailableError
from emafusion.protocols import Provider
from emafusion.providers.local import LocalProvider
from emafusion.providers.weights import Weights
from emafusion.types import Model

SMALL_BYTES = 600_000_000
"""A model whose file is larger than this is left out where only small ones are wanted."""


class LocalModel(Struct, frozen=True, kw_only=True):
    """A model that runs from a file, and its file's size in bytes where that is known."""

    model: Model
    weights: Weights
    size: int | None

    def is_here(self) -> bool:
        """Whether its file is on this machine."""
        return self.weights.here(self.model.upstream) is not None


class Watcher(Protocol):
    """Is told of one download after another."""

    def began(self, model: str, size: int | None) -> None:
        """A download of `size` bytes begins."""
        ...

    def went_on(self, model: str, done: int, total: int) -> None:
        """`done` of `total` bytes are here; called from another thread."""
        ...

    def ended(self, model: str, problem: str | None) -> None:
        """It ended; `problem` says why without a file."""
        ...


def local_models(
    models: Sequence[Model], providers: Mapping[str, Provider]
) -> tuple[LocalModel, ...]:
    """Those of `models` that run from a file, the smallest first."""
    found = []
    for model in models:
        provider = providers.get(model.provider)
        if isinstance(provider, LocalProvider):
            weights = provider.weights
            file = weights.files.get(model.upstream.removeprefix("sha256:"))
            size = file.size if file is not None else None
            found.append(LocalModel(model=model, weights=weights, size=size))
    return tuple(sorted(found, key=lambda local: local.size or 0))


def small(models: Sequence[LocalModel]) -> tuple[LocalModel, ...]:
    """Those whose file is small."""
    return tuple(local for local in models if (local.size or 0) <= SMALL_BYTES)


async def fetch(models: Sequence[LocalModel], watcher: Watcher) -> dict[str, str]:
    """Fetch the files that are not here, one after another; what went wrong, by model."""
    problems: dict[str, str] = {}
    for local in models:
        if not await asyncio.to_thread(local.is_here):
            problem = await _fetch_one(local, watcher)
            if problem is not None:
                problems[local.model.name] = problem
    return problems


def lacking_runtime() -> str | None:
    """What to do where local models cannot run at all, else ``None``."""
    if find_spec("xllamacpp") is None:
        return "local models need their runtime; run: pip install 'emafusion[local]'"
    return None


async def _fetch_one(local: LocalModel, watcher: Watcher) -> str | None:
    name, weights = local.model.name, local.weights
    before, weights.progress = weights.progress, watcher.went_on
    watcher.began(name, local.size)
    problem: str | None = "stopped"
    try:
        await asyncio.to_thread(weights.path, local.model.upstream, model=name)
        problem = None
    except UnavailableError as error:
        problem = str(error)
    except asyncio.CancelledError:
        # The thread would go on downloading, and the process would wait for it.
        weights.close()
        raise
    finally:
        weights.progress = before
        watcher.ended(name, problem)
    return problem
