"""Public tokens (protocol B.3)."""

from __future__ import annotations

from trigger_core.schemas.base import WireModel

__all__ = ["PublicClaims"]


class PublicClaims(WireModel):
    """The claims a client signs itself."""

    sub: str
    pub: bool
