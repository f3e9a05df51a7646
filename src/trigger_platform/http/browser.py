"""Browsers: the session's cookie, who is logged in, and forms that only our own pages can send."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from trigger_core.errors import AuthenticationError, PermissionDeniedError
from trigger_platform.engine import login_session, organization, project, user
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.http.principal import Principal
from trigger_platform.store.rows import EnvironmentRow, ProjectRow, UserRow

__all__ = [
    "ATTEMPT",
    "CHOICE",
    "COOKIE",
    "Seat",
    "clear",
    "csrf_of",
    "fields",
    "keep",
    "login_needed",
    "seats",
    "sit",
]

COOKIE = "trigger_session"
CHOICE = "trigger_environment"
ATTEMPT = "trigger_login"


@dataclass(frozen=True, slots=True)
class Seat:
    """An environment that a user may look at, with the role in it."""

    project: ProjectRow
    environment: EnvironmentRow
    role: Role


def sit(u: Unit, token: str, chosen: str) -> tuple[UserRow, list[Seat]]:
    """Return who is logged in, and where: the environment that was chosen stands first.

    Raises:
        AuthenticationError: nobody is.
    """
    person = login_session.user_of(u, token) if token else None
    if person is None:
        raise login_needed()
    return person, sorted(seats(u, person.id), key=lambda one: one.environment.id != chosen)


def seats(u: Unit, user_id: str) -> list[Seat]:
    """Return every environment that a user may look at: the shared ones and the user's own.

    Admins look at what the user of this machine has too: a server begins with that alone.
    """
    found: dict[str, Seat] = {}
    for view in project.listed(u, organization.of_user(u, user_id)):
        role = organization.role_of(u, view.organization.id, user_id)
        if role is None:
            continue
        for owner_id in (user_id, user.LOCAL_USER) if role >= Role.ADMIN else (user_id,):
            for one in project.environments(u, view.project, owner_id):
                found[one.id] = Seat(view.project, one, role)
    return list(found.values())


def login_needed() -> AuthenticationError:
    """Return the refusal of a browser that is not logged in."""
    return AuthenticationError("log in first", status=401, code="LOGIN_NEEDED")


def csrf_of(caller: Principal) -> str:
    """Return what a form of ours carries: nobody else's page knows it."""
    if caller.session is None:
        return ""
    return hmac.new(caller.session.encode(), b"form", hashlib.sha256).hexdigest()


def fields(request: Request, body: bytes, caller: Principal | None) -> dict[str, str]:
    """Return the fields of a form; one of somebody who is logged in must come from our own page.

    Raises:
        PermissionDeniedError: it does not.
    """
    given = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
    foreign = request.headers.get("sec-fetch-site") not in {None, "same-origin", "none"}
    expected = "" if caller is None else csrf_of(caller)
    if foreign or not hmac.compare_digest(given.get("csrf", "").encode(), expected.encode()):
        raise PermissionDeniedError(
            "this form was not sent by a page of this server",
            status=403,
            code="FOREIGN_REQUEST",
            hint="load the page again",
        )
    return given


def keep(
    response: Response,
    name: str,
    value: str,
    *,
    is_encrypted: bool,
    life_s: int = login_session.LIFE_MS // 1000,
) -> Response:
    """Let the browser keep a cookie that no script and no other site can use."""
    response.set_cookie(
        name,
        value,
        max_age=life_s,
        httponly=True,
        samesite="lax",
        secure=is_encrypted,
        path="/",
    )
    return response


def clear(response: Response, name: str) -> Response:
    """Let the browser forget a cookie."""
    response.delete_cookie(name, path="/", httponly=True, samesite="lax")
    return response
