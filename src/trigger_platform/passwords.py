"""Passwords: Argon2id, which costs a guesser memory and time, and the server some milliseconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import ParamSpec, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from trigger_core.errors import UsageError

__all__ = ["SHORTEST", "hash_of", "is_right"]

SHORTEST = 12
_LONGEST = 1024
_AT_ONCE = 2
"""Each takes 64 MiB."""

P = ParamSpec("P")
T = TypeVar("T")


async def hash_of(password: str) -> str:
    """Return what is kept of a password.

    Raises:
        UsageError: it is too short, or absurdly long.
    """
    if not SHORTEST <= len(password) <= _LONGEST:
        raise UsageError(
            f"a password has at least {SHORTEST} characters", code="PASSWORD_TOO_SHORT"
        )
    return await _aside(_hasher().hash, password)


async def is_right(password: str, kept: str | None) -> bool:
    """Tell whether a password is the one that is kept; where none is, it takes as long to say no."""
    given = password[:_LONGEST]
    return await _aside(_verify, kept, given) and kept is not None


async def _aside(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what takes long on threads of its own: who guesses takes no memory and no thread from others."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads(), partial(function, *args, **kwargs))


def _verify(kept: str | None, password: str) -> bool:
    try:
        return _hasher().verify(kept or _nobodys(), password)
    except (Argon2Error, InvalidHashError):
        return False


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="passwords")


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobodys() -> str:
    return _hasher().hash("nobody has this one")
