from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from emafusion.errors import DataError
from emafusion.evaluate import Grader

SETUP = """
CREATE TABLE orders (id INTEGER, city TEXT, amount REAL);
INSERT INTO orders VALUES (1, 'Oslo', 10), (2, 'Rome', 20), (3, 'Oslo', 30.5);
"""
GRADER = Grader(type="sql", params={"setup": SETUP})
TOTAL = "SELECT SUM(amount) FROM orders WHERE city = 'Oslo'"


@pytest.mark.parametrize(
    ("reply", "mark"),
    [
        (TOTAL, 1.0),
        (
            "```sql\nselect total(amount) as t\nfrom orders\nwhere city='Oslo';\n```\nSo.",
            1.0,
        ),
        ("You can use: SELECT 40.5;", 1.0),
        (
            "WITH o AS (SELECT amount FROM orders WHERE city = 'Oslo') SELECT SUM(amount) FROM o",
            1.0,
        ),
        ("SELECT SUM(amount) FROM orders", 0.0),
        ("SELECT SUM(amount) FROM sales", 0.0),
        ("SELECT city, SUM(amount) FROM orders WHERE city = 'Oslo'", 0.0),
        ("I do not know.", 0.0),
        ("", 0.0),
    ],
)
def test_the_rows_decide(reply: str, mark: float) -> None:
    assert GRADER.grade(reply, TOTAL) == mark


def test_order_counts_only_where_it_is_asked_for() -> None:
    ordered = Grader(type="sql", params={"setup": SETUP, "ordered": True})
    reference = "SELECT id FROM orders ORDER BY amount DESC"
    assert GRADER.grade("SELECT id FROM orders", reference) == 1.0
    assert ordered.grade("SELECT id FROM orders", reference) == 0.0
    assert ordered.grade("SELECT id FROM orders ORDER BY amount DESC", reference) == 1.0


@pytest.mark.parametrize(
    "reply",
    [
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n",
        "SELECT COUNT(*) FROM orders a, orders b, orders c, orders d, orders e, orders f, orders g,"
        " orders h, orders i, orders j, orders k, orders l, orders m, orders n, orders o, orders p",
        "SELECT hex(zeroblob(900000000))",
        "SELECT printf('%.*c', 900000000, 'x')",
        "SELECT format('%.*c', 900000000, 'x')",
        "SELECT '" + "a" * 3000 + "' LIKE '" + "%a" * 40 + "b'",
        "SELECT load_extension('x')",
        "WITH x AS (SELECT 1) INSERT INTO orders SELECT 4, 'Bern', 1",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n LIMIT 5000",
        "SELECT * FROM pragma_database_list",
        "SELECT 1 FROM (ATTACH DATABASE '/tmp/x.db' AS x)",
        "SELECT '" + "x" * 5000 + "'",
    ],
)
def test_what_a_query_may_not_do_earns_nothing_and_ends(reply: str) -> None:
    """Unbounded, the first and the second would not end while we live."""
    assert GRADER.grade(reply, TOTAL) == 0.0


def test_a_query_that_is_wrong_in_the_question_is_the_authors_error() -> None:
    with pytest.raises(DataError, match="SQL of a question"):
        GRADER.grade(TOTAL, "SELECT nothing FROM nowhere")
    with pytest.raises(DataError, match="SQL of a question"):
        Grader(type="sql", params={"setup": "CREATE nonsense"}).grade(TOTAL, TOTAL)


@pytest.mark.parametrize(
    "setup",
    [
        "ATTACH DATABASE '{victim}' AS v; DELETE FROM v.kept;",
        "CREATE TABLE t (a); VACUUM INTO '{victim}.copy';",
        "PRAGMA temp_store_directory = '/';",
        "SELECT load_extension('x');",
        "CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
        " SELECT i FROM n;",
        "CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT"
        " 20000) SELECT replace('aaa', 'a', '" + "b" * 900 + "') AS a FROM n;",
        "CREATE TABLE t AS SELECT zeroblob(900000000) AS a;",
        "CREATE TABLE t AS SELECT replace(replace('aaaaaaaaaa', 'a', 'aaaaaaaaaa'), 'a',"
        " '" + "b" * 900 + "') AS a;",
    ],
)
def test_a_setup_makes_tables_and_reaches_nothing_else(setup: str, tmp_path: Path) -> None:
    victim = tmp_path / "victim.sqlite3"
    with closing(sqlite3.connect(victim)) as database:
        database.execute("CREATE TABLE kept AS SELECT 1 AS a")
        database.commit()
    before = victim.read_bytes()
    with pytest.raises(DataError, match="SQL of a question"):
        Grader(type="sql", params={"setup": setup.format(victim=victim)}).grade(TOTAL, "SELECT 1")
    assert victim.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [victim.name]


def test_a_setup_may_be_longer_than_a_query() -> None:
    rows = ", ".join(f"({number})" for number in range(3_000))
    setup = f"CREATE TABLE t (a); INSERT INTO t VALUES {rows};"
    assert Grader(type="sql", params={"setup": setup}).grade(
        "SELECT 3000", "SELECT COUNT(*) FROM t"
    )
