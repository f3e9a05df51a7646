"""Tokens of users and organisations, and keys of environments: made, listed, revoked (additions of ours)."""

from __future__ import annotations

from pydantic import Field

from trigger_core.schemas.base import WireModel
from trigger_core.schemas.organizations import RoleName

__all__ = [
    "AccessToken",
    "AccessTokenCreated",
    "AccessTokens",
    "CreateAccessToken",
    "CreateEnvironmentKey",
    "CreateOrganizationToken",
    "EnvironmentKey",
    "EnvironmentKeyCreated",
    "EnvironmentKeys",
    "Revoked",
]


class CreateAccessToken(WireModel):
    """A token to be; ``expires_in`` is a duration such as ``90d``."""

    name: str = Field(min_length=1, max_length=100)
    expires_in: str | None = None


class CreateOrganizationToken(CreateAccessToken):
    """An organisation's token to be, and what it may do."""

    role: RoleName = "DEVELOPER"


class AccessToken(WireModel):
    """A token as it is listed: not the token, its ends."""

    id: str
    name: str
    obfuscated_token: str
    role: RoleName | None = None
    created_at: str
    expires_at: str | None = None
    last_used_at: str | None = None


class AccessTokenCreated(WireModel):
    """A token that was made; it is shown this once."""

    id: str
    token: str
    obfuscated_token: str


class AccessTokens(WireModel):
    """Tokens that hold."""

    tokens: list[AccessToken]


class CreateEnvironmentKey(WireModel):
    """A key beside the root key; without scopes it may do what that may, but sign no tokens itself."""

    name: str = Field(min_length=1, max_length=100)
    scopes: list[str] | None = Field(default=None, min_length=1, max_length=100)
    expires_in: str | None = None


class EnvironmentKey(WireModel):
    """A key as it is listed."""

    id: str
    name: str
    obfuscated_key: str
    scopes: list[str] | None = None
    created_at: str
    expires_at: str | None = None
    last_used_at: str | None = None


class EnvironmentKeyCreated(WireModel):
    """A key that was made; it is shown this once."""

    id: str
    api_key: str
    obfuscated_key: str


class EnvironmentKeys(WireModel):
    """The keys of an environment that hold, beside the root key."""

    keys: list[EnvironmentKey]


class Revoked(WireModel):
    """A token or key that opens nothing any more."""

    id: str
