"""PostgreSQL databases: what is refused, how time is told, which queries use an index."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from support import postgres
from support.hot import HOT
from trigger_core.errors import StoreError, StoreTooNewError
from trigger_platform.store import statements
from trigger_platform.store.opening import open_database
from trigger_platform.store.postgres import address, tx
from trigger_platform.store.postgres.clock import ServerClock
from trigger_platform.store.postgres.database import PostgresDatabase
from trigger_platform.store.rows import LogRow, as_params


@pytest.fixture
def connection() -> Iterator[psycopg.Connection[tuple[str, ...]]]:
    """A connection to a database with our schema."""
    with psycopg.connect(postgres.shared_database(), autocommit=True) as opened:
        yield opened


def test_a_database_of_a_newer_version_is_refused() -> None:
    """With the way out."""
    url = postgres.empty_database()
    PostgresDatabase(url).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("insert into schema_migration (number) values (999)")

    with pytest.raises(StoreTooNewError, match="newer version"):
        PostgresDatabase(url)


def test_a_database_of_another_program_is_refused_and_not_touched() -> None:
    """Nothing is added to it."""
    url = postgres.empty_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table theirs (x integer)")

    with pytest.raises(StoreError, match="another program") as caught:
        PostgresDatabase(url)
    assert caught.value.code == "STORE_FOREIGN"
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "select count(*) from information_schema.tables where table_schema = 'public'"
        ).fetchone()
    assert found == (1,)


def test_two_processes_that_start_at_once_make_the_schema_once() -> None:
    """One waits for the other."""
    url = postgres.empty_database()
    with ThreadPoolExecutor(4) as threads:
        opened = list(threads.map(lambda _: PostgresDatabase(url), range(4)))
    for one in opened:
        one.close()


def test_a_database_that_does_not_exist_is_named() -> None:
    """In one sentence."""
    with pytest.raises(StoreError, match="cannot be reached"):
        PostgresDatabase(f"{postgres.server().url}_missing")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://h:port/x",
        "postgresql://h:1,g:port/x",
        "postgresql://h/x?prepared_statements=maybe",
    ],
)
def test_an_address_that_cannot_be_read_is_refused(url: str) -> None:
    """Before anything is tried."""
    with pytest.raises(StoreError) as caught:
        PostgresDatabase(url)
    assert caught.value.code == "STORE_ADDRESS_INVALID"


def test_what_people_are_shown_has_no_password() -> None:
    """And the driver is not given what is ours."""
    read = address.parse("postgres://u:pw@h:5433/n?sslmode=require&prepared_statements=off")

    assert read.shown == "postgresql://u@h:5433/n"
    assert read.url == "postgresql://u:pw@h:5433/n?sslmode=require"
    assert not read.prepares
    several = address.parse("postgresql://u:pw@one:5433,[::1],three/n")
    assert several.shown == "postgresql://u@one:5433,[::1],three/n"
    assert several.url == "postgresql://u:pw@one:5433,[::1],three/n"


def test_statements_need_not_be_prepared() -> None:
    """For poolers that cannot keep them."""
    db = open_database(f"{postgres.emptied_database()}?prepared_statements=off")
    db.submit(lambda one: one.run("setting_set", name="a", value="b")).result(timeout=5)

    assert db.submit(lambda one: one.scalar("setting_get", name="a")).result(timeout=5) == "b"
    assert (
        db.submit(
            lambda one: one.connection.execute("table pg_prepared_statements").fetchall()
        ).result()
        == []
    )  # type: ignore[attr-defined]
    db.close()


def test_a_missing_driver_is_answered_by_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not by an import error."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"pip install 'trigger-dev\[postgres\]'"):
        open_database("postgresql://localhost/x")


def test_a_nul_in_a_text_is_kept_as_a_mark() -> None:
    """PostgreSQL has none; a line of a log must not stop a worker's report."""
    db = open_database(postgres.emptied_database())
    row = LogRow("r", 1, 1, "INFO", "s", message="a\0b", attributes='{"x": "\\u0000"}')
    db.submit(lambda one: one.many("log_insert", [as_params(row)])).result(timeout=5)
    db.submit(lambda one: one.run("setting_set", name="a", value="\0")).result(timeout=5)
    db.close()
    with psycopg.connect(postgres.shared_database()) as connection:
        found = connection.execute("select message, attributes from run_log").fetchone()
    assert found == ("a\ufffdb", '{"x": "\\u0000"}')


def test_the_clock_follows_the_server_and_not_this_machine() -> None:
    """What the way there and back explains is no difference."""
    clock = ServerClock()
    clock.learn(5_000_000, 0.0, 0.002)
    clock.learn(5_000_000 + 3, 0.0, 0.004)
    first = clock.now()
    clock.learn(9_000_000, 0.0, 0.002)

    assert clock.now() - first >= 4_000_000


def test_a_set_based_text_exists_for_the_same_parameters() -> None:
    """The overlay says nothing that the common text does not."""
    common = statements.load(replace(tx.DIALECT, name="common"))
    for name, statement in tx.load().items():
        if statement.is_set:
            wanted = set(re.findall(r":(\w+)", common[name]))
            listed = statement.text.partition("each (")[2]
            assert wanted <= set(re.findall(r"(\w+) (?:text|bigint|double)", listed)), name


@pytest.mark.parametrize("name", HOT)
def test_a_hot_statement_never_scans_a_table(
    connection: psycopg.Connection[tuple[str, ...]], name: str
) -> None:
    """However many finished runs there are."""
    text = re.sub(r"%\((\w+)\)s", _example, tx.load()[name].text)
    connection.execute("set enable_seqscan = off")
    connection.execute("set enable_hashjoin = off")
    connection.execute("set enable_mergejoin = off")
    plan = [row[0] for row in connection.execute(f"explain {text}")]

    assert [line for line in plan if "Seq Scan" in line] == []


def _example(match: re.Match[str]) -> str:
    return "'[]'" if match[1] in {"ids", "run_ids", "rows", "names", "keys", "queues"} else "'1'"
