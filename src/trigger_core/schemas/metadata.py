"""A run's metadata: reading it, and changing it by operations (protocol A.7)."""

from __future__ import annotations

from typing import Any

from trigger_core.metadata import Operation
from trigger_core.schemas.base import WireModel
from trigger_core.schemas.errors import ErrorBody

__all__ = ["MetadataFlush", "MetadataFlushed", "MetadataUpdate", "RunMetadata"]


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
    """Operations that a run's code has made since they were reported last.

    ``number`` counts the flushes of an attempt: one that comes twice is applied once. ``refs`` are the names
    under which the code waits to hear that it was.
    """

    run_id: str
    lease: int
    number: int
    refs: list[str] = []


class MetadataFlushed(WireModel):
    """Operations were taken down; ``error`` says why they were not applied."""

    run_id: str
    lease: int
    refs: list[str]
    error: ErrorBody | None = None


class RunMetadata(WireModel):
    """The metadata of a run; an empty object when it has none."""

    metadata: dict[str, Any]
    metadata_type: str = "application/json"
