"""A call's deadline, as every provider reports it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from emafusion.errors import DeadlineError
from emafusion.types import Call


@contextmanager
def deadline_errors(call: Call) -> Iterator[None]:
    """A ``TimeoutError`` inside becomes the :class:`~emafusion.errors.DeadlineError` of `call`."""
    name = call.model.name
    try:
        yield
    except TimeoutError:
        raise DeadlineError(
            f"{name!r} gave no complete answer in {call.timeout_s:g} s; allow more time or ask for "
            f"fewer tokens",
            name,
        ) from None
