"""Signing public tokens for those who cannot or should not have the key, and revoking them (protocol B.3)."""

from __future__ import annotations

from typing import Any

from trigger_core import clock, duration
from trigger_core.errors import (
    AuthenticationError,
    NotFoundError,
    UnprocessableError,
    UsageError,
)
from trigger_core.schemas.auth import (
    MintPublicToken,
    MintToken,
    PublicToken,
    RevokedToken,
    RevokedTokens,
    RevokePublicToken,
    ScopesDenied,
)
from trigger_platform.engine import environment, revocation
from trigger_platform.http import public_token, scopes
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, Reply, endpoint
from trigger_platform.store.rows import EnvironmentRow

__all__ = [
    "mint_as_user",
    "mint_public_token",
    "mint_token",
    "revoke_as_user",
    "revoke_public_token",
    "revoke_public_tokens",
]

_MINUTES_MS = 15 * 60_000
_HOUR_MS = 3_600_000
_LONGEST_MS = 30 * 24 * _HOUR_MS
_FAR = 9_999_999_999_999
"""Longer than anybody remembers: a moment that both databases can write."""


@endpoint(
    "POST",
    "/api/v1/auth/public-tokens",
    access=Access.TOKEN_MINTER,
    body=MintPublicToken,
    returns=PublicToken,
)
async def mint_public_token(call: Incoming[MintPublicToken]) -> Reply:
    """Sign a public token that allows no more than the key that asks for it."""
    body, granted = call.body, call.principal.scopes
    if granted is not None:
        denied = [one for one in body.scopes if not scopes.is_within(one, granted)]
        if denied:
            error = "the key does not allow these scopes"
            return Reply(ScopesDenied(error=error, denied_scopes=denied), status=403)
    claims: dict[str, Any] = {"scopes": body.scopes}
    if body.one_time_use:
        claims["otu"] = True
    if body.realtime is not None:
        claims["realtime"] = body.realtime.to_wire()
    return Reply(_signed(call, claims, body.expiration_time, _MINUTES_MS))


@endpoint(
    "POST",
    "/api/v1/auth/jwt",
    access=Access.ENVIRONMENT,
    body=MintToken,
    returns=PublicToken,
    is_body_optional=True,
)
async def mint_token(call: Incoming[MintToken]) -> PublicToken:
    """Sign a token for an hour, unless told otherwise."""
    return _signed(call, _scopes(call.body), call.body.expiration_time, _HOUR_MS)


@endpoint(
    "POST",
    "/api/v1/projects/{project_ref}/{env}/jwt",
    access=Access.PROJECT_DEVELOPER,
    body=MintToken,
    returns=PublicToken,
    is_body_optional=True,
)
async def mint_as_user(call: Incoming[MintToken]) -> PublicToken:
    """Sign a token for a user who acts in an environment without its key."""
    claims = _scopes(call.body)
    if call.principal.user_id is not None:
        claims["act"] = {"sub": call.principal.user_id}
    return _signed(call, claims, call.body.expiration_time, _HOUR_MS)


@endpoint(
    "POST",
    "/api/v1/projects/{project_ref}/{env}/revoke-public-tokens",
    access=Access.PROJECT_ADMIN,
    returns=RevokedTokens,
)
async def revoke_public_tokens(call: Incoming[None]) -> RevokedTokens:
    """Refuse all public tokens of an environment and its branches that were signed until now."""
    since = await call.server.units.write(
        environment.revoke_public_tokens, call.principal.environment
    )
    return RevokedTokens(since=clock.to_iso(since))


@endpoint(
    "POST",
    "/api/v1/auth/public-tokens/revoke",
    access=Access.ENVIRONMENT,
    body=RevokePublicToken,
    returns=RevokedToken,
)
async def revoke_public_token(call: Incoming[RevokePublicToken]) -> RevokedToken:
    """Refuse one public token of the key's environment, or of a branch of it, from now on."""
    return await _revoke(call)


@endpoint(
    "POST",
    "/api/v1/projects/{project_ref}/{env}/revoke-public-token",
    access=Access.PROJECT_DEVELOPER,
    body=RevokePublicToken,
    returns=RevokedToken,
)
async def revoke_as_user(call: Incoming[RevokePublicToken]) -> RevokedToken:
    """Refuse one public token for a user who may sign some."""
    return await _revoke(call)


async def _revoke(call: Incoming[RevokePublicToken]) -> RevokedToken:
    """Revoke the token that is shown; of one that is only named, the environment is the caller's."""
    units, here = call.server.units, call.principal.environment
    if call.body.jti is not None:
        until = units.clock.now() + _LONGEST_MS
        await units.write(revocation.revoke, here, call.body.jti, until)
        return RevokedToken(jti=call.body.jti, until=clock.to_iso(until))
    owner, shown = await _shown(call, call.body.token or "")
    until = min(shown.expires_at, _FAR)
    await units.write(revocation.revoke, owner, shown.named, until)
    return RevokedToken(jti=shown.named.id, until=clock.to_iso(until))


async def _shown(
    call: Incoming[RevokePublicToken], token: str
) -> tuple[EnvironmentRow, public_token.PublicToken]:
    """Return what a token says, and the environment it is of: the caller's, or a branch of it."""
    units, here = call.server.units, call.principal.environment
    signers = await units.read(environment.signers, public_token.environment_of(token) or "")
    if not signers or here.id not in {signers[0].id, signers[0].parent_id}:
        raise NotFoundError(
            "there is no such token in this environment", status=404, code="TOKEN_NOT_FOUND"
        )
    try:
        return signers[0], public_token.read(units.keys, token, signers)
    except AuthenticationError as error:
        raise UnprocessableError(
            error.what, status=422, code="INVALID_PUBLIC_TOKEN", because=error.because
        ) from error


def _scopes(body: MintToken) -> dict[str, Any]:
    given = (body.claims or {}).get("scopes", [])
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise UsageError(
            'Validation error: scopes must be texts at "claims.scopes"', code="INVALID_BODY"
        )
    return {"scopes": given}


def _signed(
    call: Incoming[Any], claims: dict[str, Any], given: int | str | None, default_ms: int
) -> PublicToken:
    units, place = call.server.units, call.principal.environment
    now = units.clock.now()
    life_ms = _life(given, now, default_ms)
    full = {"sub": place.id, "pub": True} | claims
    return PublicToken(token=public_token.mint(units.keys, place, full, now, life_ms // 1000))


def _life(given: int | str | None, now: int, default_ms: int) -> int:
    """Return for how long a token lives: a number is a moment in seconds, a text a duration."""
    if given is None:
        return default_ms
    life = given * 1000 - now if isinstance(given, int) else duration.parse_ms(given)
    if not 1000 <= life <= _LONGEST_MS:
        raise UsageError(
            "a token expires between a second and 30 days from now",
            code="INVALID_EXPIRY",
            hint='"15m", "1h", "30d", or a moment in unix seconds',
        )
    return life
