"""Passwords: Argon2id, which costs a guesser memory and time, and the server some milliseconds."""

from __future__ import annotations

import asyncio
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from trigger_core.errors import UsageError

__all__ = ["SHORTEST", "hash_of", "is_right"]

SHORTEST = 12
_LONGEST = 1024


async def hash_of(password: str) -> str:
    """Return what is kept of a password.

    Raises:
        UsageError: it is too short, or absurdly long.
    """
    if not SHORTEST <= len(password) <= _LONGEST:
        raise UsageError(
            f"a password has at least {SHORTEST} characters", code="PASSWORD_TOO_SHORT"
        )
    return await asyncio.to_thread(_hasher().hash, password)


async def is_right(password: str, kept: str | None) -> bool:
    """Tell whether a password is the one that is kept; where none is, it takes as long to say no."""
    given = password[:_LONGEST]
    return await asyncio.to_thread(_verify, kept or _nobodys(), given) and kept is not None


def _verify(kept: str, password: str) -> bool:
    try:
        return _hasher().verify(kept, password)
    except (Argon2Error, InvalidHashError):
        return False


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobodys() -> str:
    return _hasher().hash("nobody has this one")
