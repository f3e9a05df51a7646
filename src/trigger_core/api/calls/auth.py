"""Public tokens (protocol B.3)."""

from __future__ import annotations

from trigger_core.api.call import Call, reading
from trigger_core.schemas.auth import PublicClaims

__all__ = ["claims"]


def claims() -> Call[PublicClaims]:
    """Ask for the claims that public tokens of this environment begin with."""
    return Call("POST", "/api/v1/auth/jwt/claims", reading(PublicClaims))
