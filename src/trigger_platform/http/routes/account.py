"""Who is asking, and what a client needs to sign tokens itself (protocol B.2, B.3)."""

from __future__ import annotations

from trigger_core.schemas.auth import PublicClaims
from trigger_core.schemas.notifications import PlatformNotifications
from trigger_core.schemas.projects import Whoami, WhoamiProject
from trigger_platform.engine import organization, project, user
from trigger_platform.engine.unit import Unit
from trigger_platform.http.auth import Access, Principal
from trigger_platform.http.endpoint import Incoming, endpoint

__all__ = ["platform_notifications", "public_claims", "whoami"]


@endpoint("GET", "/api/v2/whoami", access=Access.USER, returns=Whoami, query=("projectRef",))
async def whoami(call: Incoming[None]) -> Whoami:
    """Say whose token this is."""
    return await call.server.units.read(
        _who, call.principal, call.query("projectRef"), call.server.url
    )


@endpoint(
    "GET",
    "/api/v1/platform-notifications",
    access=Access.USER,
    returns=PlatformNotifications,
)
async def platform_notifications(_call: Incoming[None]) -> PlatformNotifications:
    """Say that there is no news for who develops: this platform sends none."""
    return PlatformNotifications(notification=None)


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
    home = None if found is None else organization.by_id(u, found.organization_id)
    if found is None or home is None or home not in caller.organizations(u):
        return None
    return WhoamiProject(name=found.name, url=f"{url}/projects/{ref}", org_title=home.title)
