"""Dumping a SQLite file while servers write to it, and filling one from a dump."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from trigger_core.clock import SystemClock
from trigger_core.errors import StoreError
from trigger_platform.store import migrate, statements
from trigger_platform.store.dump import Dump, Source, Table, in_order
from trigger_platform.store.sqlite import DIALECT

__all__ = ["fill", "is_empty", "source"]

_TABLES = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"


class _SqliteSource:
    """A file on one snapshot."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute("begin")
        self.schema: int = connection.execute("pragma user_version").fetchone()[0]
        self.now = SystemClock().now()

    def tables(self) -> list[Table]:
        """Return the tables, those first that others refer to."""
        names = [row[0] for row in self._connection.execute(_TABLES)]
        return in_order(
            [Table(name, tuple(self._columns(name))) for name in names],
            [(name, other) for name in names for other in self._referred(name)],
        )

    def rows(self, table: Table) -> Iterator[tuple[Any, ...]]:
        """Yield every row."""
        columns = ", ".join(table.columns)
        yield from self._connection.execute(f"select {columns} from {table.name}")  # noqa: S608 - ours

    def _columns(self, table: str) -> Iterator[str]:
        for row in self._connection.execute("select name from pragma_table_info(?)", [table]):
            yield row[0]

    def _referred(self, table: str) -> Iterator[str]:
        found = 'select "table" from pragma_foreign_key_list(?)'
        for row in self._connection.execute(found, [table]):
            yield row[0]


@contextmanager
def source(address: str) -> Iterator[Source]:
    """Open a file for reading alone.

    Raises:
        StoreError: there is no such file, or it is not for us; the subclass says why.
    """
    path = Path(address)
    if not path.is_file():
        raise StoreError(
            f"there is no database file {address}",
            code="STORE_MISSING",
            hint="pass the path that the server was started with",
        )
    uri = f"{path.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        try:
            migrate.check(connection, address, statements.migrations(DIALECT))
            yield _SqliteSource(connection)
        except sqlite3.DatabaseError as error:
            raise migrate.damaged(address, str(error)) from error


def is_empty(address: str) -> bool:
    """Tell whether a file is not there, or has no row.

    Raises:
        StoreError: it is not for us.
    """
    if not Path(address).exists() or not Path(address).stat().st_size:
        return True
    with source(address) as opened:
        return not any(True for table in opened.tables() for _ in opened.rows(table))


def fill(address: str, dump: Dump) -> None:
    """Put a new file with the rows of a dump in the place of a file, at once or not at all.

    Raises:
        StoreError: somebody uses the file, or it cannot be written.
    """
    path = Path(address)
    _refuse_used(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write(draft, dump)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        draft.replace(path)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            f"the database {address} cannot be restored", code="RESTORE_FAILED", because=str(error)
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def _write(draft: Path, dump: Dump) -> None:
    known = statements.migrations(DIALECT)
    with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        connection.execute("pragma foreign_keys = off")
        connection.execute("pragma journal_mode = delete")
        migrate.migrate(connection, [one for one in known if one[0] <= dump.manifest.schema])
        connection.execute("begin")
        for table in dump.tables():
            columns = ", ".join(table.columns)
            marks = ", ".join("?" * len(table.columns))
            insert = f"insert into {table.name} ({columns}) values ({marks})"  # noqa: S608 - ours
            connection.executemany(insert, dump.rows(table))
        connection.execute("commit")
        migrate.migrate(connection, known)


def _refuse_used(path: Path) -> None:
    """A server has a file open as long as it runs; replacing it would lose what it writes."""
    if not path.exists():
        return
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        try:
            connection.execute("pragma locking_mode = exclusive")
            connection.execute("begin exclusive")
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"the database {path} is in use",
                code="STORE_IN_USE",
                because=str(error),
                hint="stop the server first",
            ) from error
        with suppress(sqlite3.Error):
            connection.execute("rollback")
