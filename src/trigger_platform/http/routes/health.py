"""Whether the server is up."""

from __future__ import annotations

from trigger_core.schemas.base import WireModel
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint

__all__ = ["health"]


class Health(WireModel):
    """The server is up."""

    ok: bool


@endpoint("GET", "/healthz", access=Access.OPEN, returns=Health)
async def health(_call: Incoming[None]) -> Health:
    """Say that the server is up."""
    return Health(ok=True)
