"""The channel between a worker and the platform.

A worker *instance* (one process tree, named by a random boot id) connects, registers *workers* (versions of
the user's code, protocol D.5), and then makes two kinds of batched calls: ``poll`` (long-polled: runs to
start, and signals about runs it holds) and ``report`` (what happened since the last report).

A run is handed out with a *lease*: the number of the transition that handed it out. Every word about the
run carries the lease; the platform refuses a stale one.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from trigger_core.schemas.base import WireModel
from trigger_core.schemas.errors import ErrorBody
from trigger_core.schemas.metadata import MetadataFlush, MetadataFlushed
from trigger_core.schemas.runs import LogRecord
from trigger_core.schemas.schedules import ScheduleDeclaration
from trigger_core.schemas.trigger import BatchItem

__all__ = [
    "Assignment",
    "Awaited",
    "Checkpoint",
    "Completion",
    "Connect",
    "Connected",
    "Continued",
    "Ended",
    "Failed",
    "GivenUp",
    "Held",
    "LogLine",
    "Lost",
    "Poll",
    "Polled",
    "QueueDeclaration",
    "RegisterWorker",
    "Registered",
    "Report",
    "Reported",
    "RetryPlan",
    "Signal",
    "StartRetry",
    "Started",
    "Succeeded",
    "SuspendVerdict",
    "Suspended",
    "TaskDeclaration",
    "TaskError",
    "TriggerAndWait",
    "Verdict",
    "WaitResult",
    "WaitStarted",
    "WaitToken",
    "WaitUntil",
    "WorkerMetadata",
]


class QueueDeclaration(WireModel):
    """A queue as code declares it; without a name it is the task's own."""

    name: str = ""
    concurrency_limit: int | None = None


class MachineDeclaration(WireModel):
    """A machine: a preset by name, or the least ``cpu`` cores and ``memory`` gibibytes."""

    preset: str | None = None
    cpu: float | None = None
    memory: float | None = None


class TaskDeclaration(WireModel):
    """A task as the indexer found it (protocol D.5, with our additions ``line`` and ``isolation``)."""

    id: str
    file_path: str
    export_name: str = ""
    line: int | None = None
    description: str | None = None
    queue: QueueDeclaration | None = None
    retry: dict[str, Any] | None = None
    machine: MachineDeclaration | None = None
    max_duration: float | None = None
    ttl: str | int | None = None
    isolation: Literal["process", "reuse"] = "process"
    payload_schema: dict[str, Any] | None = None
    trigger_source: str | None = None
    schedule: ScheduleDeclaration | None = None


class WorkerMetadata(WireModel):
    """What one version of the user's code consists of."""

    package_version: str
    cli_package_version: str | None = None
    content_hash: str
    runtime: str | None = None
    runtime_version: str | None = None
    tasks: list[TaskDeclaration]
    queues: list[QueueDeclaration] = []


class RegisterWorker(WireModel):
    """The body of ``POST /api/v1/projects/{ref}/background-workers``."""

    local_only: bool = True
    metadata: WorkerMetadata


class Registered(WireModel):
    """The answer: the version's id and name."""

    id: str
    version: str
    content_hash: str


class Connect(WireModel):
    """The body of ``POST /engine/v1/worker/connect``.

    ``instance`` is the seat the process takes (for ``trigger dev`` always ``dev``). Connecting with a new
    ``boot_id`` ends the leases of whichever process held the seat before, so its runs move on at once.
    """

    instance: str
    boot_id: str


class Connected(WireModel):
    """What a worker needs to know: how often to report, and for how long a lease lasts."""

    heartbeat_ms: int
    lease_ms: int


IsRepeated = Annotated[
    bool,
    Field(
        description="It was sent before and no answer came: runs that were handed out and have not begun are"
        " handed out again, under the lease they have."
    ),
]


class Poll(WireModel):
    """The body of ``POST /engine/v1/worker/poll``; answered when there is something, or after ``wait_ms``.

    ``workers`` are the ids of the versions the instance can run, newest last; ``limit`` is how many more
    runs it can take (0: only signals).
    """

    boot_id: str
    workers: list[str]
    limit: Annotated[int, Field(ge=0, le=500)]
    wait_ms: Annotated[int, Field(ge=0, le=30_000)] = 10_000
    is_repeated: IsRepeated = False


class Checkpoint(WireModel):
    """Where a suspended run is: ``kind`` says how it was put away, ``location`` where."""

    id: str
    kind: str
    location: str
    image_reference: str | None = None


class WaitResult(WireModel):
    """How a waitpoint ended: a packet, or with ``ok`` false an error as JSON."""

    ok: bool
    run_id: str | None = None
    output: str | None = None
    output_type: str = "application/json"


class Ended(WireModel):
    """A wait of the attempt that is over; a restored process may have been told of it before."""

    ref: str
    position: int = -1
    waitpoint_id: str
    result: WaitResult


class Assignment(WireModel):
    """A run to execute: its attempt number ``attempt``, under ``lease``.

    With a ``checkpoint`` it is to be restored and goes on with the attempt it was in, to which ``waits`` have
    ended; :class:`Continued` says that it does.
    """

    run_id: str
    lease: int
    attempt: int
    worker_id: str
    task: str
    payload: str | None = None
    payload_type: str = "application/json"
    queue: str
    concurrency_key: str | None = None
    tags: list[str] = []
    metadata: dict[str, Any] | None = None
    created_at: int
    started_at: int
    attempt_started_at: int
    max_attempts: int
    max_duration: float | None = None
    machine: str | None = Field(default=None, description="Set when a machine was asked for.")
    is_test: bool = False
    is_replay: bool = False
    idempotency_key: str | None = None
    parent_run_id: str | None = None
    root_run_id: str | None = None
    batch_id: str | None = None
    version: str
    priority: float = 0
    traceparent: str | None = Field(default=None, description="The span of the attempt (W3C).")
    checkpoint: Checkpoint | None = None
    waits: list[Ended] = []


class Signal(WireModel):
    """Something a worker must know about a run it holds.

    ``cancel``: end it. ``resume``: a wait is over, with ``result``. ``stop``: the lease is gone, kill it
    unreported.
    """

    kind: Literal["cancel", "resume", "stop"]
    run_id: str
    lease: int
    waitpoint_id: str | None = None
    result: WaitResult | None = None


class Polled(WireModel):
    """The answer to a poll; ``run_tokens`` holds by run what its attempt may show (``TRIGGER_JWT``)."""

    runs: list[Assignment] = []
    run_tokens: dict[str, str] = {}
    signals: list[Signal] = []


class TaskError(WireModel):
    """The error union of protocol 0.11."""

    type: Literal["BUILT_IN_ERROR", "CUSTOM_ERROR", "STRING_ERROR", "INTERNAL_ERROR"]
    name: str | None = None
    message: str | None = None
    stack_trace: str | None = None
    raw: str | None = None
    code: str | None = None
    causes: list[dict[str, Any]] | None = Field(
        default=None, description="What caused it, outermost first."
    )


class Succeeded(WireModel):
    """The attempt returned."""

    ok: Literal[True] = True
    run_id: str
    lease: int
    output: str | None = None
    output_type: str = "application/json"
    duration_ms: int = 0


class RetryPlan(WireModel):
    """When the worker means to try again: ``delay`` in ms from now."""

    delay: int


class Failed(WireModel):
    """The attempt failed. ``retry`` is absent when the worker knows that trying again is useless."""

    ok: Literal[False] = False
    run_id: str
    lease: int
    error: TaskError
    retry: RetryPlan | None = None
    skip_retrying: bool = False
    duration_ms: int = 0


Completion: TypeAlias = Annotated[Succeeded | Failed, Field(discriminator="ok")]


class Started(WireModel):
    """The attempt's code began to run at ``at`` (ms since the epoch).

    A completion, wait or heartbeat implies it; a run that was handed out and never got this far goes back
    to the queue without having used up an attempt.
    """

    run_id: str
    lease: int
    at: int


class Held(WireModel):
    """A heartbeat: the worker still has this run; ``waiting`` are the waitpoints it waits for."""

    run_id: str
    lease: int
    waiting: list[str] = []


class WaitUntil(WireModel):
    """The run waits until a moment (ms since the epoch); ``ref`` is the worker's own name for the wait."""

    run_id: str
    lease: int
    ref: str
    until: int


class WaitToken(WireModel):
    """The run waits for a token that exists."""

    run_id: str
    lease: int
    ref: str
    waitpoint_id: str


class TriggerAndWait(WireModel):
    """The run triggers children and waits for all of them; ``ref`` is the worker's name for the wait.

    Sent again with the same ``ref`` by the same attempt it changes nothing and is answered alike.
    """

    run_id: str
    lease: int
    ref: str
    items: Annotated[list[BatchItem], Field(min_length=1)]
    is_batch: bool = False
    traceparent: str | None = Field(
        default=None,
        description="The span of the code that triggers (W3C); else it is the attempt.",
    )


class GivenUp(WireModel):
    """The run's code no longer waits for what it called ``ref``."""

    run_id: str
    lease: int
    ref: str


class Suspended(WireModel):
    """The run's process was frozen in the wait that ``sequence`` names, and can be put away.

    It may be killed once the verdict says so; ``duration_ms`` is how long it was active since it began or was
    restored.
    """

    run_id: str
    lease: int
    sequence: int
    kind: str
    location: str
    image_reference: str | None = None
    reason: str | None = None
    duration_ms: int = 0


class Continued(WireModel):
    """A run was restored from its checkpoint and goes on; a completion, wait or heartbeat implies it.

    :class:`Started` instead says that its code was started anew: that is another attempt.
    """

    run_id: str
    lease: int


class Lost(WireModel):
    """A run's checkpoint cannot be restored."""

    run_id: str
    lease: int
    reason: str


class StartRetry(WireModel):
    """The pause before an immediate retry is over: start the next attempt under a new lease."""

    run_id: str
    lease: int


class LogLine(WireModel):
    """A line written by a run.

    ``number`` is the worker's own count of the lines of a lease: one that is reported again is not
    written again.
    """

    run_id: str
    record: LogRecord
    lease: int = 0
    number: int | None = None


class Report(WireModel):
    """The body of ``POST /engine/v1/worker/report``: what happened, all of it committed together.

    ``claim`` asks for up to that many new runs in the same transaction, for ``workers``.
    """

    boot_id: str
    started: list[Started] = []
    completions: list[Completion] = []
    held: list[Held] = []
    waits: list[WaitUntil] = []
    tokens: list[WaitToken] = []
    triggers: list[TriggerAndWait] = []
    given_up: list[GivenUp] = []
    suspended: list[Suspended] = []
    continued: list[Continued] = []
    lost: list[Lost] = []
    retries: list[StartRetry] = []
    metadata: list[MetadataFlush] = []
    logs: list[LogLine] = []
    claim: Annotated[int, Field(ge=0, le=500)] = 0
    repoll: Annotated[bool, Field(description="End the waiting poll, the next asks for more.")] = (
        False
    )
    workers: list[str] = []
    is_repeated: IsRepeated = False


class Verdict(WireModel):
    """What became of one completion.

    ``finished``: the run is final, with ``status``. ``retry_now``: pause ``delay`` ms, then send
    :class:`StartRetry` with ``lease``. ``retry_queued``: forget the run, it comes back through the queue
    after ``delay`` ms. ``stale``: the lease was gone and nothing was written. A repeated report gets the
    answer it got before.
    """

    run_id: str
    lease: int
    kind: Literal["finished", "retry_now", "retry_queued", "stale"]
    status: str | None = None
    delay: int | None = None


class SuspendVerdict(WireModel):
    """Whether a checkpoint was taken; if not, the run's process lives on, and ``reason`` says why."""

    run_id: str
    lease: int
    ok: bool
    reason: str | None = None


class Awaited(WireModel):
    """One waitpoint of a wait, with the child it stands for, if it is one."""

    waitpoint_id: str
    run_id: str | None = None
    is_cached: bool = False


class WaitStarted(WireModel):
    """The wait ``ref`` of a run is recorded; each of its waitpoints ends with a ``resume`` signal.

    ``error`` says why there is none (a refusal, as the HTTP API would answer it). ``sequence`` names the wait
    to :class:`Suspended`.
    """

    run_id: str
    ref: str
    sequence: int = 0
    awaited: list[Awaited] = []
    batch_id: str | None = None
    error: ErrorBody | None = None


class Reported(WireModel):
    """The answer to a report; ``runs`` holds started retries and newly claimed runs, with their tokens."""

    verdicts: list[Verdict] = []
    waits: list[WaitStarted] = []
    metadata: list[MetadataFlushed] = []
    suspensions: list[SuspendVerdict] = []
    runs: list[Assignment] = []
    run_tokens: dict[str, str] = {}
    signals: list[Signal] = []
