"""Keys beside an environment's root key; the database knows their hashes alone.

One with scopes may do no more than those allow. None can sign public tokens: the platform does that for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from trigger_core import ids
from trigger_core.errors import NotFoundError, UnprocessableError
from trigger_platform.engine import access_token, environment
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import AdditionalKeyRow, EnvironmentRow, as_params

__all__ = ["Made", "create", "find", "is_one", "listed", "revoke", "scopes_of", "used"]

_FORM = re.compile(r"tr_(dev|stg|prod|preview)_sk_[0-9a-zA-Z]{24}\Z")
_NOTE_EVERY_MS = 60_000
_SCOPE = re.compile(r"admin\Z|[a-zA-Z*]+:[a-zA-Z]+(:.+)?\Z")


@dataclass(frozen=True, slots=True)
class Made:
    """A key, which cannot be read again, and what is kept of it."""

    key: str
    row: AdditionalKeyRow


def is_one(text: str) -> bool:
    """Tell whether a text has the form of such a key."""
    return _FORM.match(text) is not None


def create(
    u: Unit,
    home: EnvironmentRow,
    name: str,
    scopes: Sequence[str] | None,
    *,
    expires_at: int | None = None,
    created_by: str | None = None,
) -> Made:
    """Create a key of an environment.

    Raises:
        UnprocessableError: a scope is not of the form ``action:type[:id]``.
    """
    wrong = [scope for scope in scopes or () if not _SCOPE.match(scope)]
    if wrong:
        raise UnprocessableError(
            f"{wrong[0]!r} is no scope", status=422, code="INVALID_SCOPE", hint="read:runs:run_1"
        )
    key = ids.additional_key(environment.key_word(home))
    row = AdditionalKeyRow(
        id=ids.token_id(u.now, u.rng),
        environment_id=home.id,
        key_hash=access_token.hash_of(key),
        name=name,
        hint=access_token.hint_of(key),
        scopes=None if scopes is None else json.dumps(list(scopes)),
        created_by=created_by,
        expires_at=expires_at,
        last_used_at=None,
        revoked_at=None,
        created_at=u.now,
    )
    u.tx.run("additional_key_insert", **as_params(row))
    return Made(key, row)


def find(u: Unit, key: str) -> AdditionalKeyRow | None:
    """Return what is known of a key that holds."""
    return u.tx.maybe(
        "additional_key_by_hash", AdditionalKeyRow, key_hash=access_token.hash_of(key), now=u.now
    )


def scopes_of(row: AdditionalKeyRow) -> tuple[str, ...] | None:
    """Return what a key is restricted to; ``None`` for nothing."""
    return None if row.scopes is None else tuple(json.loads(row.scopes))


def listed(u: Unit, home: EnvironmentRow) -> list[AdditionalKeyRow]:
    """Return the keys of an environment that hold, newest first."""
    return u.tx.all("additional_keys_of", AdditionalKeyRow, environment_id=home.id, now=u.now)


def revoke(u: Unit, home: EnvironmentRow, key_id: str) -> None:
    """Let a key open nothing any more.

    Raises:
        NotFoundError: the environment has no such key that holds.
    """
    u.access = True
    if not u.tx.run("additional_key_revoke", id=key_id, environment_id=home.id, now=u.now):
        raise NotFoundError("Key not found", status=404, code="KEY_NOT_FOUND")


def used(u: Unit, key: str) -> None:
    """Note that a key is being used; once a minute is enough."""
    u.tx.run(
        "additional_key_used",
        key_hash=access_token.hash_of(key),
        now=u.now,
        before=u.now - _NOTE_EVERY_MS,
    )
