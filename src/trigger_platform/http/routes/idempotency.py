"""Idempotency keys (protocol A.14)."""

from __future__ import annotations

from trigger_core.schemas.idempotency import KeyReset, ResetKey
from trigger_platform.engine import idempotency
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint

__all__ = ["reset_key"]


@endpoint(
    "POST",
    "/api/v1/idempotencyKeys/{key:path}/reset",
    access=Access.KEY_RESETTER,
    body=ResetKey,
    returns=KeyReset,
)
async def reset_key(call: Incoming[ResetKey]) -> KeyReset:
    """Free a key, so that the next trigger makes a new run."""
    key = call.path("key")
    await call.server.write(idempotency.reset, call.environment_id, key, call.body.task_identifier)
    return KeyReset(id=key)
