"""Tokens of users (``tr_pat_``) and organisations (``tr_oat_``); the database knows their hashes alone."""

from __future__ import annotations

import hashlib

from trigger_core import ids
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import AccessTokenRow, as_params

__all__ = ["create", "find", "hash_of", "hint_of", "is_worth_noting", "prune", "used"]

_NOTE_EVERY_MS = 60_000


def create(u: Unit, name: str, user_id: str, *, expires_at: int | None = None) -> str:
    """Create a user's token and return it; it cannot be read again."""
    token = ids.access_token()
    row = AccessTokenRow(
        id=ids.environment_id(u.now, u.rng),
        token_hash=hash_of(token),
        name=name,
        user_id=user_id,
        organization_id=None,
        role=None,
        hint=hint_of(token),
        expires_at=expires_at,
        last_used_at=None,
        revoked_at=None,
        created_at=u.now,
    )
    u.tx.run("access_token_insert", **as_params(row))
    return token


def find(u: Unit, token: str) -> AccessTokenRow | None:
    """Return what is known of a token that holds."""
    return u.tx.maybe("access_token_by_hash", AccessTokenRow, token_hash=hash_of(token), now=u.now)


def is_worth_noting(row: AccessTokenRow, now: int) -> bool:
    """Tell whether a use has to be written down: once a minute is enough."""
    return row.last_used_at is None or row.last_used_at + _NOTE_EVERY_MS <= now


def used(u: Unit, token_id: str) -> None:
    """Note that a token is being used."""
    u.tx.run("access_token_used", id=token_id, now=u.now)


def prune(u: Unit, user_id: str, name: str, unused_for_ms: int) -> None:
    """Forget a user's tokens of a name that were not used for long."""
    u.tx.run("access_tokens_prune", user_id=user_id, name=name, before=u.now - unused_for_ms)


def hash_of(token: str) -> str:
    """Return what the database keeps of a token; a token is long and random, so a plain hash will do."""
    return hashlib.sha256(token.encode()).hexdigest()


def hint_of(token: str) -> str:
    """Return the ends of a token, by which its owner knows it again."""
    prefix, _, body = token.rpartition("_")
    return f"{prefix}_{body[:4]}•••{body[-4:]}"
