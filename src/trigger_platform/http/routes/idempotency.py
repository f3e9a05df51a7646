"""Idempotency keys (protocol A.14)."""

from __future__ import annotations

from trigger_core.schemas.idempotency import KeyReset, ResetKey
from trigger_platform.engine import idempotency
from trigger_platform.engine.unit import Unit
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint
from trigger_platform.store.rows import EnvironmentRow

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
    return await call.once(KeyReset, _reset, call.path("key"), call.body.task_identifier)


def _reset(u: Unit, environment: EnvironmentRow, key: str, task: str) -> KeyReset:
    idempotency.reset(u, environment, key, task)
    return KeyReset(id=key)
