"""The schema of a PostgreSQL database: numbered migrations, and refusing what is not for us."""

from __future__ import annotations

from trigger_core.errors import StoreError, StoreTooNewError
from trigger_platform.store import behind, statements
from trigger_platform.store.postgres.address import Address
from trigger_platform.store.postgres.tx import DIALECT, PostgresTx

__all__ = ["migrate", "prepare", "refuse_unusable", "version"]

_LOCK = 0x54524731
_BOOK = """create table if not exists schema_migration (
    number integer primary key, applied_at timestamptz not null default now()
)"""


def prepare(tx: PostgresTx, address: Address, *, migrates: bool = True) -> None:
    """Bring the schema up to date, in one transaction and one process at a time.

    Raises:
        StoreTooNewError: a newer version of this software wrote the database.
        StoreError: it belongs to another program, has no schema or encoding we could use, or is not up to
            date and not to be changed.
    """
    tx.plain("begin")
    try:
        tx.plain(f"select pg_advisory_xact_lock({_LOCK})")
        refuse_unusable(tx, address)
        if migrates:
            migrate(tx, address)
        else:
            behind.refuse(address.shown, version(tx, address), statements.migrations(DIALECT))
    except BaseException:
        tx.plain("rollback")
        raise
    tx.plain("commit")


def migrate(tx: PostgresTx, address: Address, *, up_to: int | None = None) -> None:
    """Apply the migrations that are missing, in the transaction that is open.

    Raises:
        StoreTooNewError: a newer version of this software wrote the database.
        StoreError: it belongs to another program.
    """
    applied = version(tx, address)
    if not applied:
        tx.plain(_BOOK)
    for number, text in statements.migrations(DIALECT):
        if number > applied and (up_to is None or number <= up_to):
            tx.plain(text)
            tx.plain("insert into schema_migration (number) values (%s)", [number])


def refuse_unusable(tx: PostgresTx, address: Address) -> None:
    """Refuse a database whose encoding or schema we could not use; change nothing.

    Raises:
        StoreError: it is one.
    """
    [(schema, encoding)] = tx.plain("select current_schema(), current_setting('server_encoding')")
    if schema is None or encoding != "UTF8":
        because = "its encoding is " + encoding if schema else "its search_path names no schema"
        raise StoreError(
            f"the database {address.shown} cannot be used",
            because=because,
            hint="use a database in UTF8 whose search_path has a schema you may write to",
        )


def version(tx: PostgresTx, address: Address) -> int:
    """Return the number of the newest migration that was applied, 0 for an empty database; change nothing.

    Raises:
        StoreTooNewError: a newer version of this software wrote the database.
        StoreError: it belongs to another program.
    """
    tables = {
        name
        for (name,) in tx.plain(
            "select table_name from information_schema.tables where table_schema = current_schema()"
        )
    }
    if not tables:
        return 0
    if "schema_migration" not in tables:
        raise StoreError(
            f"{address.shown} is a database of another program",
            code="STORE_FOREIGN",
            because=f"it has tables, such as {min(tables)}, and none of them is ours",
            hint="give this program a database or a schema of its own",
        )
    [(found,)] = tx.plain("select coalesce(max(number), 0) from schema_migration")
    newest = statements.migrations(DIALECT)[-1][0]
    if found > newest:
        raise StoreTooNewError(
            f"{address.shown} was written by a newer version",
            because=f"its schema is number {found}, this version knows {newest}",
            hint="update trigger-dev, or use another database",
        )
    return int(found)
