"""News for who develops (protocol A.20)."""

from __future__ import annotations

from trigger_core.schemas.base import NullableModel

__all__ = ["PlatformNotifications"]


class PlatformNotifications(NullableModel):
    """The answer of ``GET /api/v1/platform-notifications``; clients want the key to be there."""

    notification: None
