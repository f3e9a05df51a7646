"""Tokens of users and organisations, and keys of environments beside the root key (additions of ours).

What is made is shown in the answer and never again, but to whom repeats the request: he has not heard it.
"""

from __future__ import annotations

from trigger_core.schemas.access_tokens import (
    AccessTokenCreated,
    AccessTokens,
    CreateAccessToken,
    CreateEnvironmentKey,
    CreateOrganizationToken,
    EnvironmentKeyCreated,
    EnvironmentKeys,
    Revoked,
)
from trigger_platform.engine import access_token, additional_key
from trigger_platform.engine.access_token import Made
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.http import present_identity as present
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, Reply, endpoint

__all__ = [
    "create_access_token",
    "create_environment_key",
    "create_organization_token",
    "list_access_tokens",
    "list_environment_keys",
    "list_organization_tokens",
    "revoke_access_token",
    "revoke_environment_key",
    "revoke_organization_token",
]

_USERS = "/api/v1/access-tokens"
_ORGANIZATIONS = "/api/v1/orgs/{organization}/access-tokens"
_KEYS = "/api/v1/projects/{project_ref}/{env}/api-keys"


@endpoint("GET", _USERS, access=Access.PERSON, returns=AccessTokens)
async def list_access_tokens(call: Incoming[None]) -> AccessTokens:
    """List the caller's tokens that hold."""
    found = await call.server.units.read(access_token.listed, user_id=call.principal.user_id)
    return AccessTokens(tokens=[present.access_token(one) for one in found])


@endpoint(
    "POST",
    _USERS,
    access=Access.PERSON,
    body=CreateAccessToken,
    returns=AccessTokenCreated,
    statuses=(201,),
)
async def create_access_token(call: Incoming[CreateAccessToken]) -> Reply:
    """Create a token of the caller's."""
    body, user_id = call.body, call.principal.user_id or ""

    def work(u: Unit) -> AccessTokenCreated:
        expires_at = access_token.expiry(u, body.expires_in)
        return _created(access_token.create(u, body.name, user_id, expires_at=expires_at))

    return _shown(await call.once_for_caller(AccessTokenCreated, work, shows_secret=True))


@endpoint("DELETE", f"{_USERS}/{{id}}", access=Access.PERSON, returns=Revoked)
async def revoke_access_token(call: Incoming[None]) -> Revoked:
    """Revoke a token of the caller's."""
    id_, user_id = call.path("id"), call.principal.user_id

    def work(u: Unit) -> Revoked:
        access_token.revoke(u, id_, user_id=user_id)
        return Revoked(id=id_)

    return await call.once_for_caller(Revoked, work)


@endpoint("GET", _ORGANIZATIONS, access=Access.ORGANIZATION_ADMIN, returns=AccessTokens)
async def list_organization_tokens(call: Incoming[None]) -> AccessTokens:
    """List an organisation's tokens that hold."""
    found = await call.server.units.read(access_token.listed, organization_id=call.organization.id)
    return AccessTokens(tokens=[present.access_token(one) for one in found])


@endpoint(
    "POST",
    _ORGANIZATIONS,
    access=Access.ORGANIZATION_ADMIN,
    body=CreateOrganizationToken,
    returns=AccessTokenCreated,
    statuses=(201,),
)
async def create_organization_token(call: Incoming[CreateOrganizationToken]) -> Reply:
    """Create a token of an organisation, with a role no higher than the caller's."""
    body, home, role = call.body, call.organization, Role[call.body.role]
    call.principal.require_role(role)

    def work(u: Unit) -> AccessTokenCreated:
        expires_at = access_token.expiry(u, body.expires_in)
        return _created(
            access_token.create_for_organization(u, body.name, home.id, role, expires_at=expires_at)
        )

    return _shown(await call.once_for_caller(AccessTokenCreated, work, shows_secret=True))


@endpoint("DELETE", f"{_ORGANIZATIONS}/{{id}}", access=Access.ORGANIZATION_ADMIN, returns=Revoked)
async def revoke_organization_token(call: Incoming[None]) -> Revoked:
    """Revoke a token of an organisation."""
    id_, home = call.path("id"), call.organization

    def work(u: Unit) -> Revoked:
        access_token.revoke(u, id_, organization_id=home.id)
        return Revoked(id=id_)

    return await call.once_for_caller(Revoked, work)


@endpoint("GET", _KEYS, access=Access.PROJECT_ADMIN, returns=EnvironmentKeys)
async def list_environment_keys(call: Incoming[None]) -> EnvironmentKeys:
    """List the keys of an environment that hold, beside the root key."""
    found = await call.server.units.read(additional_key.listed, call.principal.environment)
    return EnvironmentKeys(keys=[present.environment_key(one) for one in found])


@endpoint(
    "POST",
    _KEYS,
    access=Access.PROJECT_ADMIN,
    body=CreateEnvironmentKey,
    returns=EnvironmentKeyCreated,
    statuses=(201,),
)
async def create_environment_key(call: Incoming[CreateEnvironmentKey]) -> Reply:
    """Create a key of an environment, which may be restricted to scopes."""
    body, caller = call.body, call.principal

    def work(u: Unit) -> EnvironmentKeyCreated:
        made = additional_key.create(
            u,
            caller.environment,
            body.name,
            body.scopes,
            expires_at=access_token.expiry(u, body.expires_in),
            created_by=caller.user_id,
        )
        return EnvironmentKeyCreated(id=made.row.id, api_key=made.key, obfuscated_key=made.row.hint)

    return _shown(await call.once_for_caller(EnvironmentKeyCreated, work, shows_secret=True))


@endpoint("DELETE", f"{_KEYS}/{{id}}", access=Access.PROJECT_ADMIN, returns=Revoked)
async def revoke_environment_key(call: Incoming[None]) -> Revoked:
    """Revoke a key of an environment."""
    id_, here = call.path("id"), call.principal.environment

    def work(u: Unit) -> Revoked:
        additional_key.revoke(u, here, id_)
        return Revoked(id=id_)

    return await call.once_for_caller(Revoked, work)


def _created(made: Made) -> AccessTokenCreated:
    return AccessTokenCreated(id=made.row.id, token=made.token, obfuscated_token=made.row.hint)


def _shown(made: AccessTokenCreated | EnvironmentKeyCreated) -> Reply:
    return Reply(made, {"cache-control": "no-store"}, 201)
