"""Brings tables up to date, forward only. Knows scripts and their numbers, not what they make."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from emafusion.databases.connection import Connection
from emafusion.errors import StoreError


@cache
def scripts(package: str, folder: str = "migrations") -> tuple[str, ...]:
    """The SQL of a package's migrations in order; number ``n`` is at ``n - 1``."""
    found = files(package).joinpath(folder).iterdir()
    named = sorted((f for f in found if f.name.endswith(".sql")), key=lambda f: f.name)
    return tuple(script.read_text(encoding="utf-8") for script in named)


def migrate(connection: Connection, scripts: Sequence[str], *, table: str, what: str) -> None:
    """Run those of `scripts` that the database has not had, in the transaction that is open.

    Statements end at a line's end. `table` keeps the numbers of those it has had; `what` names the
    tables in errors. Raises :class:`StoreError` where a newer emafusion made them.
    """
    connection.run(
        f"CREATE TABLE IF NOT EXISTS {table} (version INTEGER PRIMARY KEY, applied TEXT NOT NULL)"
    )
    [(had,)] = connection.rows(
        tuple[int],
        f"SELECT coalesce(max(version), 0) FROM {table}",  # noqa: S608 - a constant
    )
    if had > len(scripts):
        raise StoreError(
            f"cannot use {what}: a newer emafusion wrote it (schema {had}, this one knows "
            f"{len(scripts)}); upgrade emafusion, or set another place"
        )
    for number, script in enumerate(scripts[had:], start=had + 1):
        for statement in filter(str.strip, script.split(";\n")):
            connection.run(statement)
        connection.run(
            f"INSERT INTO {table} (version, applied)"  # noqa: S608 - a constant
            " VALUES ($1, CAST(CURRENT_TIMESTAMP AS TEXT))",
            number,
        )
