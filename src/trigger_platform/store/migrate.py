"""Numbered migrations of a SQLite file, and refusing files that are not for us."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from trigger_core.errors import StoreDamagedError, StoreError, StoreTooNewError

__all__ = ["APPLICATION_ID", "Migration", "check", "damaged", "migrate"]

Migration = tuple[int, str]
"""Number and SQL text."""

APPLICATION_ID = 0x54524731
_QUICK_CHECK_BELOW_BYTES = 16 * 1024 * 1024


def check(connection: sqlite3.Connection, path: str, known: Sequence[Migration]) -> None:
    """Refuse a file that is damaged, foreign, or written by a newer version; change nothing.

    Raises:
        StoreDamagedError, StoreTooNewError, StoreError: as their names say.
    """
    try:
        tables = connection.execute("select count(*) from sqlite_master").fetchone()[0]
        owner = connection.execute("pragma application_id").fetchone()[0]
        version = connection.execute("pragma user_version").fetchone()[0]
        if tables and _small(path):
            _quick_check(connection, path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise damaged(path, str(error)) from error
    if tables and owner != APPLICATION_ID:
        raise StoreError(
            f"{path} is a SQLite file of another program",
            code="STORE_FOREIGN",
            hint="choose another data folder, or move the file away",
        )
    newest = known[-1][0]
    if version > newest:
        raise StoreTooNewError(
            f"{path} was written by a newer version",
            because=f"its schema is number {version}, this version knows {newest}",
            hint="update trigger-dev, or use another data folder",
        )


def damaged(path: str, because: str) -> StoreDamagedError:
    """Return the error for a damaged file."""
    return StoreDamagedError(
        f"the database file {path} is damaged",
        because=because,
        hint="restore it from a copy, or move it away to start with an empty one; nothing was changed",
    )


def migrate(connection: sqlite3.Connection, known: Sequence[Migration]) -> None:
    """Apply the migrations that are missing, each in one transaction; another process may do so too."""
    for number, text in known:
        if number > _version(connection):
            connection.execute("begin exclusive")
            if number > _version(connection):
                _apply(connection, number, text)
            connection.execute("commit")


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("pragma user_version").fetchone()[0])


def _apply(connection: sqlite3.Connection, number: int, text: str) -> None:
    for statement in _split(text):
        connection.execute(statement)
    connection.execute(f"pragma application_id = {APPLICATION_ID}")
    connection.execute(f"pragma user_version = {number}")


def _small(path: str) -> bool:
    file = Path(path)
    return file.is_file() and file.stat().st_size < _QUICK_CHECK_BELOW_BYTES


def _quick_check(connection: sqlite3.Connection, path: str) -> None:
    verdict = connection.execute("pragma quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise damaged(path, verdict)


def _split(text: str) -> Iterator[str]:
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
