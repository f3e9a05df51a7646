"""Looking at a database without changing it, not even its schema."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from trigger_core.errors import StoreError
from trigger_platform.store import migrate, statements
from trigger_platform.store.database import Tx
from trigger_platform.store.opening import is_server, require_driver
from trigger_platform.store.rows import Count
from trigger_platform.store.sqlite import DIALECT, SqliteTx

__all__ = ["Inspection", "inspected"]

_MOST_FAULTS = 20


@dataclass(frozen=True, slots=True)
class Inspection:
    """An open database.

    Attributes:
        tx: for reading.
        schema: the number of its schema.
        newest: the number this software knows.
        damage: what the database itself finds broken; a PostgreSQL server looks after its files itself.
    """

    tx: Tx
    schema: int
    newest: int
    damage: list[str]

    def sizes(self) -> tuple[dict[str, int], str]:
        """Return how large the tables are, in bytes, or in rows where SQLite was built without statistics."""
        try:
            found, unit = self.tx.all("table_bytes", Count), "bytes"
        except sqlite3.OperationalError:
            found, unit = self.tx.all("table_rows", Count), "rows"
        return {row.name: row.count for row in found}, unit


def inspected(address: str) -> AbstractContextManager[Inspection]:
    """Open a database for reading alone.

    Raises:
        StoreTooNewError: a newer version of this software wrote it.
        StoreDamagedError: it is no database or too damaged to be read.
        StoreError: there is no such file, the server cannot be reached, it belongs to another program, or
            the driver for PostgreSQL is not installed.
    """
    if not is_server(address):
        return _inspected_file(address)
    require_driver()
    from trigger_platform.store.postgres import inspection  # noqa: PLC0415 - an extra

    return inspection.inspected(address)


@contextmanager
def _inspected_file(address: str) -> Iterator[Inspection]:
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
        yield Inspection(tx, schema, known[-1][0], damage)
    except sqlite3.DatabaseError as error:
        raise migrate.damaged(address, str(error)) from error
    finally:
        with suppress(sqlite3.Error):
            connection.rollback()
        connection.close()
