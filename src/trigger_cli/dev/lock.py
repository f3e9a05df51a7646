"""One session per folder: a lock that the kernel releases however the session ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trigger_cli import session
from trigger_core.errors import ConflictError, StoreError
from trigger_core.schemas.session import SESSION_FILE

__all__ = ["held"]


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder's lock.

    Raises:
        ConflictError: another session holds it; says which and where it answers.
        StoreError: the folder cannot be written to.
    """
    file = _open(folder)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _taken(folder) from error
        yield
    finally:
        os.close(file)


def _open(folder: Path) -> int:
    place = folder / ".trigger"
    try:
        place.mkdir(exist_ok=True)
        return os.open(place / "dev.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreError(
            f"the folder {place} cannot be written to",
            code="FOLDER_NOT_WRITABLE",
            because=error.strerror,
            hint="make it writable, or work in a copy of the project",
        ) from error


def _taken(folder: Path) -> ConflictError:
    other = session.read(folder / SESSION_FILE)
    where = f"process {other.pid}, {other.dashboard_url}" if other else "it is still starting"
    return ConflictError(
        "a dev session already runs in this folder",
        status=409,
        code="SESSION_RUNNING",
        because=where,
        hint="use that one, or end it with Ctrl-C",
    )
