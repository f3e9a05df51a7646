"""How a command line comes by a token: it asks, a user approves in a browser, it fetches (protocol B.2)."""

from __future__ import annotations

from pydantic import ValidationError

from trigger_core.errors import UnprocessableError
from trigger_core.schemas.login import AuthorizationCode, FetchedToken, FetchToken, UserToken
from trigger_platform.engine import authorization_code
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint

__all__ = ["ask_for_token", "fetch_token"]

_LIMIT = 4096


@endpoint("POST", "/api/v1/authorization-code", access=Access.OPEN, returns=AuthorizationCode)
async def ask_for_token(call: Incoming[None]) -> AuthorizationCode:
    """Return a code, and the page where a user approves it."""
    client = call.request.client
    asked_from = client.host if client else "unknown"
    code = await call.server.units.write(authorization_code.create, asked_from)
    url = call.server.url or str(call.request.base_url).rstrip("/")
    return AuthorizationCode(
        authorization_code=code, url=f"{url}/account/authorization-code/{code}"
    )


@endpoint("POST", "/api/v1/token", access=Access.OPEN, returns=FetchedToken)
async def fetch_token(call: Incoming[None]) -> FetchedToken:
    """Return a token once the code was approved, and this once."""
    try:
        asked = FetchToken.model_validate_json(await call.body_bytes(_LIMIT))
    except ValidationError as error:
        raise UnprocessableError("Invalid request body", status=422, code="INVALID_BODY") from error
    made = await call.server.units.write(authorization_code.redeem, asked.authorization_code)
    if made is None:
        return FetchedToken(token=None)
    return FetchedToken(token=UserToken(token=made.token, obfuscated_token=made.row.hint))
