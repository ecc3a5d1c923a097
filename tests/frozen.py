"""A way to a server that can freeze: it takes connections and bytes, and passes nothing on.

Knows sockets alone. So does a machine whose disk hangs, or a firewall that forgets a connection:
nobody is told that anything is wrong.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Way:
    """Between ``port`` and the server's; ``frozen`` while nothing is passed on."""

    def __init__(self, server: int) -> None:
        self.frozen = False
        self.port = 0
        self._server = server
        self._under_way: set[asyncio.Task[None]] = set()

    async def begin(self) -> asyncio.Server:
        """Listen."""
        listening = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        return listening

    async def end(self, listening: asyncio.Server) -> None:
        """Close, whatever is frozen."""
        listening.close()
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _connected(self, told: asyncio.StreamReader, tell: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            await self._thaw()
            there, back = await asyncio.open_connection("127.0.0.1", self._server)
            try:
                await asyncio.gather(self._pass(told, back), self._pass(there, tell))
            finally:
                back.close()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._under_way.discard(task)
            tell.close()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            await self._thaw()
            sink.write(data)
            await sink.drain()
        sink.close()

    async def _thaw(self) -> None:
        while self.frozen:  # noqa: ASYNC110 - set from another thread
            await asyncio.sleep(0.01)


@contextmanager
def way(server: int) -> Iterator[Way]:
    """A way to the server at that port, in a thread of its own."""
    found, loop = Way(server), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    listening = asyncio.run_coroutine_threadsafe(found.begin(), loop).result()
    try:
        yield found
    finally:
        asyncio.run_coroutine_threadsafe(found.end(listening), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
