"""Both databases, real: a file of SQLite's, and a PostgreSQL server that the tests start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import psycopg
import pytest

from emafusion.record import Store


class Postgres(Protocol):
    """The server; every folder's tests have the same one."""

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def fresh(self) -> str: ...


@pytest.fixture(scope="session")
def shared(postgres: Postgres) -> str:
    """A database for most tests: to make one for each takes longer than they do."""
    return postgres.fresh()


@pytest.fixture
def address(shared: str) -> str:
    """A database without a record."""
    with psycopg.connect(shared, autocommit=True) as server:
        server.execute("DROP SCHEMA IF EXISTS emafusion CASCADE")
    return shared


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the record is: nothing is there yet."""
    if request.param == "sqlite":
        return str(tmp_path / "record.db")
    return str(request.getfixturevalue("address"))


@pytest.fixture
async def store(place: str) -> AsyncIterator[Store]:
    store = Store(place)
    yield store
    await store.aclose()
