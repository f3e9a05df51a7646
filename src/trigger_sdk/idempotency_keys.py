"""Idempotency keys, hashed the way every client hashes them (protocol 0.5)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

from trigger_sdk._host import current_run

__all__ = ["IdempotencyKey", "Key", "Scope", "create", "to_hash"]

Scope: TypeAlias = Literal["run", "attempt", "global"]

_HASH_LENGTH = 64


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A hashed key; remembers what the user wrote and what it was salted with."""

    hash: str
    key: str
    scope: Scope | None


Key: TypeAlias = "str | list[str] | IdempotencyKey"
"""A text or parts of one, salted with the current run inside of one, or a key made by :func:`create`."""


def create(key: str | list[str], *, scope: Scope = "run") -> IdempotencyKey:
    """Make a key. ``run`` salts it with the current run, ``attempt`` with its attempt too, ``global`` not.

    Outside a run there is nothing to salt with. A text of 64 characters is taken as hashed already.
    """
    parts = [key] if isinstance(key, str) else list(key)
    written = "-".join(parts)
    if isinstance(key, str) and len(key) == _HASH_LENGTH:
        return IdempotencyKey(key, key, None)
    digest = hashlib.sha256("-".join([*parts, *_salt(scope)]).encode()).hexdigest()
    return IdempotencyKey(digest, written, scope)


def to_hash(key: Key) -> str:
    """Return the hash of a key that may not be made yet."""
    return key.hash if isinstance(key, IdempotencyKey) else create(key).hash


def _salt(scope: Scope) -> list[str]:
    active = current_run.get()
    if active is None or scope == "global":
        return []
    if scope == "run":
        return [active.ctx.run.id]
    return [active.ctx.run.id, str(active.ctx.attempt.number)]
