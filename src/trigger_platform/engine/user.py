"""Users: people who log in, or who have tokens."""

from __future__ import annotations

from trigger_core import ids
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import UserRow, as_params

__all__ = ["by_email", "by_id", "create"]


def create(
    u: Unit, email: str, name: str | None = None, *, id_: str | None = None, is_admin: bool = False
) -> UserRow:
    """Create a user; one without a password cannot log in with one."""
    made = UserRow(
        id=id_ or ids.user_id(u.now, u.rng),
        email=_plain(email),
        name=name,
        password_hash=None,
        external_id=None,
        is_admin=int(is_admin),
        created_at=u.now,
    )
    u.tx.run("user_insert", **as_params(made))
    return made


def by_id(u: Unit, user_id: str) -> UserRow | None:
    """Return a user, if there is one of this id."""
    return u.tx.maybe("user_by_id", UserRow, id=user_id)


def by_email(u: Unit, email: str) -> UserRow | None:
    """Return a user by the address, if there is one; upper and lower case are the same."""
    return u.tx.maybe("user_by_email", UserRow, email=_plain(email))


def _plain(email: str) -> str:
    return email.strip().lower()
