"""What is sensitive is in no table, no row, no key and no file of PostgreSQL and Valkey."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
import valkey as driver

from ..parts import until
from ..valkeys import Server, running
from .house import decision
from .taint import (
    ANYWHERE,
    EMAIL,
    RESTRICTED,
    TEXT,
    WORD,
    Place,
    placed,
    said,
    settings,
    streamed,
    tapped,
)
from .tap import PLACEHOLDER, spellings


class Postgres(Protocol):
    """What these tests ask of the server."""

    folder: Path

    def fresh(self) -> str: ...


@pytest.fixture(scope="module")
def unused_valkey() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture(scope="module")
def place(
    unused_postgres: Postgres, unused_valkey: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A worker that keeps nothing itself."""
    address = unused_postgres.fresh()
    environment = {
        "EMF_TEST_ACCOUNTS": address,
        "EMF_TEST_VALKEY": unused_valkey.url,
        "TAINT_SECRET": "x",
    }
    with pytest.MonkeyPatch.context() as patch, tapped() as taps:
        for name, value in environment.items():
            patch.setenv(name, value)
        told = settings(*taps, names=("plain", "bytewise"))
        told = told.replace("FOLDER/record.db", "env:EMF_TEST_ACCOUNTS")
        told = told.replace("[gateway]\n", '[gateway]\nvalkey = "env:EMF_TEST_VALKEY"\n')
        told = told.replace("FOLDER/accounts.db", "env:EMF_TEST_ACCOUNTS")
        told = told.replace("workers = 2", "workers = 1")
        folder = tmp_path_factory.mktemp("taint")
        with placed(folder, told, taps, place=address, record=address) as found:
            yield found


def rows(address: str) -> bytes:
    """All that all tables hold, as text."""
    found: list[str] = []
    with psycopg.connect(address, autocommit=True) as link:
        link.execute("CHECKPOINT")
        tables = link.execute(
            "SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM "
            "information_schema.tables WHERE table_schema NOT IN ('pg_catalog', "
            "'information_schema')"
        ).fetchall()
        for (table,) in tables:
            query: Any = f"SELECT t::text FROM {table} t"
            found += [row for (row,) in link.execute(query).fetchall()]
    return "\n".join(found).encode()


def kept(server: Server) -> bytes:
    """All that all keys hold, their names too."""
    found: list[bytes] = []
    with driver.Valkey(unix_socket_path=str(server.socket)) as link:
        for name in link.scan_iter():
            found += [name, link.dump(name) or b""]
            if link.type(name) == b"string":
                found.append(link.get(name) or b"")
            if link.type(name) == b"hash":
                found += [part for pair in link.hgetall(name).items() for part in pair]
            if link.type(name) == b"stream":
                found.append(str(link.xrange(name)).encode())
    return b"\n".join(found)


def files(folder: Path) -> bytes:
    """All that the server's files hold, its log of changes too."""
    return b"\n".join(one.read_bytes() for one in folder.rglob("*") if one.is_file())


def test_state_holds_placeholders_alone(
    place: Place, unused_postgres: Postgres, unused_valkey: Server
) -> None:
    house, key = place.house, place.key
    for n in range(3):
        assert said(place.ask("plain", text=TEXT, user=EMAIL)) == f"echo: {TEXT}", n
        assert streamed(place.ask("bytewise", text=f"{n} {TEXT}", stream=True)).endswith(TEXT)
    until(lambda: place.ask("plain", text=TEXT).headers["x-emafusion-cache"] == "hit")
    asked: dict[str, Any] = {"model": "plain", "input": TEXT, "user": EMAIL}
    first = house.send("/v1/responses", key, asked)
    assert first.status == 200, first.content
    further = {"model": "plain", "input": f"And {EMAIL}?"}
    further["previous_response_id"] = first.json["id"]
    assert house.send("/v1/responses", key, further).status == 200
    vectors = {"model": "vectors", "input": TEXT, "user": EMAIL}
    assert house.send("/v1/embeddings", key, vectors).status == 200
    name = decision(place.ask("plain", text="What is the capital of Chile?"))
    opinion = {"decision_id": name, "score": 1, "user": EMAIL, "comment": TEXT}
    assert house.send("/v1/feedback", key, opinion).status == 200
    assert WORD in said(place.ask("ours", text=WORD, headers=RESTRICTED))

    everything = {
        "tables": rows(place.house.place),
        "keys": kept(unused_valkey),
        "files": files(unused_postgres.folder / "data"),
        "cache's files": files(unused_valkey.socket.parent),
    }
    for where in ("tables", "keys"):
        assert PLACEHOLDER.search(everything[where].decode("latin-1")) is not None, where
    for where, content in everything.items():
        found = [one for one in ANYWHERE if any(form in content for form in spellings(one))]
        assert found == [], where
    place.clean()
