"""Looking at a PostgreSQL database; the server checks its own files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from trigger_platform.store import statements
from trigger_platform.store.inspection import Inspection
from trigger_platform.store.postgres import schema
from trigger_platform.store.postgres.address import parse
from trigger_platform.store.postgres.connection import connect, is_lost, translate, unreachable
from trigger_platform.store.postgres.tx import DIALECT, PostgresTx

__all__ = ["inspected"]

_NOW = "select (extract(epoch from clock_timestamp()) * 1000)::bigint"


@contextmanager
def inspected(url: str) -> Iterator[Inspection]:
    """Connect for reading alone, on one snapshot that holds nobody up.

    Raises:
        StoreTooNewError: a newer version of this software wrote the database.
        StoreError: it cannot be reached, refuses us, is too old, or belongs to another program.
    """
    address = parse(url)
    connection = connect(address)
    try:
        tx = PostgresTx(connection, prepares=address.prepares)
        tx.plain("begin isolation level repeatable read read only")
        schema.refuse_unusable(tx, address)
        version = schema.version(tx, address)
        [(now,)] = tx.plain(_NOW)
        yield Inspection(tx, now, version, statements.migrations(DIALECT)[-1][0])
    except psycopg.Error as error:
        if is_lost(error, connection, writes=False):
            raise unreachable(address, str(error).partition("\n")[0]) from error
        raise translate(error, address) from error
    finally:
        connection.close()
