"""Who am I, and which environment is this (protocol B.2, B.3, D.1)."""

from __future__ import annotations

from trigger_core.errors import NotFoundError
from trigger_core.schemas.auth import PublicClaims
from trigger_core.schemas.projects import ProjectEnvironment, Whoami
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint

__all__ = ["public_claims", "read_environment", "whoami"]

_SLUGS = {"dev", "staging", "prod", "preview"}


@endpoint("GET", "/api/v2/whoami", access=Access.USER, returns=Whoami)
async def whoami(call: Incoming[None]) -> Whoami:
    """Say whose token this is."""
    return Whoami(user_id="local", email="local@example.com", dashboard_url=call.server.url)


@endpoint(
    "GET",
    "/api/v1/projects/{project_ref}/{slug}",
    access=Access.ENVIRONMENT_OR_USER,
    returns=ProjectEnvironment,
)
async def read_environment(call: Incoming[None]) -> ProjectEnvironment:
    """Return an environment's key and address."""
    local = call.server.local
    if call.path("project_ref") != local.project.ref:
        raise NotFoundError("Project not found", status=404, code="PROJECT_NOT_FOUND")
    if call.path("slug") != "dev":
        known = call.path("slug") in _SLUGS
        what = "Environment not found" if known else "Invalid Params"
        raise NotFoundError(what, status=404 if known else 400, code="ENVIRONMENT_NOT_FOUND")
    return ProjectEnvironment(
        api_key=local.environment.secret_key,
        name=local.project.name,
        api_url=call.server.url,
        project_id=local.project.id,
    )


@endpoint("POST", "/api/v1/auth/jwt/claims", access=Access.ENVIRONMENT, returns=PublicClaims)
async def public_claims(call: Incoming[None]) -> PublicClaims:
    """Return what a client needs to sign public tokens itself."""
    return PublicClaims(sub=call.environment_id, pub=True)
