"""Migrations of databases that hold rows already."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg

from support import postgres
from trigger_platform.store import migrate, statements
from trigger_platform.store.opening import open_database
from trigger_platform.store.postgres.tx import DIALECT as POSTGRES
from trigger_platform.store.sqlite import DIALECT as SQLITE

_REALTIME = 6
_RUN = """insert into run (id, environment_id, task, status, execution_status, sequence, queue, anchor,
    position, created_at, updated_at, tags)
values ('run_1', 'env', 'task', 'PENDING', 'QUEUED', 1, 'task/task', 1, 1, 1, 1, '["a", "b"]'),
    ('run_2', 'env', 'task', 'PENDING', 'QUEUED', 1, 'task/task', 1, 1, 1, 1, null)"""
_TAGS = "select environment_id, tag, run_id from run_tag order by tag"
_EXPECTED = [("env", "a", "run_1"), ("env", "b", "run_1")]


def test_runs_of_a_file_from_before_are_found_by_their_tags(tmp_path: Path) -> None:
    """The migration reads the tags of every run."""
    file = tmp_path / "old.db"
    connection = sqlite3.connect(file, isolation_level=None)
    before = [one for one in statements.migrations(SQLITE) if one[0] < _REALTIME]
    migrate.migrate(connection, before)
    connection.execute(_RUN)
    connection.close()
    open_database(file).close()
    connection = sqlite3.connect(file)

    assert connection.execute(_TAGS).fetchall() == _EXPECTED
    connection.close()


def test_runs_of_a_database_from_before_are_found_by_their_tags() -> None:
    """On PostgreSQL too."""
    text = dict(statements.migrations(POSTGRES))[_REALTIME]
    [filling] = [one for one in text.split(";") if "insert into run_tag" in one]
    with psycopg.connect(postgres.emptied_database()) as connection:
        connection.execute(_RUN)
        connection.execute(filling)

        assert connection.execute(_TAGS).fetchall() == _EXPECTED
