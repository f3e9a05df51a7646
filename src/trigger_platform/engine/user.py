"""Users: people who log in, or who have tokens."""

from __future__ import annotations

from trigger_core import ids
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import OrganizationRow, UserRow, as_params

__all__ = [
    "LOCAL_ORGANIZATION",
    "LOCAL_USER",
    "become_admin",
    "by_email",
    "by_id",
    "called",
    "create",
    "set_password",
]

LOCAL_USER = "user_local"
LOCAL_ORGANIZATION = "org_local"
"""The user of this machine, whom nobody has to log in as under ``trigger dev``, and the organisation."""


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


def called(u: Unit, user_id: str | None) -> str | None:
    """Return what a user is called: by name, else by address."""
    found = by_id(u, user_id) if user_id else None
    return (found.name or found.email) if found is not None else None


def by_email(u: Unit, email: str) -> UserRow | None:
    """Return a user by the address, if there is one; upper and lower case are the same."""
    return u.tx.maybe("user_by_email", UserRow, email=_plain(email))


def set_password(u: Unit, user_id: str, password_hash: str) -> None:
    """Keep what a password is known by; whoever is logged in as this user is so no more."""
    u.tx.run("user_password", id=user_id, password_hash=password_hash)
    u.tx.run("login_sessions_end", user_id=user_id)


def become_admin(u: Unit, email: str, password_hash: str) -> UserRow:
    """Make somebody an admin of this server, who owns the organisation of this machine if there is one."""
    person = by_email(u, email) or create(u, email)
    u.tx.run("user_admin", id=person.id, is_admin=1)
    set_password(u, person.id, password_hash)
    if u.tx.maybe("organization_by_id", OrganizationRow, id=LOCAL_ORGANIZATION) is not None:
        u.tx.run(
            "member_put",
            organization_id=LOCAL_ORGANIZATION,
            user_id=person.id,
            role=Role.OWNER.name,
            now=u.now,
        )
    return person


def _plain(email: str) -> str:
    return email.strip().lower()
