"""Forms: what was filled in, and the page again with what came of it, or with why it could not be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from trigger_core.errors import TriggerError
from trigger_platform.engine.unit import Unit
from trigger_platform.http import browser, problems
from trigger_platform.http.endpoint import Incoming
from trigger_platform.store.rows import EnvironmentRow, ProjectRow

__all__ = ["Shows", "answered", "filled", "place"]

_LIMIT = 16 * 1024

Call = Incoming[None]
Shows = Callable[[Call, dict[str, Any], int], Awaitable[Response]]
"""Shows a page with more values than it has by itself, and a status."""


def place(u: Unit, environment: EnvironmentRow) -> dict[str, str]:
    """Return what a page says of where it is."""
    project = u.tx.one("project_by_id", ProjectRow, id=environment.project_id)
    branch = f" / {environment.branch}" if environment.branch else ""
    return {"project": project.name, "environment": environment.word + branch}


async def filled(call: Call, limit: int = _LIMIT) -> dict[str, str]:
    """Return the fields of a form that a page of ours sent.

    Raises:
        PermissionDeniedError: another page did.
    """
    return browser.fields(call.request, await call.body_bytes(limit), call.principal)


async def answered(
    call: Call, page: str, shows: Shows, act: Callable[[], Awaitable[dict[str, Any] | None]]
) -> Response:
    """Do what a form asks for; what is shown this once is in the answer, else the page is loaded anew."""
    try:
        made = await act()
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        return await shows(call, {"problem": f"{place}: {problem['msg']}"}, 400)
    except TriggerError as error:
        told = problems.told(error)
        text = ": ".join(filter(None, (told.what, told.because)))
        return await shows(call, {"problem": text}, told.status)
    return RedirectResponse(page, 303) if made is None else await shows(call, made, 200)
