"""All that a thief of a database would have."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg import sql

from trigger_platform.store.opening import is_server

__all__ = ["bytes_of", "texts_of"]


def bytes_of(address: str) -> bytes:
    """Return the files of a SQLite database, or every row of every table of a PostgreSQL one."""
    if is_server(address):
        return "\n".join(texts_of(address)).encode()
    file = Path(address)
    parts = [file, file.with_name(f"{file.name}-wal")]
    return b"".join(part.read_bytes() for part in parts if part.exists())


def texts_of(address: str) -> list[str]:
    """Return every row of every table as a text."""
    with psycopg.connect(address) as connection:
        tables = connection.execute(
            "select table_name from information_schema.tables where table_schema = current_schema()"
        ).fetchall()
        found: list[str] = []
        for (table,) in tables:
            query = sql.SQL("select each::text from {} each").format(sql.Identifier(table))
            found += [str(row[0]) for row in connection.execute(query)]
    return found
