"""Logging in with the OpenID provider: sending a browser there, and letting in who comes back."""

from __future__ import annotations

import json
import logging
import secrets
from dataclasses import asdict

from starlette.responses import RedirectResponse, Response

from trigger_core.errors import (
    AuthenticationError,
    EncryptionError,
    NotFoundError,
    TriggerError,
)
from trigger_platform.dashboard import login_pages
from trigger_platform.engine import identity, login_attempt, login_session, one_time
from trigger_platform.engine.identity import Identity
from trigger_platform.engine.unit import Unit
from trigger_platform.http import browser
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Endpoint, Incoming, endpoint
from trigger_platform.openid import LIFE_MS, Attempt, OpenIdProvider

__all__ = ["ENDPOINTS"]

_PLACE = "cookie/openid"
_log = logging.getLogger(__name__)


@endpoint("GET", "/login/oidc", access=Access.OPEN)
async def openid_login(call: Incoming[None]) -> Response:
    """Send the browser to the provider."""
    provider, place = _provider(call), login_pages.local(call.query("next"))
    attempt = Attempt.begin(place, call.server.units.clock.now())
    try:
        address = await provider.address(attempt, _back(call))
    except TriggerError as error:
        return _failed(call, error, place)
    sealed = call.server.units.keys.seal(json.dumps(asdict(attempt)), _PLACE)
    response = RedirectResponse(address, 303, {"cache-control": "no-store"})
    return login_pages.kept(
        call, response, browser.ATTEMPT, sealed.encode().hex(), life_s=LIFE_MS // 1000
    )


@endpoint("GET", "/login/oidc/callback", access=Access.OPEN)
async def openid_callback(call: Incoming[None]) -> Response:
    """Let in who comes back from the provider."""
    provider, place = _provider(call), "/"
    try:
        attempt = _attempt(call)
        place, client = attempt.place, login_pages.client_of(call)
        await call.server.units.write(login_attempt.begin, client)
        who = await _who(call, provider, attempt)
        session = await call.server.units.write(
            _enter,
            who,
            call.server.settings.oidc_allowed_domains,
            call.request.cookies.get(browser.COOKIE, ""),
        )
        await call.server.units.write(login_attempt.succeeded, client)
    except TriggerError as error:
        response = _failed(call, error, place)
    else:
        response = login_pages.kept(call, RedirectResponse(place, 303), browser.COOKIE, session)
    return browser.clear(response, browser.ATTEMPT)


ENDPOINTS: tuple[Endpoint, ...] = (openid_login, openid_callback)


def _provider(call: Incoming[None]) -> OpenIdProvider:
    if call.server.provider is None:
        raise NotFoundError("Not found", status=404)
    return call.server.provider


def _back(call: Incoming[None]) -> str:
    """Return where the provider sends the browser back to."""
    return f"{call.server.settings.public_url or call.base_url}/login/oidc/callback"


def _attempt(call: Incoming[None]) -> Attempt:
    """Return the attempt that this very browser began, if it comes back with its state and in time."""
    kept = call.request.cookies.get(browser.ATTEMPT, "")
    try:
        text = call.server.units.keys.open(bytes.fromhex(kept).decode(), _PLACE)
        attempt = Attempt(**json.loads(text))
    except (ValueError, EncryptionError) as error:
        raise _unknown() from error
    is_right = secrets.compare_digest(call.query("state").encode(), attempt.state.encode())
    if not is_right or attempt.until <= call.server.units.clock.now():
        raise _unknown()
    return attempt


async def _who(call: Incoming[None], provider: OpenIdProvider, attempt: Attempt) -> Identity:
    """Ask the provider who it is; an attempt is good once."""
    if not await call.server.units.write(one_time.spend, attempt.state, attempt.until):
        raise _unknown()
    if call.query("error") or not call.query("code"):
        said = call.query("error", "no code")[:100]
        raise AuthenticationError(f"the provider says: {said}", status=401, code="LOGIN_FAILED")
    return await provider.identity(call.query("code"), attempt, _back(call))


def _enter(u: Unit, who: Identity, domains: tuple[str, ...], earlier: str) -> str:
    """Begin a session, in the place of one that the browser has already."""
    known = login_session.user_of(u, earlier) if earlier else None
    person = identity.user_of(u, who, domains, known.id if known else None)
    return login_session.renew(u, earlier, person.id)


def _failed(call: Incoming[None], error: TriggerError, place: str) -> Response:
    """Say on the page what went wrong; the log says why, which is for the operator."""
    _log.warning("login with the OpenID provider failed: %s: %s", error.what, error.because)
    return login_pages.page(call, place, problem=error.what, status=error.status)


def _unknown() -> AuthenticationError:
    return AuthenticationError(
        "this login was not begun here, or it took too long; try again",
        status=401,
        code="LOGIN_FAILED",
    )
