"""The keys of an environment: its secret key, which may be replaced, and those beside it."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from trigger_core import clock
from trigger_core.schemas.access_tokens import CreateEnvironmentKey
from trigger_platform.dashboard.forms import answered, filled, place
from trigger_platform.dashboard.rendering import html
from trigger_platform.engine import access_token, additional_key, environment, secret_key
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.http import browser
from trigger_platform.http import present_identity as present
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Endpoint, Incoming, endpoint
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["ENDPOINTS"]

_PAGE = "/keys"


@endpoint("GET", _PAGE, access=Access.DASHBOARD_WRITER)
async def keys_page(call: Incoming[None]) -> Response:
    """Show the keys of the environment by their ends."""
    return await _show(call, {}, 200)


@endpoint("POST", f"{_PAGE}/replace", access=Access.DASHBOARD_KEY_REPLACER)
async def replace_form(call: Incoming[None]) -> Response:
    """Give the environment another secret key, and show it this once."""
    await filled(call)

    def work(u: Unit, root: EnvironmentRow) -> dict[str, Any]:
        changed = environment.replace_key(u, root)
        until = clock.to_iso(u.now + environment.GRACE_MS)
        return {"made": secret_key.read(u.keys, changed), "until": until}

    async def act() -> dict[str, Any]:
        return await call.server.write(work, call.environment_id)

    return await answered(call, _PAGE, _show, act)


@endpoint("POST", _PAGE, access=Access.DASHBOARD_ADMIN)
async def create_form(call: Incoming[None]) -> Response:
    """Create a key beside the secret key, and show it this once."""
    given = await filled(call)

    async def act() -> dict[str, Any]:
        wanted = CreateEnvironmentKey(
            name=given.get("name", "").strip(),
            scopes=given.get("scopes", "").split() or None,
            expires_in=given.get("expires_in", "").strip() or None,
        )
        return {"made": await call.server.write(_create, call.environment_id, wanted, call)}

    return await answered(call, _PAGE, _show, act)


@endpoint("POST", f"{_PAGE}/revoke", access=Access.DASHBOARD_ADMIN)
async def revoke_form(call: Incoming[None]) -> Response:
    """Let a key beside the secret key open nothing any more."""
    given = await filled(call)

    async def act() -> None:
        await call.server.write(additional_key.revoke, call.environment_id, given.get("id", ""))

    return await answered(call, _PAGE, _show, act)


ENDPOINTS: tuple[Endpoint, ...] = (keys_page, replace_form, create_form, revoke_form)


def _create(
    u: Unit, home: EnvironmentRow, wanted: CreateEnvironmentKey, call: Incoming[None]
) -> str:
    return additional_key.create(
        u,
        home,
        wanted.name,
        wanted.scopes,
        expires_at=access_token.expiry(u, wanted.expires_in),
        created_by=call.principal.user_id,
    ).key


async def _show(call: Incoming[None], more: dict[str, Any], status: int) -> Response:
    is_admin = call.role >= Role.ADMIN

    def work(u: Unit, home: EnvironmentRow) -> dict[str, Any]:
        listed = additional_key.listed(u, home) if is_admin else []
        return {
            "root": access_token.hint_of(secret_key.read(u.keys, home)),
            "keys": [present.environment_key(one) for one in listed],
            "is_branch": home.parent_id is not None,
            "may_replace": is_admin or home.owner_id == call.principal.user_id,
        } | place(u, home)

    found = await call.server.read(work, call.environment_id)
    values = {"problem": "", "made": "", "until": "", "is_admin": is_admin}
    csrf = {"csrf": browser.csrf_of(call.principal)}
    return html("keys.html", values | csrf | found | more, status)
