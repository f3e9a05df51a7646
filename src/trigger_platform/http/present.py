"""From rows to wire models: the public vocabulary, moments as ISO text, values as plain JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias, cast, get_args

from trigger_core import clock, ids, packet
from trigger_core.duration import describe
from trigger_core.errors import UsageError
from trigger_core.schemas.batches import (
    BatchDetail,
    BatchDetailV1,
    BatchItemError,
    BatchProcessing,
    BatchStatus,
    RunResult,
    RunUsage,
)
from trigger_core.schemas.queues import PageNumbers, QueueConcurrency, QueueDetail
from trigger_core.schemas.runs import (
    AttemptDetail,
    LogPage,
    LogRecord,
    Page,
    RelatedRuns,
    RunDetail,
    RunEnvironment,
    RunError,
    RunPage,
    RunStatus,
    RunSummary,
    SnapshotDetail,
    SnapshotPage,
)
from trigger_core.schemas.tokens import TokenDetail, TokenStatus
from trigger_core.schemas.workers import TaskError
from trigger_platform.engine import idempotency, states
from trigger_platform.engine.queue import View
from trigger_platform.engine.why import public_status
from trigger_platform.http import nesting, present_schedules
from trigger_platform.reads.batches import Ended, FullBatch
from trigger_platform.reads.runs import FullRun, LogRow, RunPageRows, SnapshotRow
from trigger_platform.store.rows import EnvironmentRow, RunRow, WaitpointRow

__all__ = [
    "KNOWN_STATUSES",
    "batch",
    "batch_v1",
    "detail",
    "error_of",
    "internal_statuses",
    "log_page",
    "page_numbers",
    "queue",
    "result",
    "run_page",
    "snapshot_page",
    "summary",
    "token",
]

Stored: TypeAlias = Callable[[str], "str | None"]
"""Tells where to download a packet."""

_QUEUED = {"QUEUED", "DELAYED", "PENDING_VERSION"}
_EXECUTING = {"EXECUTING", "DEQUEUED"}
_LEGACY = {"DEQUEUED": "EXECUTING", "WAITING": "FROZEN"}
"""What older clients call statuses of the current vocabulary; they call the others the same."""

_INTERNAL = {
    "QUEUED": ["PENDING"],
    "WAITING": ["WAITING_TO_RESUME"],
    "FROZEN": ["WAITING_TO_RESUME"],
    "COMPLETED": ["COMPLETED_SUCCESSFULLY"],
    "FAILED": ["COMPLETED_WITH_ERRORS"],
    "WAITING_FOR_DEPLOY": ["PENDING_VERSION"],
    "REATTEMPTING": ["EXECUTING"],
    "INTERRUPTED": ["INTERRUPTED"],
}
"""What a word of the current or the older vocabulary means; other words mean themselves (protocol H.1)."""

KNOWN_STATUSES = tuple(dict.fromkeys((*get_args(RunStatus), *_INTERNAL)))
"""The words that filters know for statuses, of both vocabularies."""


def _nowhere(_path: str) -> None:
    return None


def internal_statuses(public: list[str]) -> list[str]:
    """Return the internal statuses a filter means, whichever vocabulary it is written in.

    Raises:
        UsageError: there is no such status.
    """
    for status in public:
        if status not in _INTERNAL and status not in set(states.RunStatus):
            raise UsageError(
                f"Query Error: there is no status {status!r}",
                code="INVALID_QUERY",
                hint="such as QUEUED, EXECUTING, WAITING, COMPLETED, FAILED",
            )
    return [inner for status in public for inner in _INTERNAL.get(status, [status])]


def summary(run: RunRow, *, is_legacy: bool = False) -> RunSummary:
    """Return a run without payload and output; older clients have other words for some statuses."""
    return RunSummary.model_validate(_summary(run, is_legacy=is_legacy))


def detail(found: FullRun, stored: Stored = _nowhere, *, is_legacy: bool = False) -> RunDetail:
    """Return a run with everything; ``output`` only of a success, as the original does.

    ``stored`` tells where to download a packet that lies elsewhere.
    """
    run, payload = found.run, found.payload
    output = found.output if run.status == states.RunStatus.COMPLETED_SUCCESSFULLY else None
    kind = run.output_type or packet.JSON
    fields = _summary(run, is_legacy=is_legacy) | {
        "payload": nesting.plain(payload.data, payload.type) if payload else None,
        "payload_presigned_url": _link(payload.data, payload.type, stored) if payload else None,
        "output": nesting.plain(output, kind),
        "output_presigned_url": _link(output, kind, stored),
        "error": error_of(run.error),
        "attempt_count": run.attempt,
        "attempts": _attempts(found.snapshots),
        "schedule": present_schedules.of_run(found.schedule) if found.schedule else None,
        "related_runs": RelatedRuns(
            root=summary(found.root, is_legacy=is_legacy) if found.root else None,
            parent=summary(found.parent, is_legacy=is_legacy) if found.parent else None,
            children=[summary(child, is_legacy=is_legacy) for child in found.children],
        ),
    }
    return RunDetail.model_validate(fields)


def page_numbers(number: int, size: int, count: int) -> PageNumbers:
    """Return which page this is; an empty list has one page too."""
    pages = max(1, -(-count // size))
    return PageNumbers(current_page=number, total_pages=pages, count=count)


def queue(view: View) -> QueueDetail:
    """Return a queue; a task's own is shown by the task's id, without the prefix inside (protocol A.10)."""
    row = view.queue
    overridden = row.overridden_at is not None
    return QueueDetail(
        id=row.id,
        name=row.name.removeprefix("task/") if row.type == "task" else row.name,
        type="task" if row.type == "task" else "custom",
        running=view.running,
        queued=view.queued,
        paused=bool(row.paused),
        concurrency_limit=row.concurrency_limit,
        concurrency=QueueConcurrency(
            current=row.concurrency_limit,
            base=row.base_limit,
            override=row.concurrency_limit if overridden else None,
            overridden_at=None if row.overridden_at is None else clock.to_iso(row.overridden_at),
            overridden_by=row.overridden_by,
        ),
    )


def run_page(rows: RunPageRows, environment: EnvironmentRow, *, is_legacy: bool = False) -> RunPage:
    """Return a page of an environment's runs."""
    env = RunEnvironment(id=environment.id, name=environment.word, user=rows.user)
    return RunPage(
        data=[
            summary(run, is_legacy=is_legacy).model_copy(update={"env": env}) for run in rows.runs
        ],
        pagination=Page(next=rows.next, previous=rows.previous),
    )


def snapshot_page(run_id: str, rows: list[SnapshotRow]) -> SnapshotPage:
    """Return the steps of a run."""
    return SnapshotPage(
        data=[
            SnapshotDetail(
                id=ids.snapshot_id(run_id, row.sequence),
                sequence=row.sequence,
                execution_status=row.execution_status,
                run_status=public_status(row.run_status),
                attempt_number=row.attempt or None,
                description=row.description,
                created_at=clock.to_iso(row.created_at),
            )
            for row in rows
        ]
    )


def log_page(rows: list[LogRow], after: int) -> LogPage:
    """Return lines of a run."""
    return LogPage(
        data=[
            LogRecord.model_validate(
                {
                    "id": row.id,
                    "attempt": row.attempt,
                    "time": clock.to_iso(row.time),
                    "level": row.level,
                    "source": row.source,
                    "message": row.message,
                    "attributes": json.loads(row.attributes) if row.attributes else None,
                    "span_id": row.span_id,
                }
            )
            for row in rows
        ],
        next=rows[-1].id if rows else after,
    )


def batch(found: FullBatch) -> BatchDetail:
    """Return a batch with its runs and the items that could not be triggered."""
    row = found.batch
    changed = row.completed_at or row.sealed_at or row.created_at
    status: BatchStatus = cast("BatchStatus", row.status)
    return BatchDetail(
        id=row.id,
        status=status,
        idempotency_key=row.idempotency_key,
        created_at=clock.to_iso(row.created_at),
        updated_at=clock.to_iso(changed),
        run_count=row.run_count,
        runs=[item.run_id for item in found.items if item.run_id is not None],
        processing=BatchProcessing(
            completed_at=_iso(row.sealed_at),
            errors=[
                BatchItemError(
                    index=item.position,
                    task_identifier=item.task,
                    error=item.error,
                    error_code=item.error_code,
                )
                for item in found.items
                if item.error is not None
            ],
        ),
    )


def batch_v1(found: FullBatch) -> BatchDetailV1:
    """Return a batch as older clients read it."""
    current = batch(found)
    errors = current.processing.errors
    failed = len(errors)
    return BatchDetailV1(
        id=current.id,
        status=current.status,
        idempotency_key=current.idempotency_key,
        created_at=current.created_at,
        updated_at=current.updated_at,
        run_count=current.run_count,
        runs=current.runs,
        successful_run_count=len(current.runs) - failed,
        failed_run_count=failed,
        errors=errors or None,
    )


def result(ended: Ended) -> RunResult:
    """Return how a run ended, as a packet or an error."""
    run = ended.run
    ok = run.status == states.RunStatus.COMPLETED_SUCCESSFULLY
    stored = run.error or '{"type":"STRING_ERROR","raw":""}'
    return RunResult(
        ok=ok,
        id=run.id,
        task_identifier=run.task,
        output=ended.output if ok else None,
        output_type=(run.output_type or packet.JSON) if ok else None,
        error=None if ok else TaskError.model_validate_json(stored),
        usage=RunUsage(duration_ms=run.usage_ms),
    )


def token(found: WaitpointRow, url: str) -> TokenDetail:
    """Return a waitpoint token; ``url`` completes it."""
    is_error = bool(found.is_error)
    done: TokenStatus = "TIMED_OUT" if is_error else "COMPLETED"
    is_over = found.status == "COMPLETED"
    return TokenDetail(
        id=found.id,
        url=url,
        status=done if is_over else "WAITING",
        created_at=clock.to_iso(found.created_at),
        completed_at=_iso(found.completed_at),
        timeout_at=_iso(found.due_at),
        completed_after=_iso(found.due_at),
        idempotency_key=found.key or found.inactive_key,
        idempotency_key_expires_at=_iso(found.key_expires_at),
        tags=json.loads(found.tags) if found.tags else [],
        output=found.output,
        output_type=found.output_type,
        output_is_error=is_error if is_over else None,
    )


def error_of(stored: str | None) -> RunError | None:
    """Return a stored error as reads show it (protocol 0.11); internal ones keep code and message."""
    if stored is None:
        return None
    error = json.loads(stored)
    if error["type"] == "BUILT_IN_ERROR":
        return RunError(
            message=error.get("message", ""),
            name=error.get("name"),
            stack_trace=error.get("stackTrace"),
        )
    if error["type"] == "INTERNAL_ERROR":
        return RunError(message=error.get("message") or error["code"], code=error["code"])
    return RunError(message=error.get("raw", ""))


def _summary(run: RunRow, *, is_legacy: bool = False) -> dict[str, Any]:
    status = cast("RunStatus", public_status(run.status))
    noted: dict[str, Any] = json.loads(run.annotations) if run.annotations else {}
    is_completed = states.is_final(run.status)
    is_success = status == "COMPLETED"
    return {
        "id": run.id,
        "status": _LEGACY.get(status, status) if is_legacy else status,
        "task_identifier": run.task,
        "version": run.version,
        "idempotency_key": idempotency.written(run),
        "idempotency_key_options": json.loads(run.idempotency_options)
        if run.idempotency_options
        else None,
        "is_queued": status in _QUEUED,
        "is_executing": status in _EXECUTING,
        "is_waiting": status == "WAITING",
        "is_completed": is_completed,
        "is_success": is_success,
        "is_failed": is_completed and not is_success,
        "is_cancelled": status == "CANCELED",
        "is_test": bool(run.is_test),
        "created_at": clock.to_iso(run.created_at),
        "updated_at": clock.to_iso(run.updated_at),
        "started_at": _iso(run.started_at),
        "finished_at": _iso(run.completed_at),
        "delayed_until": _iso(run.delay_until),
        "ttl": describe(run.ttl_ms) if run.ttl_ms is not None else None,
        "expired_at": _iso(run.expired_at),
        "tags": json.loads(run.tags) if run.tags else [],
        "duration_ms": run.usage_ms,
        "metadata": json.loads(run.metadata) if run.metadata else None,
        "depth": run.depth,
        "task_kind": noted.get("taskKind", "STANDARD"),
        "trigger_function": _trigger_function(run, waits=noted.get("waits", False)),
        "batch_id": run.batch_id,
        "queue": run.queue,
    }


def _trigger_function(run: RunRow, *, waits: bool) -> str:
    return ("batchTrigger" if run.batch_id else "trigger") + ("AndWait" if waits else "")


def _attempts(snapshots: list[SnapshotRow]) -> list[AttemptDetail]:
    """An attempt begins with the first step that carries its number, and ends with the step that says why."""
    found: dict[int, dict[str, Any]] = {}
    for row in snapshots:
        if row.attempt == 0:
            continue
        at = clock.to_iso(row.created_at)
        attempt = found.setdefault(
            row.attempt,
            {
                "id": f"attempt_{row.attempt}",
                "number": row.attempt,
                "status": "EXECUTING",
                "created_at": at,
                "started_at": at,
            },
        )
        if attempt["status"] == "EXECUTING":
            attempt |= {"updated_at": at} | _ending(row)
    return [AttemptDetail.model_validate(attempt) for attempt in found.values()]


def _ending(row: SnapshotRow) -> dict[str, Any]:
    finished = row.execution_status == states.ExecutionStatus.FINISHED
    if row.error is None and not finished:
        return {}
    if row.run_status == states.RunStatus.COMPLETED_SUCCESSFULLY:
        status = "COMPLETED"
    else:
        status = "CANCELED" if row.run_status == states.RunStatus.CANCELED else "FAILED"
    return {
        "status": status,
        "completed_at": clock.to_iso(row.created_at),
        "error": error_of(row.error),
    }


def _link(data: str | None, kind: str, stored: Stored) -> str | None:
    return stored(data) if data and kind == packet.STORE else None


def _iso(ms: int | None) -> str | None:
    return None if ms is None else clock.to_iso(ms)
