"""Opening a database by its address: a file, memory, or a PostgreSQL server."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path

from trigger_core.errors import StoreError
from trigger_platform.store import sqlite, sqlite_inspection
from trigger_platform.store.database import Database
from trigger_platform.store.inspection import Inspection

__all__ = ["inspected", "is_server", "open_database"]

_SCHEMES = ("postgresql://", "postgres://")


def is_server(address: str | Path) -> bool:
    """Tell whether the address names a server rather than a file."""
    return str(address).startswith(_SCHEMES)


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
    _require_driver()
    from trigger_platform.store.postgres.database import (  # noqa: PLC0415 - an extra
        PostgresDatabase,
    )

    return PostgresDatabase(str(address), durable=durable)


def inspected(address: str) -> AbstractContextManager[Inspection]:
    """Look at the database at an address without changing it.

    Raises:
        StoreError: it cannot be read, or the driver for PostgreSQL is not installed.
    """
    if not is_server(address):
        return sqlite_inspection.inspected(address)
    _require_driver()
    from trigger_platform.store.postgres import inspection  # noqa: PLC0415 - an extra

    return inspection.inspected(address)


def _require_driver() -> None:
    if find_spec("psycopg") is None:
        raise StoreError(
            "the driver for PostgreSQL is not installed",
            code="STORE_DRIVER_MISSING",
            hint="pip install 'trigger-dev[postgres]'",
        )
