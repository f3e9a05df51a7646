"""What an operator does to the users and the supervisors of a database, without a server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TypeVar

from trigger_platform import passwords
from trigger_platform.engine import user, worker_group
from trigger_platform.engine.unit import Unit, Units
from trigger_platform.store.opening import open_database
from trigger_platform.store.rows import UserRow

__all__ = ["create_admin", "create_worker_group"]

T = TypeVar("T")


def create_admin(address: str, email: str, password: str) -> UserRow:
    """Make somebody an admin of the server, with a password; who was logged in as this user is so no more.

    Raises:
        StoreError: the database cannot be opened.
        UsageError: the password is too short.
    """
    kept = asyncio.run(passwords.hash_of(password))
    return _write(address, lambda u: user.become_admin(u, email, kept))


def create_worker_group(address: str, name: str) -> str:
    """Make a group of supervisors and return its token, which cannot be read again.

    Raises:
        StoreError: the database cannot be opened.
        ConflictError: there is a group of this name.
    """
    return _write(address, lambda u: worker_group.create(u, name)).token


def _write(address: str, work: Callable[[Unit], T]) -> T:
    db = open_database(address)
    try:
        units = Units(db, db.clock, random.Random())  # noqa: S311 - ids, no secrets
        return units.write_sync(work)
    finally:
        db.close()
