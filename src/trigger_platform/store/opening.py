"""Opening a database by its address: a file, memory, or a PostgreSQL server."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from trigger_core.errors import StoreError
from trigger_platform.store import sqlite, sqlite_dump, sqlite_inspection
from trigger_platform.store.database import Database
from trigger_platform.store.dump import Dump, Source
from trigger_platform.store.inspection import Inspection

__all__ = ["fill", "inspected", "is_empty", "is_server", "open_database", "source"]

_SCHEMES = ("postgresql://", "postgres://")


def is_server(address: str | Path) -> bool:
    """Tell whether the address names a server rather than a file."""
    return str(address).startswith(_SCHEMES)


def open_database(address: str | Path, *, durable: bool = True, migrates: bool = True) -> Database:
    """Open the database at an address.

    Args:
        address: ``postgresql://…``, the path of a SQLite file, or ``":memory:"``.
        durable: whether an acknowledged write survives a power cut.
        migrates: whether a schema that is not up to date is brought up to date, and not refused.

    Raises:
        StoreError: it cannot be used, or the driver for PostgreSQL is not installed.
    """
    if not is_server(address):
        return sqlite.open_database(address, durable=durable, migrates=migrates)
    _require_driver()
    from trigger_platform.store.postgres.database import (  # noqa: PLC0415 - an extra
        PostgresDatabase,
    )

    return PostgresDatabase(str(address), durable=durable, migrates=migrates)


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


def source(address: str) -> AbstractContextManager[Source]:
    """Read everything in the database at an address, on one snapshot.

    Raises:
        StoreError: it cannot be read, or the driver for PostgreSQL is not installed.
    """
    return _dumping(address).source(address)


def is_empty(address: str) -> bool:
    """Tell whether the database at an address has nothing that a restore would overwrite.

    Raises:
        StoreError: it cannot be read, or the driver for PostgreSQL is not installed.
    """
    return _dumping(address).is_empty(address)


def fill(address: str, dump: Dump) -> None:
    """Put the rows of a dump in the place of what the database at an address has.

    Raises:
        StoreError: it cannot be written, or the driver for PostgreSQL is not installed.
    """
    _dumping(address).fill(address, dump)


class _Dumping(Protocol):
    """What a module about dumps offers."""

    def source(self, address: str, /) -> AbstractContextManager[Source]: ...

    def is_empty(self, address: str, /) -> bool: ...

    def fill(self, address: str, dump: Dump, /) -> None: ...


def _dumping(address: str) -> _Dumping:
    if not is_server(address):
        return sqlite_dump
    _require_driver()
    from trigger_platform.store.postgres import dump  # noqa: PLC0415 - an extra

    return dump


def _require_driver() -> None:
    if find_spec("psycopg") is None:
        raise StoreError(
            "the driver for PostgreSQL is not installed",
            code="STORE_DRIVER_MISSING",
            hint="pip install 'trigger-dev[postgres]'",
        )
