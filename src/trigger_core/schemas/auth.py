"""Public tokens (protocol B.3)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from trigger_core.schemas.base import WireModel

__all__ = [
    "MintPublicToken",
    "MintToken",
    "PublicClaims",
    "PublicToken",
    "RealtimeClaims",
    "RegeneratedKey",
    "RevokePublicToken",
    "RevokedToken",
    "RevokedTokens",
    "ScopesDenied",
]


class PublicClaims(WireModel):
    """The claims a client signs itself."""

    sub: str
    pub: bool


class RealtimeClaims(WireModel):
    """What a token forces on realtime feeds."""

    skip_columns: list[str] | None = None


class MintPublicToken(WireModel):
    """A public token to be; an expiry is a moment (unix seconds) or a duration such as ``15m``."""

    scopes: list[str] = Field(min_length=1, max_length=100)
    expiration_time: int | str | None = None
    one_time_use: bool = False
    realtime: RealtimeClaims | None = None


class MintToken(WireModel):
    """A token to be, with claims of the asker's; only the scopes among them count."""

    claims: dict[str, Any] | None = None
    expiration_time: int | str | None = None


class PublicToken(WireModel):
    """A token that was signed."""

    token: str


class RevokePublicToken(WireModel):
    """A token that is to be refused from now on: the token itself, or its id (``jti``)."""

    token: str | None = Field(default=None, max_length=16_384)
    jti: str | None = Field(default=None, min_length=1, max_length=200)

    @model_validator(mode="after")
    def _one_of_both(self) -> RevokePublicToken:
        if (self.token is None) == (self.jti is None):
            raise ValueError("name either the token or its jti")
        return self


class RevokedToken(WireModel):
    """A token that is refused from now on; ``until`` it is remembered, then it has expired."""

    jti: str | None = None
    until: str


class ScopesDenied(WireModel):
    """A token that would allow more than the key that asks for it."""

    error: str
    code: Literal["scopes_exceed_key_access"] = "scopes_exceed_key_access"
    denied_scopes: list[str]


class RegeneratedKey(WireModel):
    """An environment's new secret key; the one before opens it until a moment."""

    api_key: str
    previous_key_expires_at: str


class RevokedTokens(WireModel):
    """From when on public tokens of an environment have to be signed."""

    since: str
