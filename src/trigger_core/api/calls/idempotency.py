"""Idempotency keys (protocol A.14)."""

from __future__ import annotations

from urllib.parse import quote

from trigger_core.api.call import Call, reading
from trigger_core.schemas.idempotency import KeyReset, ResetKey

__all__ = ["reset"]


def reset(task_id: str, key_hash: str) -> Call[KeyReset]:
    """Free a key, given by its hash."""
    path = f"/api/v1/idempotencyKeys/{quote(key_hash, safe='')}/reset"
    body = ResetKey(task_identifier=task_id).to_wire()
    return Call("POST", path, reading(KeyReset), body=body)
