"""Personal access tokens; the database knows their hashes."""

from __future__ import annotations

import hashlib

from trigger_core import ids
from trigger_platform.engine.unit import Unit

__all__ = ["create", "exists"]


def create(u: Unit, name: str) -> str:
    """Create a token and return it; it cannot be read again."""
    token = ids.access_token()
    u.tx.run(
        "access_token_insert",
        id=ids.environment_id(u.now, u.rng),
        token_hash=_hash(token),
        name=name,
        now=u.now,
    )
    return token


def exists(u: Unit, token: str) -> bool:
    """Tell whether the token is known."""
    return u.tx.scalar("access_token_find", token_hash=_hash(token)) is not None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
