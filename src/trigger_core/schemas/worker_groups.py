"""Worker groups: supervisors that share a token (protocol F.5)."""

from __future__ import annotations

from pydantic import Field

from trigger_core.schemas.base import WireList, WireModel

__all__ = [
    "CreateWorkerGroup",
    "PlainToken",
    "WorkerGroup",
    "WorkerGroupCreated",
    "WorkerGroupName",
    "WorkerGroups",
]


class CreateWorkerGroup(WireModel):
    """A group to be."""

    name: str | None = Field(default=None, min_length=1, max_length=100)
    description: str | None = Field(default=None, max_length=1000)


class WorkerGroupName(WireModel):
    """A group that was made."""

    name: str
    description: str | None = None


class PlainToken(WireModel):
    """A token, shown this once."""

    plaintext: str


class WorkerGroupCreated(WireModel):
    """A group and its token."""

    worker_group: WorkerGroupName
    token: PlainToken


class WorkerGroup(WireModel):
    """A group as it is listed."""

    type: str
    name: str
    description: str | None = None
    last_heartbeat_at: str | None = None
    is_default: bool
    updated_at: str


class WorkerGroups(WireList[WorkerGroup]):
    """Every group."""
