"""Who am I, and which environment is this (protocol B.2, B.3, D.1)."""

from __future__ import annotations

from trigger_core.schemas.auth import PublicClaims
from trigger_core.schemas.projects import ProjectEnvironment, Whoami, WhoamiProject
from trigger_platform.engine import organization, project, user
from trigger_platform.engine.unit import Unit
from trigger_platform.http.auth import Access, Principal
from trigger_platform.http.endpoint import Incoming, endpoint

__all__ = ["public_claims", "read_environment", "whoami"]


@endpoint("GET", "/api/v2/whoami", access=Access.USER, returns=Whoami)
async def whoami(call: Incoming[None]) -> Whoami:
    """Say whose token this is."""
    return await call.server.units.read(
        _who, call.principal, call.query("projectRef"), call.server.url
    )


@endpoint(
    "GET",
    "/api/v1/projects/{project_ref}/{env}",
    access=Access.ENVIRONMENT_OR_USER,
    returns=ProjectEnvironment,
)
async def read_environment(call: Incoming[None]) -> ProjectEnvironment:
    """Return an environment's key and address."""
    named = call.project
    return ProjectEnvironment(
        api_key=call.server.secret_key_of(call.principal.environment),
        name=named.name,
        api_url=call.server.url,
        project_id=named.id,
    )


@endpoint("POST", "/api/v1/auth/jwt/claims", access=Access.ENVIRONMENT, returns=PublicClaims)
async def public_claims(call: Incoming[None]) -> PublicClaims:
    """Return what a client needs to sign public tokens itself."""
    return PublicClaims(sub=call.environment_id, pub=True)


def _who(u: Unit, caller: Principal, ref: str, url: str) -> Whoami:
    person = user.by_id(u, caller.user_id) if caller.user_id else None
    return Whoami(
        user_id=person.id if person else caller.organization_id or "",
        email=person.email if person else f"{caller.organization_id}@organization.example",
        dashboard_url=url,
        project=_named(u, caller, ref, url) if ref else None,
    )


def _named(u: Unit, caller: Principal, ref: str, url: str) -> WhoamiProject | None:
    found = project.by_ref(u, ref)
    if found is None:
        return None
    home = organization.by_id(u, found.organization_id)
    is_seen = caller.organization_id == home.id or (
        caller.user_id and organization.role_of(u, home.id, caller.user_id)
    )
    address = f"{url}/projects/{found.ref}"
    return WhoamiProject(name=found.name, url=address, org_title=home.title) if is_seen else None
