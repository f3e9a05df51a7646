"""Looking at a SQLite file: what it says of itself, and what SQLite finds broken in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from trigger_core.clock import SystemClock
from trigger_core.errors import StoreError
from trigger_platform.store import migrate, statements
from trigger_platform.store.inspection import Inspection
from trigger_platform.store.rows import Count
from trigger_platform.store.sqlite import DIALECT, SqliteTx

__all__ = ["inspected"]

_MOST_FAULTS = 20


@dataclass(frozen=True, slots=True)
class _SqliteInspection(Inspection):
    """An open file."""

    def sizes(self) -> tuple[dict[str, int], str]:
        """Return how large the tables are, in rows where SQLite was built without statistics."""
        try:
            found, unit = self.tx.all("table_bytes", Count), "bytes"
        except sqlite3.OperationalError:
            found, unit = self.tx.all("table_rows", Count), "rows"
        return {row.name: row.count for row in found}, unit


@contextmanager
def inspected(address: str) -> Iterator[Inspection]:
    """Open a file for reading alone.

    Raises:
        StoreTooNewError: a newer version of this software wrote it.
        StoreDamagedError: it is no database or too damaged to be read.
        StoreError: there is no such file, or it belongs to another program.
    """
    path = Path(address)
    if not path.is_file():
        raise StoreError(
            f"there is no database file {address}",
            code="STORE_MISSING",
            hint="pass the path that the server was started with",
        )
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None
    )
    try:
        connection.execute("pragma query_only = 1")
        known = statements.migrations(DIALECT)
        migrate.check(connection, address, known)
        schema = connection.execute("pragma user_version").fetchone()[0]
        faults = connection.execute(f"pragma integrity_check({_MOST_FAULTS})").fetchall()
        damage = [row[0] for row in faults if row[0] != "ok"]
        connection.execute("begin")
        tx = SqliteTx(connection, statements.load(DIALECT))
        yield _SqliteInspection(tx, SystemClock().now(), schema, known[-1][0], damage)
    except sqlite3.DatabaseError as error:
        raise migrate.damaged(address, str(error)) from error
    finally:
        with suppress(sqlite3.Error):
            connection.rollback()
        connection.close()
