"""Supervisors and the platform (protocol F.1); what they say of runs is in ``execution``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from trigger_core.schemas.base import WireList, WireModel
from trigger_core.schemas.execution import ManagedMessage, RunState, SnapshotState

__all__ = [
    "ConnectSupervisor",
    "ContinuedRun",
    "DequeueRuns",
    "ManagedMessages",
    "SupervisorConnected",
    "SupervisorGroup",
    "SupervisorHeartbeat",
    "SuspendRun",
    "TakenCheckpoint",
]


class _Version(WireModel):
    worker_version: str = ""


class ConnectSupervisor(WireModel):
    """The body of ``POST /engine/v1/worker-actions/connect``."""

    metadata: _Version = _Version()


class SupervisorGroup(WireModel):
    """The group a supervisor belongs to."""

    type: str
    name: str


class SupervisorConnected(WireModel):
    """The answer: the token is known, and of this group."""

    ok: bool = True
    worker_group: SupervisorGroup


class SupervisorHeartbeat(WireModel):
    """The body of a supervisor's own heartbeat; what it says of its load is not used."""


class DequeueRuns(WireModel):
    """The body of ``POST …/dequeue``: how many runs the supervisor has room for."""

    max_run_count: Annotated[int, Field(ge=1, le=100)] = 10


class ManagedMessages(WireList[ManagedMessage]):
    """The answer: runs to start."""


class TakenCheckpoint(WireModel):
    """Where a runner was put away."""

    type: Literal["DOCKER", "KUBERNETES", "COMPUTE"]
    location: str
    image_ref: str | None = None
    reason: str | None = None


class SuspendRun(WireModel):
    """The body of ``POST …/suspend``: the checkpoint, or why there is none."""

    success: bool
    checkpoint: TakenCheckpoint | None = None
    error: str | None = None


class ContinuedRun(WireModel):
    """The answer of ``GET …/continue``: the run executes again."""

    snapshot: SnapshotState
    run: RunState
