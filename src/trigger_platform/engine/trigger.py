"""Triggering: from a request to a run that is in the queue once this commits (engine 3.0, protocol A.2)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from trigger_core import duration, ids
from trigger_core.errors import NotFoundError, UnprocessableError, UsageError
from trigger_core.schemas.trigger import (
    BatchItem,
    BatchRun,
    BatchTriggered,
    TriggerBatch,
    TriggerOptions,
    TriggerTask,
)
from trigger_platform.engine import execution_snapshot, idempotency, queue_name
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, RunRow, TaskRow, WorkerRow

__all__ = ["Created", "NewRun", "Packet", "create", "create_batch", "create_runs"]

_MAX_TAGS = 10
_MIN_DURATION_S = 5
_INT32 = 2**31 - 1
_US = 1000


@dataclass(frozen=True, slots=True)
class Packet:
    """A payload as it is kept: text and its type."""

    data: str | None
    type: str


@dataclass(frozen=True, slots=True)
class Created:
    """The run that answers a trigger; cached when an idempotency key found an earlier one."""

    id: str
    is_cached: bool


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run about to be written."""

    run: RunRow
    payload: Packet


def create(
    u: Unit,
    environment: EnvironmentRow,
    task: str,
    request: TriggerTask,
    *,
    request_token: str | None = None,
) -> Created:
    """Create a run of a task, or find the one that an idempotency key or a repeated request names.

    A task that no version has yet is accepted: its run waits for a version (protocol A.2).

    Raises:
        InvalidDurationError: delay or ttl cannot be read.
        UnprocessableError: too many tags, an unknown version to lock to.
        NotFoundError: the parent run does not exist.
    """
    scope = f"trigger:{task}"
    if request_token is not None:
        known = idempotency.recall(u, environment.id, scope, request_token)
        if known is not None:
            return Created(known, is_cached=False)
    item = BatchItem(task=task, payload=request.payload, options=request.options)
    [created] = create_runs(u, environment, [item], batch_id=None)
    if request_token is not None:
        idempotency.remember(u, environment.id, scope, request_token, created.id)
    return created


def create_batch(u: Unit, environment: EnvironmentRow, request: TriggerBatch) -> BatchTriggered:
    """Create many runs at once: all of them or, when one is refused, none."""
    batch_id = ids.batch_id(u.now, u.rng)
    u.tx.run(
        "batch_insert",
        id=batch_id,
        environment_id=environment.id,
        run_count=len(request.items),
        now=u.now,
    )
    created = create_runs(u, environment, request.items, batch_id=batch_id)
    runs = [
        BatchRun(id=one.id, task_identifier=item.task, is_cached=one.is_cached)
        for one, item in zip(created, request.items, strict=True)
    ]
    return BatchTriggered(id=batch_id, runs=runs)


def create_runs(
    u: Unit, environment: EnvironmentRow, items: Sequence[BatchItem], *, batch_id: str | None
) -> list[Created]:
    """Create a run per item, in order; one write for all of them."""
    tasks: dict[str, TaskRow | None] = {}
    keys: dict[tuple[str, str], str] = {}
    fresh: list[NewRun] = []
    answers: list[Created] = []
    for item in items:
        known = _known(u, environment, item, keys)
        if known is not None:
            answers.append(Created(known, is_cached=True))
            continue
        if item.task not in tasks:
            tasks[item.task] = _current_task(u, environment, item.task)
        new = _resolve(u, environment, item, tasks[item.task], batch_id=batch_id, index=len(fresh))
        if item.options.idempotency_key:
            keys[item.task, item.options.idempotency_key] = new.run.id
        fresh.append(new)
        answers.append(Created(new.run.id, is_cached=False))
    write(u, fresh)
    return answers


def write(u: Unit, fresh: Sequence[NewRun]) -> None:
    """Write new runs with their payloads."""
    execution_snapshot.create(
        u,
        [
            (new.run, "Triggered with a delay" if new.run.delay_until else "Triggered")
            for new in fresh
        ],
    )
    u.tx.many(
        "payload_insert",
        [
            {"run_id": new.run.id, "type": new.payload.type, "data": new.payload.data}
            for new in fresh
        ],
    )


def _known(
    u: Unit, environment: EnvironmentRow, item: BatchItem, keys: dict[tuple[str, str], str]
) -> str | None:
    key = item.options.idempotency_key
    if not key:
        return None
    if (item.task, key) in keys:
        return keys[item.task, key]
    run = idempotency.find_run(u, environment.id, item.task, key)
    return None if run is None else run.id


def _current_task(u: Unit, environment: EnvironmentRow, task: str) -> TaskRow | None:
    if environment.current_worker_id is None:
        current = u.tx.one("environment_by_id", EnvironmentRow, id=environment.id)
    else:
        current = environment
    return u.tx.maybe("task_of_worker", TaskRow, worker_id=current.current_worker_id, task=task)


def _resolve(
    u: Unit,
    environment: EnvironmentRow,
    item: BatchItem,
    task: TaskRow | None,
    *,
    batch_id: str | None,
    index: int,
) -> NewRun:
    options = item.options
    run_id = ids.run_id(u.now, u.rng)
    delay_until = _delay_until(u, options)
    ttl_ms = _ttl_ms(environment, options, task)
    parent = _parent(u, environment, options)
    worker = _pinned_worker(u, environment, options)
    anchor = delay_until or u.now
    priority_ms = max(-_INT32, min(_INT32, round((options.priority or 0) * 1000)))
    status, execution_status, due_at = _first_state(u, delay_until, ttl_ms)
    run = RunRow(
        id=run_id,
        environment_id=environment.id,
        task=item.task,
        status=status,
        status_reason=None,
        execution_status=execution_status,
        sequence=1,
        attempt=0,
        max_attempts=options.max_attempts,
        delivery_failures=0,
        queue=_queue(options, task, item.task),
        concurrency_key=_concurrency_key(options),
        position=(anchor - priority_ms) * _US + index,
        available_at=None,
        due_at=due_at,
        slot_held=0,
        lease=None,
        boot_id=None,
        worker_id=worker.id if worker else None,
        version=worker.version if worker else None,
        pinned=1 if worker else 0,
        retry=None,
        machine=options.machine,
        max_duration=_max_duration(options),
        priority_ms=priority_ms,
        delay_until=delay_until,
        ttl_ms=ttl_ms,
        created_at=u.now,
        updated_at=u.now,
        queued_at=None if delay_until else u.now,
        started_at=None,
        attempt_started_at=None,
        completed_at=None,
        expired_at=None,
        usage_ms=0,
        idempotency_key=options.idempotency_key or None,
        idempotency_expires_at=idempotency.expiry(u.now, options.idempotency_key_ttl),
        idempotency_options=_key_options(options),
        parent_id=parent.id if parent else None,
        root_id=(parent.root_id or parent.id) if parent else None,
        depth=parent.depth + 1 if parent else 0,
        replay_of=None,
        batch_id=batch_id,
        is_test=1 if options.test else 0,
        tags=_tags(options),
        metadata=_metadata(options),
        output_type=None,
        error=None,
    )
    return NewRun(run, _packet(item))


def _first_state(
    u: Unit, delay_until: int | None, ttl_ms: int | None
) -> tuple[str, str, int | None]:
    if delay_until is not None:
        return RunStatus.DELAYED, ExecutionStatus.DELAYED, delay_until
    due_at = None if ttl_ms is None else u.now + ttl_ms
    return RunStatus.PENDING, ExecutionStatus.QUEUED, due_at


def _delay_until(u: Unit, options: TriggerOptions) -> int | None:
    """A moment that has passed is no delay. Text that cannot be read is refused; the original ignores it."""
    if options.delay is None:
        return None
    moment = duration.resolve_delay(options.delay, u.now)
    return moment if moment > u.now else None


def _ttl_ms(
    environment: EnvironmentRow, options: TriggerOptions, task: TaskRow | None
) -> int | None:
    if isinstance(options.ttl, int):
        return options.ttl * 1000
    if options.ttl is not None:
        return duration.parse_ms(options.ttl)
    if task is not None and task.ttl_ms is not None:
        return task.ttl_ms
    return environment.default_ttl_ms


def _queue(options: TriggerOptions, task: TaskRow | None, task_id: str) -> str:
    chosen = queue_name.sanitize(options.queue.name) if options.queue else ""
    if chosen:
        return chosen
    return task.queue if task is not None else queue_name.of_task(task_id)


def _concurrency_key(options: TriggerOptions) -> str:
    key = options.concurrency_key
    return "" if key is None else str(key).replace("\0", "")


def _parent(u: Unit, environment: EnvironmentRow, options: TriggerOptions) -> RunRow | None:
    if options.parent_run_id is None:
        return None
    parent = u.tx.maybe(
        "run_by_id", RunRow, id=options.parent_run_id, environment_id=environment.id
    )
    if parent is None:
        raise NotFoundError(f"there is no parent run {options.parent_run_id}", status=404)
    return parent


def _pinned_worker(
    u: Unit, environment: EnvironmentRow, options: TriggerOptions
) -> WorkerRow | None:
    if options.lock_to_version is None:
        return None
    worker = u.tx.maybe(
        "worker_by_version",
        WorkerRow,
        environment_id=environment.id,
        version=options.lock_to_version,
    )
    if worker is None:
        raise UnprocessableError(
            f"there is no version {options.lock_to_version}", status=422, code="VERSION_UNKNOWN"
        )
    return worker


def _tags(options: TriggerOptions) -> str | None:
    given = [options.tags] if isinstance(options.tags, str) else options.tags or []
    tags = list(dict.fromkeys(tag for tag in given if tag.strip()))
    if len(tags) > _MAX_TAGS:
        raise UnprocessableError(
            f"a run has at most {_MAX_TAGS} tags, these are {len(tags)}",
            status=422,
            code="TOO_MANY_TAGS",
        )
    return json.dumps(tags) if tags else None


def _metadata(options: TriggerOptions) -> str | None:
    value = options.metadata
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, dict):
        raise UsageError("metadata must be a JSON object", code="INVALID_METADATA")
    return json.dumps(value)


def _max_duration(options: TriggerOptions) -> float | None:
    return None if options.max_duration is None else max(_MIN_DURATION_S, options.max_duration)


def _key_options(options: TriggerOptions) -> str | None:
    chosen = options.idempotency_key_options
    return None if chosen is None else json.dumps(chosen.to_wire())


def _packet(item: BatchItem) -> Packet:
    """JSON comes as JSON and is kept as text; other packets come as their text (engine 3.0, step 15)."""
    kind = item.options.payload_type or "application/json"
    if kind != "application/json":
        return Packet(item.payload if isinstance(item.payload, str) else None, kind)
    if item.payload is None:
        return Packet(None, kind)
    return Packet(json.dumps(item.payload, ensure_ascii=False, separators=(",", ":")), kind)
