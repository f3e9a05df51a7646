"""Public tokens that were revoked one by one: refused from that moment, remembered until they expire.

An environment's row says until when it has any, so that where nothing is revoked nothing is looked up.
"""

from __future__ import annotations

from dataclasses import dataclass

from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["ID_LIMIT", "Named", "is_revoked", "revoke"]

ID_LIMIT = 200
"""Longer ids are none to put into a key of a table."""


@dataclass(frozen=True, slots=True)
class Named:
    """What a token is known by: its id (``jti``), if it has one, and the digest of what was signed."""

    id: str | None
    digest: str

    @property
    def key(self) -> str:
        """What the database calls it."""
        is_usable = self.id is not None and len(self.id) <= ID_LIMIT
        return _by_id(self.id) if is_usable and self.id is not None else self.digest


def revoke(u: Unit, environment: EnvironmentRow, token: Named | str, expires_at: int) -> None:
    """Refuse a token from now on; a text is its id."""
    name = _by_id(token) if isinstance(token, str) else token.key
    u.tx.run("revoked_token_put", environment_id=environment.id, name=name, expires_at=expires_at)
    u.tx.run("environment_revokes", id=environment.id, expires_at=expires_at)


def is_revoked(u: Unit, environment: EnvironmentRow, token: Named) -> bool:
    """Tell whether a token of an environment was revoked; ask where any was (``revoking_until``)."""
    found = u.tx.scalar(
        "revoked_tokens_among",
        environment_id=environment.id,
        id=token.key,
        digest=token.digest,
        now=u.now,
    )
    return found is not None


def _by_id(id_: str) -> str:
    return f"jti:{id_}"
