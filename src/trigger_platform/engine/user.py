"""Users: people who log in, or who have tokens."""

from __future__ import annotations

from trigger_core import ids
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import UserRow, as_params

__all__ = ["by_id", "create"]


def create(u: Unit, email: str, name: str | None = None, *, id_: str | None = None) -> UserRow:
    """Create a user."""
    user = UserRow(
        id=id_ or ids.user_id(u.now, u.rng),
        email=email,
        name=name,
        password_hash=None,
        external_id=None,
        is_admin=0,
        created_at=u.now,
    )
    u.tx.run("user_insert", **as_params(user))
    return user


def by_id(u: Unit, user_id: str) -> UserRow | None:
    """Return a user, if there is one of this id."""
    return u.tx.maybe("user_by_id", UserRow, id=user_id)
