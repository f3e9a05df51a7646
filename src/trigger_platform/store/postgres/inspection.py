"""Looking at a PostgreSQL database without changing it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trigger_platform.store import statements
from trigger_platform.store.inspection import Inspection
from trigger_platform.store.postgres import schema
from trigger_platform.store.postgres.address import parse
from trigger_platform.store.postgres.connection import connect
from trigger_platform.store.postgres.tx import DIALECT, PostgresTx

__all__ = ["inspected"]


@contextmanager
def inspected(url: str) -> Iterator[Inspection]:
    """Open a database for reading alone, all of it as it is at one moment.

    Raises:
        StoreTooNewError, StoreError: as when it is opened to be used.
    """
    address = parse(url)
    connection = connect(address)
    try:
        tx = PostgresTx(connection, prepares=address.prepares)
        tx.plain("begin isolation level repeatable read read only")
        yield Inspection(tx, schema.number(tx, address), statements.migrations(DIALECT)[-1][0], [])
    finally:
        connection.close()
