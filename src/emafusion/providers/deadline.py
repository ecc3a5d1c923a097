"""A call's deadline, as every provider reports it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType

from emafusion.errors import DeadlineError
from emafusion.types import Call


def deadline_errors(call: Call) -> AbstractContextManager[None]:
    """A ``TimeoutError`` inside becomes the :class:`~emafusion.errors.DeadlineError` of `call`."""
    return _Deadline(call)


class _Deadline:
    """A block of `call`; a class, since every call has one and a generator takes longer."""

    __slots__ = ("_call",)

    def __init__(self, call: Call) -> None:
        self._call = call

    def __enter__(self) -> None:
        """There is time."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not isinstance(error, TimeoutError):
            return
        name = self._call.model.name
        raise DeadlineError(
            f"{name!r} gave no complete answer in {self._call.timeout_s:g} s; allow more time or "
            f"ask for fewer tokens",
            name,
        ) from None
