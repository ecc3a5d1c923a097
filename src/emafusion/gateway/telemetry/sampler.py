"""Looks now and then at what no request shows: the loop's lag, breakers, queues, what was learnt.

Knows when to look; where to is given.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from emafusion.gateway.telemetry.metrics import Metrics

EVERY_S = 0.5
LOOKS = 10
"""Every how many beats the slower sources are read."""


class Sampler:
    """Keeps `metrics` up to date: its gauges, and what it has not handed on yet.

    Parameters
    ----------
    metrics : Metrics
        Where they are.
    status : callable, optional
        :meth:`emafusion.client.Client.status` of the client that serves now.
    breakers : callable, optional
        Each model's circuit breaker: ``closed``, ``half-open`` or ``open``.
    queues : callable, optional
        How much waits, by the queue's name.
    ready : callable, optional
        What ``/readyz`` says.

    Attributes
    ----------
    valkey : callable, optional
        Whether Valkey answers, where one is used; set before it runs.
    """

    valkey: Callable[[], Awaitable[bool]] | None = None

    def __init__(
        self,
        metrics: Metrics,
        *,
        status: Callable[[], Mapping[str, object]] = dict,
        breakers: Callable[[], Mapping[str, str]] = dict,
        queues: Callable[[], Mapping[str, float]] = dict,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._metrics = metrics
        self._status = status
        self._breakers = breakers
        self._queues = queues
        self._ready = ready

    @contextlib.asynccontextmanager
    async def running(self, every_s: float = EVERY_S) -> AsyncIterator[None]:
        """A block beside which the gauges are kept, and after which nothing counted is lost."""
        tasks = [asyncio.create_task(self._run(every_s))]
        if self.valkey is not None:
            tasks.append(asyncio.create_task(self._probe(self.valkey, LOOKS * every_s)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._metrics.finish()

    def look(self) -> None:
        """Read every source once."""
        self._metrics.ready(self._ready())
        self._metrics.breakers(self._breakers())
        self._metrics.queued(self._queues())
        self._metrics.learning(self._status())

    async def _run(self, every_s: float) -> None:
        beat = 0
        while True:
            if beat % LOOKS == 0:
                self.look()
            beat += 1
            due = time.monotonic() + every_s
            await asyncio.sleep(every_s)
            self._metrics.lagged(max(time.monotonic() - due, 0.0))
            self._metrics.flush()

    async def _probe(self, valkey: Callable[[], Awaitable[bool]], every_s: float) -> None:
        # By itself: the loop's lag must not be one that Valkey has.
        while True:
            self._metrics.valkey(await valkey())
            await asyncio.sleep(every_s)
