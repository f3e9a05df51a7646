"""How TypeScript workers execute runs: they hold a run by its snapshot and read the next one (protocol D).

The models serve the development CLI (D) and the managed worker (F) alike. What the platform does with them is
:mod:`trigger_platform.engine.snapshot_channel`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from trigger_core.schemas.base import WireModel
from trigger_core.schemas.workers import TaskError

__all__ = [
    "AttemptCompleted",
    "AttemptResult",
    "AttemptStarted",
    "CompleteAttempt",
    "CompletedBatch",
    "CompletedRun",
    "CompletedWaitpoint",
    "CompletionResult",
    "DebugLog",
    "Dequeue",
    "Dequeued",
    "DequeuedMessage",
    "DequeuedRun",
    "DevConfig",
    "DevStatus",
    "Disconnect",
    "Disconnected",
    "Execution",
    "ExecutionAttempt",
    "ExecutionBatch",
    "ExecutionCheckpoint",
    "ExecutionData",
    "ExecutionDeployment",
    "ExecutionEnvironment",
    "ExecutionMachine",
    "ExecutionOrganization",
    "ExecutionProject",
    "ExecutionQueue",
    "ExecutionRun",
    "ExecutionTask",
    "FailedAttempt",
    "FlushedMetadata",
    "Heartbeat",
    "LaterSnapshots",
    "LatestSnapshot",
    "ManagedMessage",
    "Named",
    "Ok",
    "RunState",
    "SnapshotState",
    "StartAttempt",
    "SucceededAttempt",
    "Typed",
    "WorkerVersion",
]


class DevConfig(WireModel):
    """The answer of ``GET /engine/v1/dev/config``: how often to ask, and where."""

    environment_id: str
    dequeue_interval_with_run: int
    dequeue_interval_without_run: int
    max_concurrent_runs: int
    engine_url: str


class DevStatus(WireModel):
    """The answer of ``GET /api/v1/projects/{ref}/dev-status``."""

    is_connected: bool


class SnapshotState(WireModel):
    """An execution snapshot: one step of a run."""

    id: str
    friendly_id: str
    execution_status: str
    description: str
    created_at: str


class RunState(WireModel):
    """A run as its worker sees it; ``status`` is of the internal vocabulary."""

    id: str
    friendly_id: str
    status: str
    attempt_number: int | None = None


class ExecutionMachine(WireModel):
    """The machine of an attempt."""

    name: str
    cpu: float
    memory: float
    cents_per_ms: float = 0


class WorkerVersion(WireModel):
    """The version of the user's code that a run executes on."""

    id: str
    friendly_id: str
    version: str


class Named(WireModel):
    """Something by its id."""

    id: str


class Typed(Named):
    """An environment by id and type."""

    type: str


class CompletedBatch(WireModel):
    """The batch that a run of a wait belongs to."""

    id: str
    friendly_id: str


class CompletedRun(CompletedBatch):
    """The run whose end ended a wait; its ``batch`` when the wait was for one."""

    batch: CompletedBatch | None = None


class CompletedWaitpoint(WireModel):
    """A wait that is over; ``index`` is the place of the run in the batch that was waited for."""

    id: str
    index: int | None = None
    friendly_id: str
    type: str
    completed_at: str
    idempotency_key: str | None = None
    completed_by_task_run: CompletedRun | None = None
    completed_after: str | None = None
    completed_by_batch: CompletedBatch | None = None
    output: str | None = None
    output_type: str | None = None
    output_is_error: bool = False


class DequeuedRun(WireModel):
    """A run that was handed out."""

    id: str
    friendly_id: str
    is_test: bool
    is_replay: bool
    machine: ExecutionMachine
    attempt_number: int
    master_queue: str = "main"
    trace_context: dict[str, Any] = {}


class DequeuedMessage(WireModel):
    """A run to start, under the snapshot that handed it out."""

    version: Literal["1"] = "1"
    snapshot: SnapshotState
    dequeued_at: str
    completed_waitpoints: list[CompletedWaitpoint] = []
    background_worker: WorkerVersion
    deployment: dict[str, str] = {}
    run: DequeuedRun
    environment: Typed
    organization: Named
    project: Named


class ExecutionCheckpoint(WireModel):
    """Where a suspended run is to be restored from."""

    id: str
    type: str
    location: str
    image_ref: str | None = None


class ManagedMessage(DequeuedMessage):
    """A run to start in the image of its deployment, or to restore from a checkpoint."""

    image: str
    checkpoint: ExecutionCheckpoint | None = None


class Dequeue(WireModel):
    """The body of ``POST /engine/v1/dev/dequeue``: the newest version of the session."""

    current_worker: str
    old_workers: list[str] = []


class Dequeued(WireModel):
    """The answer: what to start; it is held for a while when there is nothing."""

    dequeued_messages: list[DequeuedMessage]


class StartAttempt(WireModel):
    """The body of ``…/attempts/start``."""

    is_warm_start: bool | None = None


class ExecutionAttempt(WireModel):
    """Which attempt it is."""

    number: int
    started_at: str


class ExecutionRun(WireModel):
    """A run with what its code is given: the payload as a packet, the metadata as an object."""

    id: str
    payload: str
    payload_type: str
    tags: list[str]
    is_test: bool
    is_replay: bool
    created_at: str
    started_at: str
    idempotency_key: str | None = None
    idempotency_key_scope: str | None = None
    max_attempts: int | None = None
    version: str | None = None
    metadata: dict[str, Any] | None = None
    max_duration: float | None = None
    priority: float = 0
    base_cost_in_cents: float = 0
    cost_in_cents: float = 0
    duration_ms: int = 0
    parent_task_run_id: str | None = None
    root_task_run_id: str | None = None
    trace_context: dict[str, Any] = {}
    realtime_streams_version: str = "v2"


class ExecutionTask(WireModel):
    """The task, and the file it stands in."""

    id: str
    file_path: str


class ExecutionQueue(WireModel):
    """The queue of a run."""

    id: str
    name: str


class ExecutionEnvironment(WireModel):
    """The environment of a run."""

    id: str
    slug: str
    type: str
    branch_name: str | None = None


class ExecutionOrganization(WireModel):
    """Whose project it is."""

    id: str
    slug: str
    name: str


class ExecutionProject(WireModel):
    """The project of a run."""

    id: str
    ref: str
    slug: str
    name: str


class ExecutionBatch(WireModel):
    """The batch a run belongs to."""

    id: str


class ExecutionDeployment(WireModel):
    """The deployment an attempt executes on."""

    id: str
    short_code: str
    version: str
    runtime: str
    runtime_version: str
    git: dict[str, Any] | None = None


class Execution(WireModel):
    """Everything an attempt needs to know."""

    attempt: ExecutionAttempt
    run: ExecutionRun
    task: ExecutionTask
    queue: ExecutionQueue
    environment: ExecutionEnvironment
    organization: ExecutionOrganization
    project: ExecutionProject
    machine: ExecutionMachine
    batch: ExecutionBatch | None = None
    deployment: ExecutionDeployment | None = None


class AttemptStarted(WireModel):
    """The answer of ``…/attempts/start``."""

    snapshot: SnapshotState
    run: RunState
    execution: Execution
    env_vars: dict[str, str]


class FlushedMetadata(WireModel):
    """The changes of metadata that were not sent before the attempt ended, as a packet."""

    data: str | None = None
    data_type: str = "application/json"


class _Usage(WireModel):
    duration_ms: float = 0


class _Retry(WireModel):
    delay: float


class _Ended(WireModel):
    id: str
    usage: _Usage = _Usage()
    flushed_metadata: FlushedMetadata | None = None


class SucceededAttempt(_Ended):
    """The attempt returned."""

    ok: Literal[True]
    output: str | None = None
    output_type: str = "application/json"


class FailedAttempt(_Ended):
    """The attempt failed; ``retry`` says when the worker means to try again."""

    ok: Literal[False]
    error: TaskError
    retry: _Retry | None = None
    skipped_retrying: bool = False


AttemptResult: TypeAlias = Annotated[SucceededAttempt | FailedAttempt, Field(discriminator="ok")]


class CompleteAttempt(WireModel):
    """The body of ``…/attempts/complete``."""

    completion: AttemptResult


class CompletionResult(WireModel):
    """What became of the run. With ``RETRY_IMMEDIATELY`` the snapshot is the one to start again from."""

    attempt_status: Literal[
        "RUN_FINISHED", "RUN_PENDING_CANCEL", "RETRY_QUEUED", "RETRY_IMMEDIATELY"
    ]
    snapshot: SnapshotState
    run: RunState


class AttemptCompleted(WireModel):
    """The answer of ``…/attempts/complete``."""

    result: CompletionResult


class ExecutionData(WireModel):
    """Where a run is, and which waits ended with its latest snapshot."""

    version: Literal["1"] = "1"
    snapshot: SnapshotState
    run: RunState
    batch: CompletedBatch | None = None
    completed_waitpoints: list[CompletedWaitpoint]


class LatestSnapshot(WireModel):
    """The answer of ``…/snapshots/latest``."""

    execution: ExecutionData


class LaterSnapshots(WireModel):
    """The answer of ``…/snapshots/since/{snapshot}``, oldest first; the last one tells of ended waits."""

    snapshots: list[ExecutionData]


class Heartbeat(WireModel):
    """The body of a heartbeat."""

    cpu: float | None = None
    memory: float | None = None


class Ok(WireModel):
    """It was heard."""

    ok: bool = True


class DebugLog(WireModel):
    """A remark of the worker about itself; it is not kept."""

    message: str = ""


class Disconnect(WireModel):
    """The body of ``POST /engine/v1/dev/disconnect``: the runs of a session that is gone."""

    run_friendly_ids: Annotated[list[str], Field(max_length=500)]


class Disconnected(WireModel):
    """How many runs were taken from the session; ``cancelled`` is the name its clients know."""

    cancelled: int
