"""``trigger server migrate``: the schema as a step of its own, and servers that start or run meanwhile."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import psycopg
import pytest

from support import postgres
from support.dev import run_cli
from support.http import PROJECT
from support.server import Started
from trigger_core.api.calls import runs as run_calls
from trigger_core.api.calls import tasks as task_calls
from trigger_core.schemas.trigger import TriggerTask
from trigger_platform.store import migrate, statements
from trigger_platform.store.sqlite import DIALECT

NEWEST = statements.newest()


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A database of the first schema."""
    file = tmp_path / "old.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        migrate.migrate(connection, statements.migrations(DIALECT)[:1])
    return file


def test_what_is_missing_is_said_by_the_exit_code_and_changes_nothing(old: Path) -> None:
    """Until it is asked to."""
    command = ("server", "migrate", "--database", str(old), "--json")
    before = old.read_bytes()
    checked = run_cli(*command, "--check", cwd=old.parent)
    assert (checked.returncode, json.loads(checked.stdout)["schema"]) == (10, 1)
    assert old.read_bytes() == before

    done = run_cli(*command, cwd=old.parent)
    assert (done.returncode, json.loads(done.stdout)["schema"]) == (0, NEWEST)
    assert run_cli(*command, "--check", cwd=old.parent).returncode == 0


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_server_that_is_not_to_migrate_does_not_start_on_an_older_schema(
    old: Path, kind: str
) -> None:
    """It says what to do, and nothing was changed."""
    address = postgres.empty_database() if kind == "postgres" else str(old)
    start = ("server", "start", "--database", address, "--project", PROJECT, "--port", "0")
    shown = run_cli(*start, "--no-migrate", cwd=old.parent)

    assert shown.returncode == 1
    assert "error STORE_BEHIND" in shown.stderr
    assert "trigger server migrate" in shown.stderr
    check = ("server", "migrate", "--check", "--database", address)
    assert run_cli(*check, cwd=old.parent).returncode == 10


@pytest.mark.slow
def test_servers_that_start_at_once_migrate_once() -> None:
    """Each of them serves."""
    url = postgres.empty_database()
    with ThreadPoolExecutor(4) as threads, ExitStack() as stack:
        servers = list(threads.map(lambda _: Started(url), range(4)))
        for server in servers:
            stack.callback(server.end)
        assert [httpx.get(f"{one.ready['url']}/readyz").status_code for one in servers] == [200] * 4
        with psycopg.connect(url) as connection:
            numbers = connection.execute("select number from schema_migration order by number")
            applied = [row[0] for row in numbers]
    assert applied == [number for number, _ in statements.migrations(DIALECT)]


@pytest.mark.slow
def test_files_that_are_opened_at_once_are_migrated_once(tmp_path: Path) -> None:
    """By whoever is first."""
    path = tmp_path / "p.db"
    known = statements.migrations(DIALECT)

    def open_and_migrate(_n: int) -> int:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=20)) as connection:
            migrate.migrate(connection, known)
            return int(connection.execute("pragma user_version").fetchone()[0])

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(open_and_migrate, range(8))) == [NEWEST] * 8


@pytest.mark.slow
def test_a_server_goes_on_while_the_next_version_adds_to_the_schema() -> None:
    """A column, a table and an index are no business of a server that does not know them."""
    url = postgres.empty_database()
    server = Started(url)
    with psycopg.connect(url) as connection:
        connection.execute("alter table run add column of_the_future text not null default 'x'")
        connection.execute("create table of_the_future (id text primary key)")
        connection.execute("create index of_the_future_run on run (of_the_future)")
        connection.execute("insert into schema_migration (number) values (9999)")
    with closing(server.client) as client:
        run_id = client.send(task_calls.trigger("task", TriggerTask())).id
        assert client.send(run_calls.retrieve(run_id)).status == "QUEUED"
    assert httpx.get(f"{server.ready['url']}/readyz").status_code == 200
    assert server.stop()[0] == 0
