"""An environment's secret key: found by its hash, and sealed, because public tokens are signed with it.

A branch works with the key of its parent, so what is sealed for either opens in the parent's place.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from trigger_core import ids
from trigger_platform.engine.unit import Unit
from trigger_platform.key_ring import KeyRing
from trigger_platform.store.rows import EnvironmentRow, PlainKeyRow, SealedKeyRow, as_params

__all__ = [
    "StoredKey",
    "any_sealed",
    "fingerprint",
    "fresh",
    "lent",
    "read",
    "reseal",
    "seal_plain_ones",
    "stored",
]


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as the database has it; the fields are the columns."""

    secret_key_hash: str
    secret_key_sealed: str


def fresh(keys: KeyRing, root_id: str, word: str) -> StoredKey:
    """Make a key; ``root_id`` is the environment, or the parent of the branch, that it is for."""
    return stored(keys, root_id, ids.secret_key(word))


def stored(keys: KeyRing, root_id: str, secret_key: str) -> StoredKey:
    """Return what is kept of a key."""
    return StoredKey(fingerprint(secret_key), keys.seal(secret_key, _place(root_id)))


def read(keys: KeyRing, environment: EnvironmentRow) -> str:
    """Return an environment's key.

    Raises:
        EncryptionError: the ring lacks the key that sealed it.
    """
    root_id = environment.parent_id or environment.id
    return keys.open(environment.secret_key_sealed, _place(root_id))


def reseal(keys: KeyRing, row: SealedKeyRow) -> str:
    """Return a sealed key as the newest key seals it."""
    place = _place(row.parent_id or row.id)
    return keys.seal(keys.open(row.secret_key_sealed, place), place)


def lent(parent: EnvironmentRow, branch: EnvironmentRow) -> EnvironmentRow:
    """Return a branch with its parent's key."""
    return replace(
        branch,
        secret_key_hash=parent.secret_key_hash,
        secret_key_sealed=parent.secret_key_sealed,
    )


def fingerprint(secret_key: str) -> str:
    """Return what a key is found by: it has 142 random bits, so a plain hash cannot be turned back."""
    return hashlib.sha256(secret_key.encode()).hexdigest()


def any_sealed(u: Unit) -> bool:
    """Tell whether this database has a sealed key."""
    return u.tx.scalar("environments_sealed") is not None


def seal_plain_ones(u: Unit) -> None:
    """Seal the keys that an earlier version kept in plain text."""
    for row in u.tx.all("environments_in_plain", PlainKeyRow):
        kept = stored(u.keys, row.parent_id or row.id, row.secret_key_hash)
        u.tx.run("environment_seal", id=row.id, **as_params(kept))


def _place(root_id: str) -> str:
    return f"environment/{root_id}/secret-key"
