"""The members of the organisation that the environment belongs to, and what they may do."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from trigger_core.schemas.organizations import AddMember, SetRole
from trigger_platform.dashboard.forms import answered, filled
from trigger_platform.dashboard.rendering import html
from trigger_platform.engine import organization
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.http import browser, setup_link
from trigger_platform.http import present_identity as present
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Endpoint, Incoming, endpoint
from trigger_platform.http.server import Server
from trigger_platform.store.rows import EnvironmentRow, OrganizationRow, ProjectRow

__all__ = ["ENDPOINTS"]

_PAGE = "/members"


@endpoint("GET", _PAGE, access=Access.DASHBOARD_READER)
async def members_page(call: Incoming[None]) -> Response:
    """Show everybody who belongs to the organisation."""
    return await _show(call, {}, 200)


@endpoint("POST", _PAGE, access=Access.DASHBOARD_ADMIN)
async def add_form(call: Incoming[None]) -> Response:
    """Admit somebody, and show this once where the person goes on."""
    given = await filled(call)

    async def act() -> dict[str, Any] | None:
        email, role = given.get("email", "").strip().lower(), given.get("role", "")
        wanted = AddMember.model_validate({"email": email, "role": role})
        link = await call.server.write(_add, call.environment_id, wanted, call.role, call.server)
        return None if link is None else {"made": link, "email": wanted.email}

    return await answered(call, _PAGE, _show, act)


@endpoint("POST", f"{_PAGE}/role", access=Access.DASHBOARD_ADMIN)
async def role_form(call: Incoming[None]) -> Response:
    """Give a member another role."""
    given = await filled(call)

    def work(u: Unit, environment: EnvironmentRow, role: Role) -> None:
        home = _home(u, environment)
        organization.set_role(u, home, given.get("user", ""), role, call.role)

    async def act() -> None:
        wanted = SetRole.model_validate({"role": given.get("role", "")})
        await call.server.write(work, call.environment_id, Role[wanted.role])

    return await answered(call, _PAGE, _show, act)


@endpoint("POST", f"{_PAGE}/remove", access=Access.DASHBOARD_ADMIN)
async def remove_form(call: Incoming[None]) -> Response:
    """Let a member go."""
    given = await filled(call)

    def work(u: Unit, environment: EnvironmentRow) -> None:
        organization.dismiss(u, _home(u, environment), given.get("user", ""), call.role)

    async def act() -> None:
        await call.server.write(work, call.environment_id)

    return await answered(call, _PAGE, _show, act)


ENDPOINTS: tuple[Endpoint, ...] = (members_page, add_form, role_form, remove_form)


def _home(u: Unit, environment: EnvironmentRow) -> OrganizationRow:
    project = u.tx.one("project_by_id", ProjectRow, id=environment.project_id)
    return organization.by_id(u, project.organization_id)


def _add(
    u: Unit, environment: EnvironmentRow, wanted: AddMember, by: Role, server: Server
) -> str | None:
    added = organization.add_member(u, _home(u, environment), wanted.email, Role[wanted.role], by)
    return setup_link.of_added(u, server, added)


async def _show(call: Incoming[None], more: dict[str, Any], status: int) -> Response:
    def work(u: Unit, environment: EnvironmentRow) -> dict[str, Any]:
        home = _home(u, environment)
        found = [present.member(one) for one in organization.members(u, home.id)]
        return {"organization": home.title, "members": found}

    found = await call.server.read(work, call.environment_id)
    values = {
        "problem": "",
        "made": "",
        "is_admin": call.role >= Role.ADMIN,
        "roles": [role.name for role in Role if role <= call.role],
        "csrf": browser.csrf_of(call.principal),
    }
    return html("members.html", values | found | more, status)
