"""A connection to PostgreSQL that does not wait for a server that has stopped answering.

The server's own ``statement_timeout`` is of no use where the server, or the way to it, hangs: then
only this side can end the wait. Knows the driver, which it imports; so it is imported late itself.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import TupleRow

V = TypeVar("V")


class Punctual(psycopg.Connection[TupleRow]):
    """A connection that is given up where nothing is heard for `within_s` seconds.

    ``None`` waits for ever. Whatever is under way then raises ``psycopg.OperationalError``.
    """

    within_s: float | None = None

    def wait(self, gen: PQGen[V], *args: Any, **kwargs: Any) -> V:
        """As the driver waits for the server, which resumes `gen` ten times a second at least."""
        return super().wait(self._heard(gen), *args, **kwargs)

    def _heard(self, gen: PQGen[V]) -> Generator[Any, Any, V]:
        try:
            state = next(gen)
            heard = time.monotonic()
            while True:
                ready = yield state
                if ready:
                    heard = time.monotonic()
                elif self.within_s is not None and time.monotonic() - heard > self.within_s:
                    # At once, and without asking: a rollback would wait as long again.
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"nothing was heard for {self.within_s:g} s")
                state = gen.send(ready)
        except StopIteration as end:
            found: V = end.value
            return found
