"""Reading runs (protocol A.5, A.6, A.7) and what belongs to them: logs, snapshots, the reason they wait."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from trigger_core.schemas.base import WireModel
from trigger_core.schemas.schedules import ScheduleGenerator
from trigger_core.schemas.trigger import IdempotencyKeyOptions, Tag

__all__ = [
    "AddTags",
    "AnyRunStatus",
    "AttemptDetail",
    "CanceledRun",
    "LegacyStatus",
    "LogPage",
    "LogRecord",
    "Page",
    "RelatedRuns",
    "ReplayRun",
    "ReplayedRun",
    "Reschedule",
    "RunDetail",
    "RunEnvironment",
    "RunError",
    "RunPage",
    "RunSchedule",
    "RunStatus",
    "RunSummary",
    "RunWhy",
    "SnapshotDetail",
    "SnapshotPage",
    "TagsAdded",
]

RunStatus: TypeAlias = Literal[
    "PENDING_VERSION",
    "DELAYED",
    "QUEUED",
    "DEQUEUED",
    "EXECUTING",
    "WAITING",
    "COMPLETED",
    "CANCELED",
    "FAILED",
    "CRASHED",
    "SYSTEM_FAILURE",
    "EXPIRED",
    "TIMED_OUT",
]


LegacyStatus: TypeAlias = Literal["FROZEN"]
"""What clients that name no version of the API are told instead of ``WAITING`` (protocol H.1)."""

AnyRunStatus: TypeAlias = Literal[RunStatus, LegacyStatus]


class RunError(WireModel):
    """Why a run or attempt failed, as reads show it. ``code`` stands for failures of the system."""

    message: str
    name: str | None = None
    stack_trace: str | None = None
    code: str | None = None


class RunEnvironment(WireModel):
    """The environment of a listed run: its slug, and whose it is if it is somebody's own."""

    id: str
    name: str
    user: str | None = None


class RunSummary(WireModel):
    """A run without its payload and output."""

    id: str
    status: AnyRunStatus
    task_identifier: str
    version: str | None = None
    idempotency_key: str | None = Field(default=None, description="As the user wrote it.")
    idempotency_key_options: IdempotencyKeyOptions | None = None
    is_queued: bool
    is_executing: bool
    is_waiting: bool
    is_completed: bool
    is_success: bool
    is_failed: bool
    is_cancelled: bool
    is_test: bool
    created_at: str
    updated_at: str
    started_at: str | None = None
    finished_at: str | None = None
    delayed_until: str | None = None
    ttl: str | None = None
    expired_at: str | None = None
    tags: list[str] = []
    cost_in_cents: float = 0
    base_cost_in_cents: float = 0
    duration_ms: int = 0
    metadata: dict[str, Any] | None = None
    depth: int = 0
    task_kind: str = Field(default="STANDARD", description="STANDARD or SCHEDULED.")
    trigger_function: Literal[
        "trigger", "triggerAndWait", "batchTrigger", "batchTriggerAndWait"
    ] = "trigger"
    batch_id: str | None = None
    env: RunEnvironment | None = Field(default=None, description="Given in lists.")
    queue: str | None = Field(
        default=None, description="The name of the queue, an addition of ours."
    )


class RelatedRuns(WireModel):
    """The run's family."""

    root: RunSummary | None = None
    parent: RunSummary | None = None
    children: list[RunSummary] = []


class AttemptDetail(WireModel):
    """One attempt of a run."""

    id: str
    number: int
    status: Literal["EXECUTING", "COMPLETED", "FAILED", "CANCELED"]
    created_at: str
    updated_at: str
    started_at: str
    completed_at: str | None = None
    error: RunError | None = None


class RunSchedule(WireModel):
    """The schedule that triggered a run."""

    id: str
    external_id: str | None = None
    deduplication_key: str | None = None
    generator: ScheduleGenerator


class RunDetail(RunSummary):
    """The answer of ``GET /api/v3/runs/{id}``."""

    payload: Any = None
    payload_presigned_url: str | None = None
    output: Any = None
    output_presigned_url: str | None = None
    error: RunError | None = None
    attempt_count: int = 0
    attempts: list[AttemptDetail] = []
    related_runs: RelatedRuns = RelatedRuns()
    schedule: RunSchedule | None = None


class Page(WireModel):
    """Cursors of a page: pass them as ``page[after]`` or ``page[before]``."""

    next: str | None = None
    previous: str | None = None


class RunPage(WireModel):
    """The answer of ``GET /api/v1/runs``, newest first."""

    data: list[RunSummary]
    pagination: Page = Page()


class CanceledRun(WireModel):
    """The answer to a cancel."""

    id: str


class ReplayRun(WireModel):
    """The body of ``POST /api/v1/runs/{id}/replay``; the official clients send none."""

    payload: Any = None
    payload_type: str | None = None


class ReplayedRun(WireModel):
    """The answer to a replay: the new run."""

    id: str


class Reschedule(WireModel):
    """The body of ``POST /api/v1/runs/{id}/reschedule``: a duration from now, or a moment."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"delay": "2h"}]})

    delay: str


class AddTags(WireModel):
    """The body of ``POST /api/v1/runs/{id}/tags``."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"tags": ["user_1"]}]})

    tags: list[Tag] | Tag


class TagsAdded(WireModel):
    """The answer: how many tags the run did not have, in a sentence."""

    message: str


class SnapshotDetail(WireModel):
    """One transition of a run."""

    id: str
    sequence: int
    execution_status: str
    run_status: str
    attempt_number: int | None = None
    description: str
    created_at: str


class SnapshotPage(WireModel):
    """The transitions of a run, oldest first."""

    data: list[SnapshotDetail]


class LogRecord(WireModel):
    """One line a run wrote.

    ``source`` tells stdout, stderr, the standard library's ``logging``, the SDK's ``logger`` and what came
    over OpenTelemetry apart; ``span_id`` is the span in which it was written.
    """

    id: int = 0
    attempt: int
    time: str
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
    source: Literal["stdout", "stderr", "logging", "logger", "system", "otel"]
    message: str
    attributes: dict[str, Any] | None = None
    span_id: str | None = None


class LogPage(WireModel):
    """Lines of a run in the order they were written; ``next`` continues after the last one."""

    data: list[LogRecord]
    next: int


class RunWhy(WireModel):
    """Why a run is where it is.

    ``blocked_by`` names what holds it, ``clear`` what does not, ``next`` what will move it.
    """

    id: str
    status: RunStatus
    execution_status: str
    since: str
    task: str
    queue: str
    blocked_by: list[str]
    clear: list[str]
    next: str
