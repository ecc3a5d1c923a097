"""Both databases, real: a file of SQLite's, and a PostgreSQL server that the tests start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from emafusion.gateway.accounts.database import Database, database


class Postgres(Protocol):
    """The server; every folder's tests have the same one."""

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def fresh(self) -> str: ...


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
    server: Postgres = request.getfixturevalue("postgres")
    return server.fresh()
