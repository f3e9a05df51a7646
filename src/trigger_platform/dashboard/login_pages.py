"""Logging in, choosing a first password, letting a command line in, choosing what to look at."""

from __future__ import annotations

import re

from starlette.responses import RedirectResponse, Response

from trigger_core.errors import ApiError, AuthenticationError, TriggerError
from trigger_platform import passwords
from trigger_platform.dashboard.rendering import html
from trigger_platform.engine import authorization_code, login_attempt, login_session, user
from trigger_platform.engine.unit import Unit
from trigger_platform.http import browser, setup_link
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Endpoint, Incoming, endpoint
from trigger_platform.store.rows import UserRow

__all__ = ["ENDPOINTS", "client_of", "kept", "local", "page"]

_FORM_LIMIT = 16 * 1024
_ID = re.compile(r"[a-z0-9_]{1,64}\Z")


@endpoint("GET", "/login", access=Access.OPEN)
async def login_page(call: Incoming[None]) -> Response:
    """Show the form to log in."""
    return page(call, local(call.query("next")))


@endpoint("POST", "/login", access=Access.OPEN)
async def login_form(call: Incoming[None]) -> Response:
    """Log in with a password."""
    given = browser.fields(call.request, await call.body_bytes(_FORM_LIMIT), None)
    email, place = given.get("email", "").strip().lower(), local(given.get("next", ""))
    try:
        person = await _checked(call, email, given.get("password", ""))
    except ApiError as error:
        return page(call, place, email=email, problem=error.what, status=error.status)
    return await _logged_in(call, person.id, place)


@endpoint("POST", "/logout", access=Access.DASHBOARD_USER)
async def logout_form(call: Incoming[None]) -> Response:
    """End the session."""
    browser.fields(call.request, await call.body_bytes(_FORM_LIMIT), call.principal)
    if call.principal.session is not None:
        await call.server.units.write(login_session.end, call.principal.session)
    return browser.clear(RedirectResponse("/login", 303), browser.COOKIE)


@endpoint("GET", "/setup/{link}", access=Access.OPEN)
async def setup_page(call: Incoming[None]) -> Response:
    """Show the form to choose a first password."""
    found = await call.server.units.read(setup_link.invited, call.path("link"))
    return _setup(call, found.user, "")


@endpoint("POST", "/setup/{link}", access=Access.OPEN)
async def setup_form(call: Incoming[None]) -> Response:
    """Choose a first password, and log in with it."""
    given = browser.fields(call.request, await call.body_bytes(_FORM_LIMIT), None)
    found = await call.server.units.read(setup_link.invited, call.path("link"))
    email = found.user.email if found.user else given.get("email", "").strip().lower()
    if "@" not in email:
        return _setup(call, found.user, "this is no e-mail address", 400)
    try:
        kept = await passwords.hash_of(given.get("password", ""))
    except TriggerError as error:
        return _setup(call, found.user, error.what, error.status)
    person_id = await call.server.units.write(_choose, call.path("link"), email, kept)
    return await _logged_in(call, person_id, "/")


@endpoint("GET", "/account/authorization-code/{code}", access=Access.DASHBOARD_USER)
async def code_page(call: Incoming[None]) -> Response:
    """Ask whether a command line may act for the user."""
    return await _code(call, is_approved=False)


@endpoint("POST", "/account/authorization-code/{code}", access=Access.DASHBOARD_USER)
async def code_form(call: Incoming[None]) -> Response:
    """Let a command line act for the user."""
    browser.fields(call.request, await call.body_bytes(_FORM_LIMIT), call.principal)
    await call.server.units.write(
        authorization_code.approve, call.path("code"), call.principal.user_id or ""
    )
    return await _code(call, is_approved=True)


@endpoint("GET", "/environments", access=Access.DASHBOARD_USER)
async def environments_page(call: Incoming[None]) -> Response:
    """Show the environments that the user may look at."""
    found = await call.server.units.read(browser.seats, call.principal.user_id or "")
    return html("environments.html", {"seats": found, "csrf": browser.csrf_of(call.principal)})


@endpoint("POST", "/environments", access=Access.DASHBOARD_USER)
async def environments_form(call: Incoming[None]) -> Response:
    """Look at another environment."""
    body = await call.body_bytes(_FORM_LIMIT)
    given = browser.fields(call.request, body, call.principal)
    chosen = given.get("environment", "")
    place = chosen if _ID.match(chosen) else ""
    return kept(call, RedirectResponse("/", 303), browser.CHOICE, place)


ENDPOINTS: tuple[Endpoint, ...] = (
    login_page,
    login_form,
    logout_form,
    setup_page,
    setup_form,
    code_page,
    code_form,
    environments_page,
    environments_form,
)


def page(
    call: Incoming[None], place: str, *, email: str = "", problem: str = "", status: int = 200
) -> Response:
    """Return the page to log in, with what went wrong."""
    values = {"next": place, "email": email, "problem": problem}
    return html("login.html", values | {"has_provider": call.server.provider is not None}, status)


def kept(
    call: Incoming[None],
    response: Response,
    name: str,
    value: str,
    *,
    life_s: int = login_session.LIFE_MS // 1000,
) -> Response:
    """Let the browser keep something."""
    is_encrypted = (call.server.settings.public_url or "").startswith("https://")
    return browser.keep(response, name, value, is_encrypted=is_encrypted, life_s=life_s)


def client_of(call: Incoming[None]) -> str:
    """Return the address that a request comes from."""
    return call.request.client.host if call.request.client else ""


def local(place: str) -> str:
    """Return a place on this server; an address elsewhere is none."""
    is_here = place.startswith("/") and not place.startswith("//") and "\\" not in place
    return place if is_here else "/"


async def _checked(call: Incoming[None], email: str, password: str) -> UserRow:
    """Return who has the address and the password."""
    units, client = call.server.units, client_of(call)
    await units.write(login_attempt.begin, client, email)
    person = await units.read(user.by_email, email)
    is_right = await passwords.is_right(password, person.password_hash if person else None)
    if person is None or not is_right:
        raise AuthenticationError("the address or the password is wrong", status=401)
    await units.write(login_attempt.succeeded, client, email)
    return person


async def _logged_in(call: Incoming[None], user_id: str, place: str) -> Response:
    earlier = call.request.cookies.get(browser.COOKIE, "")
    token = await call.server.units.write(login_session.renew, earlier, user_id)
    return kept(call, RedirectResponse(place, 303), browser.COOKIE, token)


def _choose(u: Unit, link: str, email: str, kept: str) -> str:
    """Keep a first password; the link is looked at again, because it is good once."""
    found = setup_link.used(u, link)
    if found.user is None:
        return user.become_admin(u, email, kept).id
    user.set_password(u, found.user.id, kept)
    return found.user.id


def _setup(
    call: Incoming[None], person: UserRow | None, problem: str, status: int = 200
) -> Response:
    values = {
        "link": call.path("link"),
        "email": person.email if person else "",
        "is_first": person is None,
        "problem": problem,
        "shortest": passwords.SHORTEST,
    }
    return html("setup.html", values, status)


async def _code(call: Incoming[None], *, is_approved: bool) -> Response:
    found = await call.server.units.read(authorization_code.find, call.path("code"))
    person = await call.server.units.read(user.by_id, call.principal.user_id or "")
    values = {
        "code": call.path("code"),
        "asked_from": found.asked_from,
        "is_approved": is_approved or found.user_id is not None,
        "email": person.email if person else "",
        "csrf": browser.csrf_of(call.principal),
    }
    return html("authorization_code.html", values)
