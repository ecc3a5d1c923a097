"""What is taken out of the record for good. Knows the tables; not who asked for it, or why."""

from __future__ import annotations

from collections.abc import Sequence

from emafusion.databases import Connection


def forget(connection: Connection, decisions: Sequence[str]) -> int:
    """Delete these decisions with their calls, verdicts and feedback; how many there were."""
    return sum(_each(connection, "DELETE FROM decisions WHERE id = $1", decisions))


def silence(connection: Connection, opinions: Sequence[int]) -> int:
    """Delete what callers said, by its numbers; how many there were."""
    return sum(_each(connection, "DELETE FROM feedback WHERE seq = $1", opinions))


def older(connection: Connection, before: float, limit: int) -> list[str]:
    """At most `limit` decisions made before that time (seconds since 1970), the oldest first."""
    found = connection.rows(
        tuple[str],
        "SELECT id FROM decisions WHERE created < $1 ORDER BY created LIMIT $2",
        before,
        limit,
    )
    return [one for (one,) in found]


def count(connection: Connection, before: float) -> int:
    """How many decisions were made before that time (seconds since 1970)."""
    [(found,)] = connection.rows(
        tuple[int], "SELECT count(*) FROM decisions WHERE created < $1", before
    )
    return found


def newest(connection: Connection) -> float | None:
    """When the decision was made that says to be the newest, seconds since 1970."""
    [(found,)] = connection.rows(tuple[float | None], "SELECT max(created) FROM decisions")
    return found


def _each(connection: Connection, sql: str, values: Sequence[str] | Sequence[int]) -> list[int]:
    return connection.run_each(sql, [(one,) for one in values])
