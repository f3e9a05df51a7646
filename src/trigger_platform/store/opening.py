"""Opening a database by its address: a file, memory, or a PostgreSQL server."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from trigger_core.errors import StoreError
from trigger_platform.store import sqlite
from trigger_platform.store.database import Database

__all__ = ["is_server", "open_database", "require_driver"]

_SCHEMES = ("postgresql://", "postgres://")


def is_server(address: str | Path) -> bool:
    """Tell whether the address names a server rather than a file."""
    return str(address).startswith(_SCHEMES)


def require_driver() -> None:
    """Refuse to go on without the driver for PostgreSQL.

    Raises:
        StoreError: it is not installed.
    """
    if find_spec("psycopg") is None:
        raise StoreError(
            "the driver for PostgreSQL is not installed",
            code="STORE_DRIVER_MISSING",
            hint="pip install 'trigger-dev[postgres]'",
        )


def open_database(address: str | Path, *, durable: bool = True) -> Database:
    """Open the database at an address.

    Args:
        address: ``postgresql://…``, the path of a SQLite file, or ``":memory:"``.
        durable: whether an acknowledged write survives a power cut.

    Raises:
        StoreError: it cannot be used, or the driver for PostgreSQL is not installed.
    """
    if not is_server(address):
        return sqlite.open_database(address, durable=durable)
    require_driver()
    from trigger_platform.store.postgres.database import (  # noqa: PLC0415 - an extra
        PostgresDatabase,
    )

    return PostgresDatabase(str(address), durable=durable)
