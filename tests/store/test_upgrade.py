"""A database of the first version, with rows, is brought up to date and goes on as it was."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import psycopg
import pytest

from support import keys, postgres
from trigger_core.clock import SystemClock
from trigger_platform.engine import environment, organization, project, secret_key
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit, Units
from trigger_platform.store import migrate, sqlite
from trigger_platform.store.opening import open_database
from trigger_platform.store.postgres import tx
from trigger_platform.store.statements import migrations

REF = "proj_abcdefghijklmnopqrst"
KEY = "tr_dev_" + "k" * 24
ROWS = [
    f"insert into project (id, ref, name, created_at) values ('p', '{REF}', 'mine', 7)",  # noqa: S608
    f"""insert into environment (
        id, project_id, slug, type, secret_key, concurrency_limit, burst_factor, created_at
    ) values ('e', 'p', 'dev', 'DEVELOPMENT', '{KEY}', 5, 1.0, 7)""",  # noqa: S608
    "insert into setting (name, value) values ('local-access-token', 'tr_pat_plain')",
    "insert into access_token (id, token_hash, name, created_at) values ('t', 'h', 'local', 7)",
]


def _old_sqlite(path: Path) -> str:
    connection = sqlite3.connect(path, isolation_level=None)
    migrate.migrate(connection, migrations(sqlite.DIALECT)[:1])
    for row in ROWS:
        connection.execute(row)
    connection.close()
    return str(path)


def _old_postgres() -> str:
    address = postgres.empty_database()
    with psycopg.connect(address) as connection:
        connection.execute(migrations(tx.DIALECT)[0][1])
        connection.execute(
            "create table schema_migration ("
            "number integer primary key, applied_at timestamptz not null default now())"
        )
        connection.execute("insert into schema_migration (number) values (1)")
        for row in ROWS:
            connection.execute(row)
    return address


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_project_of_the_first_version_belongs_to_the_user_of_this_machine(
    kind: str, tmp_path: Path
) -> None:
    """With the same key; of the token that was kept in plain text nothing is left."""
    db = open_database(_old_postgres() if kind == "postgres" else _old_sqlite(tmp_path / "t.db"))
    units = Units(db, SystemClock(), random.Random(1), keys.ring())

    def work(u: Unit) -> project.Ensured:
        secret_key.seal_plain_ones(u)
        found = project.ensure(u, REF)
        opened = environment.by_secret_key(u, KEY)
        assert opened is not None
        assert (opened.id, opened.concurrency_limit) == ("e", 5)
        assert organization.role_of(u, "org_local", "user_local") is Role.OWNER
        assert u.tx.scalar("setting_get", name="local-access-token") is None
        return found

    ensured = units.write_sync(work)
    db.close()

    assert (ensured.project.id, ensured.project.name) == ("p", "mine")
    assert ensured.environment.id == "e"
    assert secret_key.read(keys.ring(), ensured.environment) == KEY
