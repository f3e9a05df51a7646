"""Dumping a PostgreSQL database while servers write to it, and filling one from a dump."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg

from trigger_core.errors import StoreError
from trigger_platform.store.dump import Dump, Source, Table, in_order
from trigger_platform.store.postgres import schema
from trigger_platform.store.postgres.address import Address, parse
from trigger_platform.store.postgres.connection import connect, translate
from trigger_platform.store.postgres.tx import PostgresTx

__all__ = ["fill", "is_empty", "source"]

_NUL, _REPLACEMENT = "\0", "\ufffd"
_NOW = "select (extract(epoch from clock_timestamp()) * 1000)::bigint"
_TABLES = """select c.relname, array_agg(a.attname::text order by a.attnum)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relkind = 'r' and n.nspname = current_schema() and c.relname <> 'schema_migration'
group by c.relname"""
_REFERENCES = """select f.conrelid::regclass::text, f.confrelid::regclass::text
from pg_constraint f join pg_namespace n on n.oid = f.connamespace
where f.contype = 'f' and n.nspname = current_schema()"""
_SERIALS = """select c.relname, a.attname
from pg_class c join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid
where n.nspname = current_schema() and c.relkind = 'r' and a.attidentity <> ''"""
_USED = """select count(*) from pg_stat_activity
where datname = current_database() and application_name = 'trigger' and pid <> pg_backend_pid()"""
_PAGE = 2_000
_ENDING_S = 5.0
_LOOK_AGAIN_S = 0.05


class _PostgresSource:
    """A database on one snapshot."""

    def __init__(self, tx: PostgresTx, address: Address) -> None:
        self._tx = tx
        tx.plain("begin isolation level repeatable read read only")
        self.schema = schema.version(tx, address)
        [(self.now,)] = tx.plain(_NOW)

    def tables(self) -> list[Table]:
        """Return the tables, those first that others refer to."""
        return in_order(
            [Table(name, tuple(columns)) for name, columns in self._tx.plain(_TABLES)],
            [(one, other) for one, other in self._tx.plain(_REFERENCES)],
        )

    def rows(self, table: Table) -> Iterator[tuple[Any, ...]]:
        """Yield every row, a page of the server's cursor at a time."""
        columns = ", ".join(table.columns)
        with self._tx.connection.cursor("dump") as cursor:
            cursor.itersize = _PAGE
            yield from cursor.execute(f"select {columns} from {table.name}".encode())  # noqa: S608


@contextmanager
def source(url: str) -> Iterator[Source]:
    """Connect for reading alone, on one snapshot that holds nobody up.

    Raises:
        StoreError: it cannot be reached, or is not for us; the subclass says why.
    """
    address = parse(url)
    with closing(connect(address)) as connection:
        try:
            yield _PostgresSource(PostgresTx(connection, prepares=False), address)
        except psycopg.Error as error:
            raise translate(error, address) from error


def is_empty(url: str) -> bool:
    """Tell whether a database has no row of ours.

    Raises:
        StoreError: it cannot be reached, or belongs to another program.
    """
    address = parse(url)
    with closing(connect(address)) as connection:
        tx = PostgresTx(connection, prepares=False)
        if not schema.version(tx, address):
            return True
        return not any(
            tx.plain(f"select 1 from {name} limit 1")  # noqa: S608 - ours
            for name, _ in tx.plain(_TABLES)
        )


def fill(url: str, dump: Dump) -> None:
    """Put the rows of a dump in the place of what a database has, at once or not at all.

    Raises:
        StoreError: somebody uses the database, or it refuses.
    """
    address = parse(url)
    with closing(connect(address)) as connection:
        tx = PostgresTx(connection, prepares=False)
        _refuse_used(tx, address)
        try:
            tx.plain("begin")
            schema.refuse_unusable(tx, address)
            for (name,) in tx.plain(
                "select tablename from pg_tables where schemaname = current_schema()"
            ):
                tx.plain(f"drop table {name} cascade")
            schema.migrate(tx, address, up_to=dump.manifest.schema)
            for table in dump.tables():
                _copy(tx, table, dump)
            _continue_numbers(tx)
            schema.migrate(tx, address)
            tx.plain("commit")
            tx.plain("analyze")
        except psycopg.Error as error:
            raise translate(error, address) from error


def _copy(tx: PostgresTx, table: Table, dump: Dump) -> None:
    columns = ", ".join(table.columns)
    with (
        tx.connection.cursor() as cursor,
        cursor.copy(f"copy {table.name} ({columns}) from stdin".encode()) as copy,
    ):
        for row in dump.rows(table):
            copy.write_row([_storable(value) for value in row])


def _storable(value: Any) -> Any:
    """PostgreSQL has no NUL in texts; SQLite has."""
    if isinstance(value, str) and _NUL in value:
        return value.replace(_NUL, _REPLACEMENT)
    return value


def _continue_numbers(tx: PostgresTx) -> None:
    """Let numbered keys go on behind those that are there."""
    for table, column in tx.plain(_SERIALS):
        tx.plain(
            f"select setval(pg_get_serial_sequence('{table}', '{column}'),"  # noqa: S608 - ours
            f" coalesce(max({column}), 0) + 1, false) from {table}"
        )


def _refuse_used(tx: PostgresTx, address: Address) -> None:
    """Connections outlive their clients a little, also those of a server just stopped: wait for these."""
    deadline = time.monotonic() + _ENDING_S
    while count := _others(tx):
        if time.monotonic() < deadline:
            time.sleep(_LOOK_AGAIN_S)
            continue
        raise StoreError(
            f"the database {address.shown} is in use",
            code="STORE_IN_USE",
            because=f"there are {count} other connections of servers",
            hint="stop the servers first",
        )


def _others(tx: PostgresTx) -> int:
    [(count,)] = tx.plain(_USED)
    return int(count)
