"""Public tokens (protocol B.3)."""

from __future__ import annotations

from trigger_core.api.call import Call, reading
from trigger_core.schemas.auth import PublicClaims, RevokedToken, RevokePublicToken

__all__ = ["claims", "revoke_public_token"]


def claims() -> Call[PublicClaims]:
    """Ask for the claims that public tokens of this environment begin with."""
    return Call("POST", "/api/v1/auth/jwt/claims", reading(PublicClaims))


def revoke_public_token(token: str) -> Call[RevokedToken]:
    """Refuse a public token from now on: the token itself, or its id."""
    asked = (
        RevokePublicToken(token=token) if token.count(".") == 2 else RevokePublicToken(jti=token)
    )
    path = "/api/v1/auth/public-tokens/revoke"
    return Call("POST", path, reading(RevokedToken), body=asked.to_wire())
