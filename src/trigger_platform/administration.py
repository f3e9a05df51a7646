"""What an operator does to the users of a database, without a server."""

from __future__ import annotations

import asyncio
import random

from trigger_platform import passwords
from trigger_platform.engine import user
from trigger_platform.engine.unit import Units
from trigger_platform.store.opening import open_database
from trigger_platform.store.rows import UserRow

__all__ = ["create_admin"]


def create_admin(address: str, email: str, password: str) -> UserRow:
    """Make somebody an admin of the server, with a password; who was logged in as this user is so no more.

    Raises:
        StoreError: the database cannot be opened.
        UsageError: the password is too short.
    """
    kept = asyncio.run(passwords.hash_of(password))
    db = open_database(address)
    try:
        units = Units(db, db.clock, random.Random())  # noqa: S311 - ids, no secrets
        return units.write_sync(user.become_admin, email, kept)
    finally:
        db.close()
