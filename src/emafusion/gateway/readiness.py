"""``GET /readyz``: whether requests should be sent to this process now.

Knows what was checked last and whether the process is about to stop. What a check does is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Protocol, runtime_checkable

import msgspec
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from emafusion.client import Client
from emafusion.errors import EmafusionError, StoreError, UnavailableError

log = logging.getLogger("emafusion.gateway")

Check = Callable[[], Awaitable[None]]
"""Raises an :class:`~emafusion.errors.EmafusionError` that says what is wrong."""
Fields = Callable[[], Mapping[str, object]]
"""What else ``/readyz`` tells; it does not count."""

EVERY_S = 5.0
SOON_S = 1.0
"""The time between looks while something is wrong: what is well again is needed at once."""
CHECK_S = 2.0
"""How long one check may take."""
OK = "ok"


class Readiness:
    """Whether this process can answer, as of the last look; asking it costs nothing.

    Parameters
    ----------
    checks : mapping of str to Check
        What must be in order, by its name.
    fields : callable, optional
        What else is told.

    Attributes
    ----------
    draining : bool
        Whether the process is about to stop, so that nothing more should be sent to it.
    beside : callable
        What is told beside the checks and does not count, either.
    """

    def __init__(self, checks: Mapping[str, Check], *, fields: Fields = dict) -> None:
        self.draining = False
        self._checks = dict(checks)
        self._fields = fields
        self.beside: Fields = dict
        self._found: dict[str, str] = dict.fromkeys(checks, "not looked at yet")

    @property
    def ready(self) -> bool:
        """Whether requests should be sent here."""
        return not self.draining and all(each == OK for each in self._found.values())

    async def look(self) -> bool:
        """Make every check, all at once; whether this process is ready."""
        found = await asyncio.gather(*map(_looked, self._checks.values()))
        for name, told in zip(self._checks, found, strict=True):
            if told not in (OK, self._found[name]):
                log.warning("not ready: %s: %s", name, told)
            self._found[name] = told
        return self.ready

    @contextlib.asynccontextmanager
    async def running(self, every_s: float = EVERY_S) -> AsyncIterator[None]:
        """A block beside which the checks are made again and again, for the first time before."""
        await self.look()
        task = asyncio.create_task(self._run(every_s))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def answer(self, _: HttpRequest) -> Response:
        """``GET /readyz``: 200 where requests should be sent here, else 503."""
        ready = self.ready
        status = "draining" if self.draining else "ready" if ready else "not ready"
        body = {"status": status, "checks": self._found, **self.beside(), **self._fields()}
        return Response(
            msgspec.json.encode(body),
            200 if ready else 503,
            {"cache-control": "no-store"},
            media_type="application/json",
        )

    async def _run(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s if self.ready else min(every_s, SOON_S))
            await self.look()


@runtime_checkable
class Probed(Protocol):
    """A recorder that can say beforehand whether it could record."""

    async def ready(self) -> None:
        """Raise :class:`~emafusion.errors.StoreError` where it could not."""
        ...


def recording(client: Callable[[], Client]) -> Check:
    """Whether the record can be written, or at least read where it cannot be tried."""

    async def check() -> None:
        recorder = client().engine.stages.recorder
        if isinstance(recorder, Probed):
            await recorder.ready()
        else:
            await recorder.find("readyz")

    return check


def answering(client: Callable[[], Client], breakers: Callable[[], Mapping[str, str]]) -> Check:
    """Whether there is a model whose circuit breaker lets requests through.

    `breakers` are the models' states; one that is not among them has not failed yet.
    """

    async def check() -> None:
        states = breakers()
        names = list(client().engine.models)
        if all(states.get(name) == "open" for name in names):
            raise UnavailableError("every model's circuit breaker is open", ", ".join(names))

    return check


async def _looked(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_S):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_S:g} s"
    except StoreError:
        # The message names files and databases; whoever may ask here need not know them.
        log.warning("a check of readiness failed", exc_info=True)
        return "it cannot be written; the log says why"
    except EmafusionError as error:
        return str(error)
    return OK
