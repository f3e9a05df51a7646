"""Idempotency keys (protocol A.14)."""

from __future__ import annotations

from trigger_core.schemas.base import WireModel

__all__ = ["KeyReset", "ResetKey"]


class ResetKey(WireModel):
    """The body of ``POST /api/v1/idempotencyKeys/{hash}/reset``."""

    task_identifier: str


class KeyReset(WireModel):
    """The answer: the hash that was freed."""

    id: str
