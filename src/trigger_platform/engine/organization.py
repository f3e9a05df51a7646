"""Organisations and their members: projects belong to an organisation, users to any number of them."""

from __future__ import annotations

from trigger_core import ids
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import OrganizationRow, as_params

__all__ = ["admit", "by_id", "create", "role_of"]


def create(
    u: Unit, title: str, slug: str, owner_id: str, *, id_: str | None = None
) -> OrganizationRow:
    """Create an organisation that a user owns."""
    made = OrganizationRow(
        id=id_ or ids.organization_id(u.now, u.rng), slug=slug, title=title, created_at=u.now
    )
    u.tx.run("organization_insert", **as_params(made))
    admit(u, made.id, owner_id, Role.OWNER)
    return made


def admit(u: Unit, organization_id: str, user_id: str, role: Role) -> None:
    """Make a user a member, or give a member another role."""
    u.tx.run(
        "member_put",
        organization_id=organization_id,
        user_id=user_id,
        role=role.name,
        now=u.now,
    )


def by_id(u: Unit, organization_id: str) -> OrganizationRow:
    """Return an organisation that certainly exists."""
    return u.tx.one("organization_by_id", OrganizationRow, id=organization_id)


def role_of(u: Unit, organization_id: str, user_id: str) -> Role | None:
    """Return the role of a member; ``None`` for a user who is none."""
    found = u.tx.scalar("member_role", organization_id=organization_id, user_id=user_id)
    return None if found is None else Role[found]
