"""Batches (protocol A.3, A.4)."""

from __future__ import annotations

from urllib.parse import quote

from trigger_core.api.call import Call, reading
from trigger_core.schemas.batches import BatchDetail

__all__ = ["retrieve"]


def retrieve(batch_id: str) -> Call[BatchDetail]:
    """Read a batch with its runs."""
    return Call("GET", f"/api/v2/batches/{quote(batch_id, safe='')}", reading(BatchDetail))
