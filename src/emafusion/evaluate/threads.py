"""How many cores a fit may take."""

from __future__ import annotations

from contextlib import AbstractContextManager


def one_thread() -> AbstractContextManager[object]:
    """Keeps libraries to one core: on a busy machine their threads mostly wait for each other."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # has no types

    limit: AbstractContextManager[object] = threadpool_limits(limits=1)
    return limit
