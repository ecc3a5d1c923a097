"""What an operator can do with keys, teams and budgets, on both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest
from msgspec import structs

from emafusion.databases import Connection
from emafusion.errors import ConfigError, StoreError
from emafusion.gateway.accounts import Key, Registry, Terms, database
from emafusion.gateway.accounts.database import Database, migrations
from emafusion.gateway.accounts.sqlite import SQLiteDatabase

TERMS = Terms(
    models=frozenset({"a", "b"}),
    policies=frozenset({"p"}),
    prefer=0.25,
    min_quality=0.5,
    requests_per_minute=60,
    tokens_per_minute=1000,
    usd_per_minute=0.5,
)


Connect = Callable[[], Database]


@pytest.fixture
def registry(connect: Connect) -> Registry:
    return Registry(connect(), clock=lambda: 1000.0)


def test_a_key_is_read_as_it_was_made(registry: Registry) -> None:
    registry.create_team("search", Terms(prefer=0.5))
    key, token = registry.create(
        "alice", team="search", scopes=frozenset({"chat"}), terms=TERMS, expires=2000.0
    )
    assert registry.keys() == [key]
    assert registry.key("alice") == registry.key(key.id) == registry.key(token) == key
    assert key.terms == TERMS
    assert (key.created, key.expires, key.revoked) == (1000.0, 2000.0, None)
    assert [team.terms for team in registry.teams()] == [Terms(prefer=0.5)]


def test_no_secret_is_stored(registry: Registry, connect: Connect, tmp_path: Path) -> None:
    _, token = registry.create("alice")
    _, rotated = registry.rotate("alice", grace_s=60)
    kept = connect().transact(
        lambda one: one.rows(tuple[str, str], "SELECT digest, old_digest FROM emf_keys")
    )
    for secret in (token[-64:], rotated[-64:]):
        assert secret not in str(kept)
        assert all(secret.encode() not in file.read_bytes() for file in tmp_path.iterdir())


def test_equal_terms_have_digests_of_their_own(registry: Registry, connect: Connect) -> None:
    for name in "ab":
        registry.create(name)
    found = connect().transact(
        lambda one: one.rows(tuple[str, str], "SELECT salt, digest FROM emf_keys")
    )
    assert len({salt for salt, _ in found}) == len({digest for _, digest in found}) == 2


def test_a_revoked_key_stays_revoked(registry: Registry) -> None:
    key, _ = registry.create("alice")
    assert registry.revoke("alice").revoked == 1000.0
    with pytest.raises(ConfigError, match="revoked or has expired"):
        registry.rotate(key.id, grace_s=0)
    with pytest.raises(ConfigError, match="no key 'alice'"):
        registry.revoke("alice")


def test_a_name_that_several_keys_have_is_no_answer(registry: Registry) -> None:
    first, _ = registry.create("alice")
    second, _ = registry.create("alice")
    with pytest.raises(ConfigError, match="several keys") as raised:
        registry.revoke("alice")
    assert first.id in str(raised.value)
    assert second.id in str(raised.value)
    registry.revoke(first.id)
    assert registry.key("alice") == second


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 101, "\x1b[31m"])
def test_what_cannot_be_a_name(registry: Registry, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a name"):
        registry.create(name)
    with pytest.raises(ConfigError, match="cannot be a name"):
        registry.create_team(name, Terms())


def test_sql_in_a_name_is_a_name(registry: Registry) -> None:
    name = "'; DROP TABLE emf_keys; --"
    key, _ = registry.create(name)
    assert registry.key(name) == key


def test_a_team_goes_when_its_keys_have_gone(registry: Registry) -> None:
    with pytest.raises(ConfigError, match="no team 'ops'"):
        registry.create("alice", team="ops")
    registry.create_team("ops", Terms())
    key, _ = registry.create("alice", team="ops")
    with pytest.raises(ConfigError, match=key.id):
        registry.remove_team("ops")
    registry.revoke(key.id)
    registry.remove_team("ops")
    assert registry.teams() == []
    with pytest.raises(ConfigError, match="no team"):
        registry.remove_team("ops")
    registry.create_team("ops", TERMS)
    assert registry.team("ops").terms == TERMS


def test_a_team_is_made_once_and_then_changed(registry: Registry) -> None:
    """A second ``create`` would take away what bounds its keys."""
    registry.create_team("ops", TERMS)
    with pytest.raises(ConfigError, match="team 'ops' already: 'emafusion teams change'"):
        registry.create_team("ops", Terms())
    assert registry.team("ops").terms == TERMS
    changed = registry.change_team("ops", lambda old: structs.replace(old, prefer=0.75))
    assert changed == registry.team("ops")
    assert changed.terms == structs.replace(TERMS, prefer=0.75)
    with pytest.raises(ConfigError, match="no team 'opps'"):
        registry.change_team("opps", lambda old: old)


def test_a_key_takes_other_terms(registry: Registry) -> None:
    made, token = registry.create("alice")
    registry.create_team("ops", Terms())
    changed = registry.change(
        "alice",
        lambda key: structs.replace(
            key, terms=TERMS, team="ops", scopes=frozenset({"chat"}), id="other", name="bob"
        ),
    )
    expected = structs.replace(made, terms=TERMS, team="ops", scopes=frozenset({"chat"}))
    assert changed == registry.key("alice") == registry.key(token) == expected
    with pytest.raises(ConfigError, match="no team 'opps'"):
        registry.change("alice", lambda key: structs.replace(key, team="opps"))
    freed = registry.change("alice", lambda key: structs.replace(key, team=""))
    assert freed.team == ""
    registry.remove_team("ops")
    registry.revoke("alice")
    with pytest.raises(ConfigError, match="is revoked"):
        registry.change(changed.id, lambda key: key)


def test_a_revocation_is_not_undone_by_a_change_made_meanwhile(
    registry: Registry, connect: Connect
) -> None:
    registry.create("alice")
    revoking = Thread(target=Registry(connect()).revoke, args=("alice",))

    def edit(key: Key) -> Key:
        revoking.start()
        revoking.join(timeout=0.5)
        return structs.replace(key, terms=TERMS)

    changed = registry.change("alice", edit)
    revoking.join()
    found = registry.key(changed.id)
    assert found.revoked is not None
    assert found.terms == TERMS


def test_budgets_are_set_seen_and_taken_away(registry: Registry) -> None:
    key, _ = registry.create("alice")
    registry.create_team("ops", Terms())
    assert registry.set_budget("key:alice", "day", 5.0) == f"key:{key.id}"
    registry.set_budget("team:ops", "month", 0.1)
    registry.set_budget("model:gpt", "total", 0.0)
    found = {(one.holder, one.period): one for one in registry.spending()}
    mine = found[f"key:{key.id}", "day"]
    assert (mine.limit_usd, mine.left_usd, mine.spent_usd, mine.renews) == (5.0, 5.0, 0.0, 86400.0)
    assert found["model:gpt", "total"].renews is None
    assert found["team:ops", "month"].renews == 31 * 86400.0
    registry.set_budget("key:alice", "day", None)
    assert len(registry.spending()) == 2


@pytest.mark.parametrize("holder", ["alice", "key:", "user:x", "key:nobody", "team:nobody"])
def test_who_cannot_hold_a_budget(registry: Registry, holder: str) -> None:
    with pytest.raises(ConfigError):
        registry.set_budget(holder, "day", 1.0)
    with pytest.raises(ConfigError):
        registry.holder(holder)


@pytest.mark.parametrize("usd", [-1.0, float("nan"), float("inf"), 1e10])
def test_what_is_no_sum(registry: Registry, usd: float) -> None:
    with pytest.raises(ConfigError, match="a budget is from"):
        registry.set_budget("model:x", "day", usd)


def test_a_newer_schema_is_refused(connect: Connect) -> None:
    one = connect()
    ahead = len(migrations()) + 1

    def work(connection: Connection) -> int:
        return connection.run("INSERT INTO emf_schema VALUES ($1, 'later')", ahead)

    one.transact(work)
    other = connect()
    for _ in range(2):
        with pytest.raises(StoreError, match="newer emafusion"):
            other.transact(lambda connection: None)


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "accounts.db"
    with closing(database(str(path))) as one:
        Registry(one).create("alice")
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_programs_file_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "accounts.db"
    path.write_text("not a database, but long enough to look at, and then some more of it" * 20)
    with closing(database(str(path))) as one, pytest.raises(StoreError, match="not a database"):
        Registry(one).keys()
    assert path.read_text().startswith("not a database")


def test_a_transaction_that_fails_changes_nothing(connect: Connect) -> None:
    one = connect()

    def work(connection: Connection) -> None:
        connection.run("INSERT INTO emf_workers (id, seen) VALUES ('w', 1.0)")
        raise ConfigError("stop")

    with pytest.raises(ConfigError, match="stop"):
        one.transact(work)
    found = one.transact(lambda c: c.rows(tuple[int], "SELECT count(*) FROM emf_workers"))
    assert found == [(0,)]


def test_nobody_there_is_said_without_the_password() -> None:
    place = "postgresql://me:s3cret@127.0.0.1:1/none"
    with pytest.raises(StoreError) as raised:
        database(place).transact(lambda connection: None)
    assert "s3cret" not in str(raised.value)
    with pytest.raises(ConfigError) as wrong:
        database("postgresql://me:s3cret@[::1/none?x")
    assert "s3cret" not in str(wrong.value)


def test_a_locked_file_is_no_crash(tmp_path: Path) -> None:
    """The lock of another process is waited for, and then told of."""
    path = tmp_path / "accounts.db"
    one = SQLiteDatabase(path, busy_timeout_s=0.05)
    registry = Registry(one)
    registry.create("alice")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        registry.keys()
    other.execute("ROLLBACK")
    other.close()
    assert len(registry.keys()) == 1
    one.close()
