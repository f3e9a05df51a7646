"""An environment's secret key: found by its hash, and sealed, because public tokens are signed with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from trigger_core import ids
from trigger_platform.key_ring import KeyRing
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["StoredKey", "fingerprint", "fresh", "read", "stored"]


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as the database has it; the fields are the columns."""

    secret_key_hash: str
    secret_key_sealed: str


def fresh(keys: KeyRing, environment_id: str, slug: str) -> StoredKey:
    """Make a key for an environment."""
    return stored(keys, environment_id, ids.secret_key(slug))


def stored(keys: KeyRing, environment_id: str, secret_key: str) -> StoredKey:
    """Return what is kept of a key."""
    return StoredKey(fingerprint(secret_key), keys.seal(secret_key, _place(environment_id)))


def read(keys: KeyRing, environment: EnvironmentRow) -> str:
    """Return an environment's key.

    Raises:
        EncryptionError: the ring lacks the key that sealed it.
    """
    return keys.open(environment.secret_key_sealed, _place(environment.id))


def fingerprint(secret_key: str) -> str:
    """Return what a key is found by: it has 142 random bits, so a plain hash cannot be turned back."""
    return hashlib.sha256(secret_key.encode()).hexdigest()


def _place(environment_id: str) -> str:
    return f"environment/{environment_id}/secret-key"
