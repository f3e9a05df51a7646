"""Joining an organisation by the link of an invitation."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from trigger_platform.dashboard.rendering import html
from trigger_platform.engine import invitation, organization, user
from trigger_platform.engine.unit import Unit
from trigger_platform.http import browser
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Endpoint, Incoming, endpoint

__all__ = ["ENDPOINTS"]

_FORM_LIMIT = 16 * 1024


@endpoint("GET", "/join/{link}", access=Access.DASHBOARD_USER)
async def join_page(call: Incoming[None]) -> Response:
    """Ask whether the user wants to join."""
    shown = await call.server.units.read(_shown, call.path("link"), call.principal.user_id or "")
    return html("join.html", shown | {"csrf": browser.csrf_of(call.principal)})


@endpoint("POST", "/join/{link}", access=Access.DASHBOARD_USER)
async def join_form(call: Incoming[None]) -> Response:
    """Join, once."""
    browser.fields(call.request, await call.body_bytes(_FORM_LIMIT), call.principal)
    await call.server.units.write(
        organization.join, call.path("link"), call.principal.user_id or ""
    )
    return RedirectResponse("/environments", 303)


ENDPOINTS: tuple[Endpoint, ...] = (join_page, join_form)


def _shown(u: Unit, link: str, user_id: str) -> dict[str, str]:
    found = invitation.find(u, link, user_id)
    person = user.by_id(u, user_id)
    return {
        "link": link,
        "role": found.role.lower(),
        "title": organization.by_id(u, found.organization_id).title,
        "email": person.email if person else "",
    }
