"""The accounts beside a record whose schema has the role's name."""

from __future__ import annotations

from typing import Protocol

import psycopg

from emafusion.gateway.accounts import Registry, database
from emafusion.record import Store


class Postgres(Protocol):
    """What this test needs of the server."""

    def fresh(self) -> str: ...


async def test_keys_stay_where_they_are_when_a_schema_comes_first(postgres: Postgres) -> None:
    place = postgres.fresh()
    with psycopg.connect(place, autocommit=True) as admin:
        if not admin.execute("SELECT FROM pg_roles WHERE rolname = 'emafusion'").fetchall():
            admin.execute("CREATE ROLE emafusion SUPERUSER LOGIN")
    place = place.replace("postgres@", "emafusion@")
    before = database(place)
    Registry(before).spending()
    store = Store(place)
    await store.ready()
    await store.aclose()
    after = database(place)
    Registry(after).spending()
    with psycopg.connect(place) as looking:
        found = looking.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'emf_keys'")
        assert found.fetchall() == [("public",)]
    before.close()
    after.close()
