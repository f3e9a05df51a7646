"""Organisations and their members: projects belong to an organisation, users to any number of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trigger_core import ids
from trigger_core.errors import ConflictError, NotFoundError, PermissionDeniedError
from trigger_platform.engine import invitation, slug, user
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import MemberRow, OrganizationRow, UserRow, as_params

__all__ = [
    "Added",
    "add_member",
    "admit",
    "by_id",
    "create",
    "dismiss",
    "find",
    "join",
    "members",
    "of_user",
    "role_of",
    "set_role",
]


@dataclass(frozen=True, slots=True)
class Added:
    """Somebody who was added: a member at once, or invited by a link with this token."""

    person: UserRow
    token: str | None = None


def create(
    u: Unit, title: str, owner_id: str, *, id_: str | None = None, short: str | None = None
) -> OrganizationRow:
    """Create an organisation that a user owns."""
    id_ = id_ or ids.organization_id(u.now, u.rng)
    made = OrganizationRow(id_, short or slug.of(u, title), title, u.now)
    u.tx.run("organization_insert", **as_params(made))
    admit(u, made.id, owner_id, Role.OWNER)
    return made


def by_id(u: Unit, organization_id: str) -> OrganizationRow:
    """Return an organisation that certainly exists."""
    return u.tx.one("organization_by_id", OrganizationRow, id=organization_id)


def find(u: Unit, ref: str) -> OrganizationRow | None:
    """Return an organisation by its id or slug, if there is one."""
    return u.tx.maybe("organization_by_ref", OrganizationRow, ref=ref)


def of_user(u: Unit, user_id: str) -> list[OrganizationRow]:
    """Return the organisations a user belongs to, oldest first."""
    return u.tx.all("organizations_of_user", OrganizationRow, user_id=user_id)


def admit(u: Unit, organization_id: str, user_id: str, role: Role) -> None:
    """Make a user a member, or give a member another role."""
    u.access = True
    u.tx.run(
        "member_put",
        organization_id=organization_id,
        user_id=user_id,
        role=role.name,
        now=u.now,
    )


def role_of(u: Unit, organization_id: str, user_id: str) -> Role | None:
    """Return the role of a member; ``None`` for a user who is none."""
    found = u.tx.scalar("member_role", organization_id=organization_id, user_id=user_id)
    return None if found is None else Role[found]


def members(u: Unit, organization_id: str) -> list[MemberRow]:
    """Return everybody who belongs to an organisation, oldest first."""
    return u.tx.all("members_of", MemberRow, organization_id=organization_id)


def add_member(u: Unit, organization: OrganizationRow, email: str, role: Role, by: Role) -> Added:
    """Admit somebody by the address: who is not known here becomes a user, who is known is invited.

    Raises:
        ConflictError: the user is a member already.
        PermissionDeniedError: the role is above that of who asks.
    """
    _require(by, role)
    _take(u, organization)
    person = user.by_email(u, email)
    if person is not None and role_of(u, organization.id, person.id) is not None:
        raise ConflictError(f"{email} is a member already", status=409, code="MEMBER_EXISTS")
    if person is not None and invitation.is_somebody(u, person.id, organization.id):
        return Added(person, invitation.create(u, organization.id, person.id, role))
    person = person or user.create(u, email)
    admit(u, organization.id, person.id, role)
    return Added(person)


def join(u: Unit, token: str, user_id: str) -> None:
    """Become a member by an invitation.

    Raises:
        NotFoundError: it does not hold, or is somebody else's.
    """
    found = invitation.use(u, token, user_id)
    if role_of(u, found.organization_id, user_id) is None:
        admit(u, found.organization_id, user_id, Role[found.role])


def set_role(
    u: Unit, organization: OrganizationRow, user_id: str, role: Role, by: Role
) -> MemberRow:
    """Give a member another role.

    Raises:
        NotFoundError: there is no such member.
        PermissionDeniedError: one of the roles is above that of who asks.
        ConflictError: nobody would own the organisation any more.
    """
    _take(u, organization)
    known = _member(u, organization, user_id)
    _require(by, role)
    _require(by, Role[known.role])
    if role < Role.OWNER:
        _keep_an_owner(u, organization, known)
    admit(u, organization.id, user_id, role)
    return replace(known, role=role.name)


def dismiss(u: Unit, organization: OrganizationRow, user_id: str, by: Role) -> None:
    """Let a member go, or take an invitation back; the environment of development stays, out of service.

    Raises:
        NotFoundError: there is no such member.
        PermissionDeniedError: the member's role is above that of who asks.
        ConflictError: nobody would own the organisation any more.
    """
    _take(u, organization)
    if invitation.withdraw(u, organization.id, user_id):
        return
    known = _member(u, organization, user_id)
    _require(by, Role[known.role])
    _keep_an_owner(u, organization, known)
    u.access = True
    u.tx.run("member_delete", organization_id=organization.id, user_id=user_id)
    u.tx.run(
        "environments_of_owner_archive",
        organization_id=organization.id,
        owner_id=user_id,
        now=u.now,
    )


def _take(u: Unit, organization: OrganizationRow) -> None:
    """Let who belongs to it be changed by one at a time: two owners must not remove each other."""
    u.tx.scalar("organization_locked", id=organization.id)


def _member(u: Unit, organization: OrganizationRow, user_id: str) -> MemberRow:
    found = [one for one in members(u, organization.id) if one.user_id == user_id]
    if not found:
        raise NotFoundError("Member not found", status=404, code="MEMBER_NOT_FOUND")
    return found[0]


def _require(by: Role, role: Role) -> None:
    if role > by:
        raise PermissionDeniedError(
            f"only an {role.name.lower()} may do this", status=403, code="ROLE_TOO_HIGH"
        )


def _keep_an_owner(u: Unit, organization: OrganizationRow, known: MemberRow) -> None:
    owners = [one for one in members(u, organization.id) if one.role == Role.OWNER.name]
    if owners == [known]:
        raise ConflictError(
            "the last owner of an organisation stays one", status=409, code="LAST_OWNER"
        )
