"""Organisations and their members (protocol A.20; members are an addition of ours)."""

from __future__ import annotations

from trigger_core.schemas.organizations import (
    AddMember,
    CreateOrganization,
    Member,
    MemberAdded,
    Members,
    OrganizationDetail,
    Organizations,
    SetRole,
)
from trigger_core.schemas.projects import CreateProject, ProjectDetail, Projects
from trigger_platform.engine import organization, project
from trigger_platform.engine.project import View
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.http import present_identity as present
from trigger_platform.http import setup_link
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, Reply, endpoint
from trigger_platform.store.rows import OrganizationRow

__all__ = [
    "add_member",
    "create_organization",
    "create_project",
    "list_members",
    "list_organizations",
    "list_organizations_projects",
    "remove_member",
    "set_role",
]

_ONE = "/api/v1/orgs/{organization}"


@endpoint("GET", "/api/v1/orgs", access=Access.USER, returns=Organizations)
async def list_organizations(call: Incoming[None]) -> Organizations:
    """List the organisations the caller belongs to, oldest first."""
    found = await call.server.units.read(call.principal.organizations)
    return Organizations([present.organization(one) for one in found])


@endpoint(
    "POST",
    "/api/v1/orgs",
    access=Access.PERSON,
    body=CreateOrganization,
    returns=OrganizationDetail,
    statuses=(201,),
)
async def create_organization(call: Incoming[CreateOrganization]) -> Reply:
    """Create an organisation that the caller owns."""
    title, user_id = call.body.title, call.principal.user_id or ""

    def work(u: Unit) -> OrganizationDetail:
        return present.organization(organization.create(u, title, user_id))

    return Reply(await call.once_for_caller(OrganizationDetail, work), status=201)


@endpoint("GET", f"{_ONE}/projects", access=Access.ORGANIZATION_VIEWER, returns=Projects)
async def list_organizations_projects(call: Incoming[None]) -> Projects:
    """List the projects of an organisation, oldest first."""
    found = await call.server.units.read(project.listed, [call.organization])
    return Projects([present.project(one) for one in found])


@endpoint(
    "POST",
    f"{_ONE}/projects",
    access=Access.ORGANIZATION_DEVELOPER,
    body=CreateProject,
    returns=ProjectDetail,
)
async def create_project(call: Incoming[CreateProject]) -> ProjectDetail:
    """Create a project of an organisation."""
    home, name = call.organization, call.body.name

    def work(u: Unit) -> ProjectDetail:
        return present.project(View(project.create(u, home.id, name), home))

    return await call.once_for_caller(ProjectDetail, work)


@endpoint("GET", f"{_ONE}/members", access=Access.ORGANIZATION_VIEWER, returns=Members)
async def list_members(call: Incoming[None]) -> Members:
    """List everybody who belongs to an organisation."""
    found = await call.server.units.read(organization.members, call.organization.id)
    return Members(members=[present.member(one) for one in found])


@endpoint(
    "POST",
    f"{_ONE}/members",
    access=Access.ORGANIZATION_ADMIN,
    body=AddMember,
    returns=MemberAdded,
)
async def add_member(call: Incoming[AddMember]) -> MemberAdded:
    """Admit somebody, or invite who has an account; the person gets an address to go on at."""
    body, home, role, server = call.body, call.organization, call.role, call.server

    def work(u: Unit) -> MemberAdded:
        added = organization.add_member(u, home, body.email, Role[body.role], role)
        return MemberAdded(
            user_id=added.person.id,
            role=body.role,
            is_member=added.token is None,
            invite_url=setup_link.of_added(u, server, added),
        )

    return await call.once_for_caller(MemberAdded, work, shows_secret=True)


@endpoint(
    "PUT",
    f"{_ONE}/members/{{user_id}}",
    access=Access.ORGANIZATION_ADMIN,
    body=SetRole,
    returns=Member,
)
async def set_role(call: Incoming[SetRole]) -> Member:
    """Give a member another role."""
    changed = await call.server.units.write(
        organization.set_role,
        call.organization,
        call.path("user_id"),
        Role[call.body.role],
        call.role,
    )
    return present.member(changed)


@endpoint(
    "DELETE", f"{_ONE}/members/{{user_id}}", access=Access.ORGANIZATION_ADMIN, returns=Members
)
async def remove_member(call: Incoming[None]) -> Members:
    """Let a member go, and list those who stay."""
    home, user_id, role = call.organization, call.path("user_id"), call.role

    def work(u: Unit) -> Members:
        return Members(members=_dismiss(u, home, user_id, role))

    return await call.once_for_caller(Members, work)


def _dismiss(u: Unit, home: OrganizationRow, user_id: str, by: Role) -> list[Member]:
    organization.dismiss(u, home, user_id, by)
    return [present.member(one) for one in organization.members(u, home.id)]
