"""Tokens of users (``tr_pat_``) and organisations (``tr_oat_``); the database knows their hashes alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from trigger_core import duration, ids
from trigger_core.errors import NotFoundError
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import AccessTokenRow, as_params

__all__ = [
    "Made",
    "create",
    "create_for_organization",
    "expiry",
    "find",
    "hash_of",
    "hint_of",
    "is_worth_noting",
    "listed",
    "prune",
    "revoke",
    "used",
]

_NOTE_EVERY_MS = 60_000


@dataclass(frozen=True, slots=True)
class Made:
    """A token, which cannot be read again, and what is kept of it."""

    token: str
    row: AccessTokenRow


def expiry(u: Unit, life: str | None) -> int | None:
    """Return when what is made now ends, if it is good for so long; ``None`` means until it is revoked.

    Raises:
        InvalidDurationError: the text is no duration.
    """
    return None if life is None else u.now + duration.parse_ms(life)


def create(u: Unit, name: str, user_id: str, *, expires_at: int | None = None) -> Made:
    """Create a user's token."""
    return _create(u, ids.access_token("pat"), name, user_id=user_id, expires_at=expires_at)


def create_for_organization(
    u: Unit, name: str, organization_id: str, role: Role, *, expires_at: int | None = None
) -> Made:
    """Create an organisation's token, which acts with a role in all of its projects."""
    token = ids.access_token("oat")
    return _create(
        u, token, name, organization_id=organization_id, role=role.name, expires_at=expires_at
    )


def listed(
    u: Unit, *, user_id: str | None = None, organization_id: str | None = None
) -> list[AccessTokenRow]:
    """Return the tokens of a user or of an organisation that hold, newest first."""
    return u.tx.all(
        "access_tokens_of",
        AccessTokenRow,
        user_id=user_id,
        organization_id=organization_id,
        now=u.now,
    )


def revoke(
    u: Unit, token_id: str, *, user_id: str | None = None, organization_id: str | None = None
) -> None:
    """Let a token of a user or of an organisation open nothing any more.

    Raises:
        NotFoundError: there is no such token that holds.
    """
    u.access = True
    if not u.tx.run(
        "access_token_revoke",
        id=token_id,
        user_id=user_id,
        organization_id=organization_id,
        now=u.now,
    ):
        raise NotFoundError("Token not found", status=404, code="TOKEN_NOT_FOUND")


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


def _create(u: Unit, token: str, name: str, *, expires_at: int | None, **whose: Any) -> Made:
    row = AccessTokenRow(
        id=ids.token_id(u.now, u.rng),
        token_hash=hash_of(token),
        name=name,
        hint=hint_of(token),
        expires_at=expires_at,
        last_used_at=None,
        revoked_at=None,
        created_at=u.now,
        **({"user_id": None, "organization_id": None, "role": None} | whose),
    )
    u.tx.run("access_token_insert", **as_params(row))
    return Made(token, row)
