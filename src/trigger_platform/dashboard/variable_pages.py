"""The variables of an environment: set, write over, remove; a secret is never shown again."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from trigger_platform.dashboard.forms import answered, filled, place
from trigger_platform.dashboard.rendering import html
from trigger_platform.engine import variable
from trigger_platform.engine.unit import Unit
from trigger_platform.http import browser
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Endpoint, Incoming, endpoint
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["ENDPOINTS"]

_PAGE = "/variables"
_LIMIT = 256 * 1024
"""A value of the greatest length, as forms spell what is no plain letter."""


@endpoint("GET", _PAGE, access=Access.DASHBOARD_WRITER)
async def variables_page(call: Incoming[None]) -> Response:
    """Show the variables of the environment."""
    return await _show(call, {}, 200)


@endpoint("POST", _PAGE, access=Access.DASHBOARD_WRITER, body_limit=_LIMIT)
async def set_form(call: Incoming[None]) -> Response:
    """Set a variable, whether there is one of the name or not."""
    given = await filled(call, _LIMIT)

    async def act() -> None:
        await call.server.write(
            variable.create,
            call.environment_id,
            given.get("name", "").strip(),
            given.get("value", "").replace("\r\n", "\n"),  # forms have line ends of their own
            is_secret=given.get("secret") == "yes",
        )

    return await answered(call, _PAGE, _show, act)


@endpoint("POST", f"{_PAGE}/delete", access=Access.DASHBOARD_WRITER)
async def delete_form(call: Incoming[None]) -> Response:
    """Remove a variable."""
    given = await filled(call)

    async def act() -> None:
        await call.server.write(variable.delete, call.environment_id, given.get("name", ""))

    return await answered(call, _PAGE, _show, act)


ENDPOINTS: tuple[Endpoint, ...] = (variables_page, set_form, delete_form)


async def _show(call: Incoming[None], more: dict[str, Any], status: int) -> Response:
    def work(u: Unit, environment: EnvironmentRow) -> dict[str, Any]:
        found = [
            {
                "name": row.name,
                "value": None if row.is_secret else variable.read(u.keys, row),
                "is_inherited": row.environment_id != environment.id,
            }
            for row in variable.rows(u, environment)
        ]
        return {"variables": found} | place(u, environment)

    found = await call.server.read(work, call.environment_id)
    values = {"problem": "", "csrf": browser.csrf_of(call.principal)}
    return html("variables.html", values | found | more, status)
