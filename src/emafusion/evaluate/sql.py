"""Runs a generated SQL query against a small database and compares its rows with a reference's.

Knows SQLite: an in-memory database of its own for each mark, with limits on time, rows and sizes.
The setup may make tables in it and nothing else: it may come in a file from someone else. The query
is a model's and may do nothing but select from the tables.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from decimal import Decimal
from typing import Final

from emafusion.answers import source
from emafusion.errors import DataError

_MOST_ROWS: Final = 1_000
_MOST_BYTES: Final = 4_000
"""Of one text or row."""
_MOST_SETUP: Final = 1_000_000
"""Of a setup's text, bytes."""
_MOST_PAGES: Final = 4_096
"""Of the database: 16 MiB."""
_MOST_INSTRUCTIONS: Final = 2_000_000
"""Of SQLite's machine, for the setup and for the query each, some tenths of a second: a bound that
no machine's speed changes."""
_STRETCH: Final = 1_000
_DIGITS: Final = 6
_QUERY: Final = re.compile(r"\b(?:select|with)\b(?:(?!\n\s*\n)[^;])*", re.I)
_ALLOWED: Final = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
_OUTSIDE: Final = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA})
"""What reaches other files, or undoes the limits."""
_UNFIT: Final = frozenset(
    {"format", "load_extension", "printf", "random", "randomblob", "zeroblob"}
)
"""Functions that reach outside, run as long as a number in the query says, or differ each time."""

_Rows = list[tuple[object, ...]]


def agrees(text: str, reference: str, *, setup: str, ordered: bool = False) -> bool:
    """Whether the query in a reply gives the rows that the reference gives.

    Parameters
    ----------
    text
        The reply; its fenced block, else its first ``SELECT`` or ``WITH``, is the query.
    reference
        A right query.
    setup
        Statements that make the tables and their rows.
    ordered
        Whether the rows' order counts. Columns are compared by position, their names by nothing,
        numbers to six significant digits.

    Raises
    ------
    DataError
        The setup or the reference fails or does what it may not, so the question is wrong.
    """
    try:
        with closing(_opened(setup)) as database:
            expected = _rows(database, reference)
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise DataError(f"the SQL of a question fails: {error}") from error
    query = written(text)
    if not query:
        return False
    try:
        with closing(_opened(setup)) as database:
            found = _rows(database, query)
    except (sqlite3.Error, sqlite3.Warning):
        # A query that fails, or does what it may not, answers nothing.
        return False
    return _same(found, expected, ordered=ordered)


def written(text: str) -> str:
    """The query in a reply, or an empty text."""
    found = _QUERY.search(source.program(text) if "```" in text else text)
    return found.group().strip().strip("`").strip() if found else ""


def _opened(setup: str) -> sqlite3.Connection:
    """A database as the author made it, which from here on can only be read."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    try:
        database.execute(f"PRAGMA max_page_count = {_MOST_PAGES}")
        _limit(database, _MOST_SETUP, lambda action: action not in _OUTSIDE)
        database.executescript(setup)
    except (sqlite3.Error, sqlite3.Warning):
        database.close()
        raise
    _limit(database, _MOST_BYTES, lambda action: action in _ALLOWED)
    return database


def _limit(database: sqlite3.Connection, longest: int, may: Callable[[int], bool]) -> None:
    """From here on, statements of `longest` bytes that do what they `may`, and a new budget."""

    def permission(action: int, _: str | None, function: str | None, *__: str | None) -> int:
        unfit = action == sqlite3.SQLITE_FUNCTION and str(function).lower() in _UNFIT
        return sqlite3.SQLITE_OK if may(action) and not unfit else sqlite3.SQLITE_DENY

    budget = iter(range(_MOST_INSTRUCTIONS // _STRETCH))
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_BYTES)
    database.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, longest)
    database.set_progress_handler(lambda: next(budget, None) is None, _STRETCH)
    database.set_authorizer(permission)


def _rows(database: sqlite3.Connection, query: str) -> _Rows:
    rows = database.execute(query).fetchmany(_MOST_ROWS + 1)
    if len(rows) > _MOST_ROWS:
        raise sqlite3.DataError("too many rows")
    return [tuple(_settled(value) for value in row) for row in rows]


def _settled(value: object) -> object:
    """A number to six significant digits; anything else as it is."""
    if isinstance(value, int | float):
        return f"{Decimal(f'{value:.{_DIGITS}g}').normalize():f}"
    return value


def _same(found: _Rows, expected: _Rows, *, ordered: bool) -> bool:
    return found == expected if ordered else _sorted(found) == _sorted(expected)


def _sorted(rows: _Rows) -> Sequence[str]:
    return sorted(repr(row) for row in rows)
