"""A user's own access tokens, with which a command line or a program acts for the user."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from trigger_core.schemas.access_tokens import CreateAccessToken
from trigger_platform.dashboard.forms import answered, filled
from trigger_platform.dashboard.rendering import html
from trigger_platform.engine import access_token
from trigger_platform.engine.unit import Unit
from trigger_platform.http import browser
from trigger_platform.http import present_identity as present
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Endpoint, Incoming, endpoint

__all__ = ["ENDPOINTS"]

_PAGE = "/tokens"


@endpoint("GET", _PAGE, access=Access.DASHBOARD_USER)
async def tokens_page(call: Incoming[None]) -> Response:
    """Show the user's tokens by their ends."""
    return await _show(call, {}, 200)


@endpoint("POST", _PAGE, access=Access.DASHBOARD_USER)
async def create_form(call: Incoming[None]) -> Response:
    """Create a token, and show it this once."""
    given = await filled(call)

    async def act() -> dict[str, Any]:
        wanted = CreateAccessToken(
            name=given.get("name", "").strip(),
            expires_in=given.get("expires_in", "").strip() or None,
        )
        user_id = call.principal.user_id or ""
        return {"made": await call.server.units.write(_create, wanted, user_id)}

    return await answered(call, _PAGE, _show, act)


@endpoint("POST", f"{_PAGE}/revoke", access=Access.DASHBOARD_USER)
async def revoke_form(call: Incoming[None]) -> Response:
    """Let a token open nothing any more."""
    given = await filled(call)

    async def act() -> None:
        await call.server.units.write(
            access_token.revoke, given.get("id", ""), user_id=call.principal.user_id or ""
        )

    return await answered(call, _PAGE, _show, act)


ENDPOINTS: tuple[Endpoint, ...] = (tokens_page, create_form, revoke_form)


def _create(u: Unit, wanted: CreateAccessToken, user_id: str) -> str:
    expires_at = access_token.expiry(u, wanted.expires_in)
    return access_token.create(u, wanted.name, user_id, expires_at=expires_at).token


async def _show(call: Incoming[None], more: dict[str, Any], status: int) -> Response:
    user_id = call.principal.user_id or ""
    found = await call.server.units.read(access_token.listed, user_id=user_id)
    values = {
        "tokens": [present.access_token(one) for one in found],
        "problem": "",
        "made": "",
        "csrf": browser.csrf_of(call.principal),
    }
    return html("tokens.html", values | more, status)
