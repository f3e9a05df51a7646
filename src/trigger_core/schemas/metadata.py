"""A run's metadata: reading it, and changing it by operations (protocol A.7)."""

from __future__ import annotations

from typing import Any

from trigger_core.metadata import Operation
from trigger_core.schemas.base import WireModel

__all__ = ["MetadataFlush", "MetadataUpdate", "RunMetadata"]


class MetadataUpdate(WireModel):
    """The body of ``PUT /api/v1/runs/{id}/metadata``.

    ``metadata`` replaces everything, then the operations follow. Operations for the parent or the root of a
    run that has none apply to the run itself.
    """

    metadata: dict[str, Any] | None = None
    operations: list[Operation] = []
    parent_operations: list[Operation] = []
    root_operations: list[Operation] = []


class MetadataFlush(MetadataUpdate):
    """Operations that a run's code has made since they were reported last."""

    run_id: str
    lease: int


class RunMetadata(WireModel):
    """The metadata of a run; an empty object when it has none."""

    metadata: dict[str, Any]
    metadata_type: str = "application/json"
