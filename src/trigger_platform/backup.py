"""Backups: everything a server keeps in one verified file, and back again, into either kind of database."""

from __future__ import annotations

from pathlib import Path

from trigger_core.errors import StoreError, StoreTooNewError
from trigger_platform.store import dump, statements
from trigger_platform.store.dump import Dump, Manifest
from trigger_platform.store.opening import fill, inspected, is_empty, open_database, source

__all__ = ["backup", "migrate", "pending", "restore"]


def backup(address: str, file: Path, blobs: Path | None, *, force: bool = False) -> Manifest:
    """Write what a database has, as it is at this moment, into a file; read it again to be sure of it.

    Servers go on meanwhile, and everything they acknowledged before is in it. Secrets stay sealed: the key is
    not in the file.

    Raises:
        StoreError: the database cannot be read, the file cannot be written or is there already.
    """
    if file.exists() and not force:
        raise StoreError(
            f"there is a file {file} already",
            code="BACKUP_EXISTS",
            hint="choose another name, or pass --force to replace it",
        )
    with source(address) as opened:
        manifest = dump.write(file, opened, blobs)
    with dump.opened(file) as written:
        written.verify()
    return manifest


def restore(file: Path, address: str, blobs: Path | None, *, force: bool = False) -> Manifest:
    """Fill a database from a file, at once or not at all, and bring its schema up to date.

    Raises:
        StoreError: the file is damaged, or the database is in use, cannot be written, or has something in it.
    """
    with dump.opened(file) as opened:
        opened.verify()
        _refuse_newer(opened, file)
        if not force and not is_empty(address):
            raise StoreError(
                "the database is not empty",
                code="RESTORE_OVERWRITES",
                because="restoring replaces everything that is in it",
                hint="restore into an empty one, or pass --force",
            )
        if blobs is not None:
            opened.unpack_blobs(blobs)
        fill(address, opened)
    return opened.manifest


def pending(address: str) -> tuple[int, int]:
    """Return the number of a database's schema and that of the newest; nothing is changed.

    Raises:
        StoreError: it cannot be read.
    """
    with inspected(address) as opened:
        return opened.schema, opened.newest


def migrate(address: str) -> None:
    """Bring the schema of a database up to date; one that is not there is made.

    Raises:
        StoreError: it cannot be used.
    """
    open_database(address).close()


def _refuse_newer(opened: Dump, file: Path) -> None:
    newest = statements.newest()
    if opened.manifest.schema > newest:
        raise StoreTooNewError(
            f"{file} was written by a newer version",
            because=f"its schema is number {opened.manifest.schema}, this version knows {newest}",
            hint="update trigger-dev",
        )
