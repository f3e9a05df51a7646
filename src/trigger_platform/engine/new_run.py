"""What a trigger asks for becomes a run row; all of it is checked before anything is written (engine 3.0)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from trigger_core import duration, ids, metadata, packet
from trigger_core.errors import InvalidDurationError, UsageError
from trigger_core.schemas.trigger import BatchItem, TriggerOptions
from trigger_platform.engine import idempotency, queue_name, tags, trace
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.engine.trace import Caller
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, PayloadRow, RunRow, TaskRow, WorkerRow

__all__ = ["NewRun", "Origin", "Ticked", "make"]

_MIN_DURATION_S = 5
_INT32 = 2**31 - 1
_US = 1000
_LONGEST_PATH = 1_000
_KINDS = {"SCHEDULE": "SCHEDULED"}
"""What runs call the kind of their task, where its declaration calls it otherwise."""


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run about to be written, and the sentence its history begins with."""

    run: RunRow
    payload: PayloadRow
    description: str = "Triggered"


@dataclass(frozen=True, slots=True)
class Ticked:
    """The tick of a schedule, in one environment, that a run stands for."""

    schedule_id: str
    instance_id: str
    nominal_at: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a new run comes from.

    Attributes:
        parent: the run that triggers it.
        waits: whether the parent waits for its end; it then inherits the parent's place in the queue.
        worker: the version it is locked to.
        batch_id, position: its batch, and its place in it.
        one_time_token: the public token that is used up by it.
        replay_of: the run it repeats.
        source: what is recorded as the origin: ``sdk``, ``api``, ``cli``, ``schedule``, ``dashboard``.
        order: breaks ties between runs of one moment.
        ticked: the tick it stands for, if a schedule triggers it.
        caller: the trace it is triggered from.
    """

    parent: RunRow | None = None
    waits: bool = False
    worker: WorkerRow | None = None
    batch_id: str | None = None
    position: int | None = None
    one_time_token: str | None = None
    replay_of: str | None = None
    source: str = "api"
    order: int = 0
    ticked: Ticked | None = None
    caller: Caller | None = None


def make(
    u: Unit, environment: EnvironmentRow, item: BatchItem, task: TaskRow | None, origin: Origin
) -> NewRun:
    """Return the run that a request asks for.

    Raises:
        InvalidDurationError: delay or ttl cannot be read.
        UnprocessableError: too many tags, or a queue that the locked version does not have.
        UsageError: metadata is no JSON object.
        PayloadTooLargeError: metadata has more than 256 KiB.
    """
    options, parent, worker, ticked = item.options, origin.parent, origin.worker, origin.ticked
    run_id = ids.run_id(u.now, u.rng)
    delay_until = _delay_until(u, options)
    ttl_ms = _ttl_ms(environment, options, task)
    anchor = parent.anchor if parent and origin.waits else delay_until or u.now
    priority_ms = max(-_INT32, min(_INT32, round((options.priority or 0) * 1000)))
    seed = _metadata(options)
    is_delayed = delay_until is not None
    run = RunRow(
        id=run_id,
        environment_id=environment.id,
        task=item.task,
        status=RunStatus.DELAYED if is_delayed else RunStatus.PENDING,
        status_reason=None,
        execution_status=ExecutionStatus.DELAYED if is_delayed else ExecutionStatus.QUEUED,
        sequence=1,
        attempt=0,
        max_attempts=options.max_attempts,
        delivery_failures=0,
        queue=_queue(options, task, item.task),
        concurrency_key=_concurrency_key(options),
        anchor=anchor,
        position=(anchor - priority_ms) * _US + origin.order,
        available_at=None,
        due_at=_due_at(u, delay_until, ttl_ms),
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
        queued_at=None if is_delayed else u.now,
        started_at=None,
        attempt_started_at=None,
        completed_at=None,
        expired_at=None,
        usage_ms=0,
        idempotency_key=options.idempotency_key or None,
        idempotency_expires_at=idempotency.expiry(u.now, options.idempotency_key_ttl)
        if options.idempotency_key
        else None,
        idempotency_options=_key_options(options),
        one_time_token=origin.one_time_token,
        parent_id=parent.id if parent else None,
        root_id=(parent.root_id or parent.id) if parent else None,
        depth=parent.depth + 1 if parent else 0,
        replay_of=origin.replay_of,
        batch_id=origin.batch_id,
        batch_position=origin.position,
        schedule_id=ticked.schedule_id if ticked else None,
        schedule_instance_id=ticked.instance_id if ticked else None,
        nominal_at=ticked.nominal_at if ticked else None,
        external_deployment_id=None,
        checkpoint_id=None,
        annotations=_annotations(origin, options, task),
        is_test=1 if options.test else 0,
        tags=_tags(options),
        seed_metadata=seed,
        metadata=seed,
        metadata_version=0,
        output_type=None,
        error=None,
    )
    return NewRun(run, _payload(run_id, item), _description(origin, is_delayed=is_delayed))


def _description(origin: Origin, *, is_delayed: bool) -> str:
    if origin.replay_of is not None:
        return f"Replay of {origin.replay_of}"
    return "Triggered with a delay" if is_delayed else "Triggered"


def _due_at(u: Unit, delay_until: int | None, ttl_ms: int | None) -> int | None:
    if delay_until is not None:
        return delay_until
    return None if ttl_ms is None else u.now + ttl_ms


def _annotations(origin: Origin, options: TriggerOptions, task: TaskRow | None) -> str:
    """Record the origin; what began the whole tree is inherited (behaviour 7)."""
    inherited: dict[str, Any] = {}
    if origin.parent is not None and origin.parent.annotations:
        inherited = json.loads(origin.parent.annotations)
    mine: dict[str, Any] = {
        "triggerSource": origin.source,
        "rootTriggerSource": inherited.get("rootTriggerSource", origin.source),
    }
    if origin.ticked is not None:
        mine["rootScheduleId"] = origin.ticked.schedule_id
    elif "rootScheduleId" in inherited:
        mine["rootScheduleId"] = inherited["rootScheduleId"]
    if origin.waits:
        mine["waits"] = True
    if task is not None and task.trigger_source != "STANDARD":
        mine["taskKind"] = _KINDS.get(task.trigger_source, task.trigger_source)
    if options.debounce is not None:
        mine["debounceKey"] = options.debounce.key
    if origin.caller is not None or origin.waits:
        mine |= trace.notes(origin.caller, origin.parent, waits=origin.waits)
    return json.dumps(mine)


def _delay_until(u: Unit, options: TriggerOptions) -> int | None:
    """A moment that has passed is no delay. Text that cannot be read is refused; the original ignores it."""
    asked = options.delay or (options.debounce.delay if options.debounce else None)
    if asked is None:
        return None
    moment = duration.resolve_delay(asked, u.now)
    return moment if moment > u.now else None


def _ttl_ms(
    environment: EnvironmentRow, options: TriggerOptions, task: TaskRow | None
) -> int | None:
    """The trigger's own, else the task's, else the environment's; never more than the environment allows."""
    chosen = environment.default_ttl_ms if task is None or task.ttl_ms is None else task.ttl_ms
    if isinstance(options.ttl, int):
        chosen = options.ttl * 1000
    elif options.ttl is not None:
        try:
            chosen = duration.parse_ms(options.ttl)
        except InvalidDurationError:
            if environment.max_ttl_ms is None:
                raise
            chosen = environment.max_ttl_ms
    if environment.max_ttl_ms is None:
        return chosen
    return environment.max_ttl_ms if chosen is None else min(chosen, environment.max_ttl_ms)


def _queue(options: TriggerOptions, task: TaskRow | None, task_id: str) -> str:
    chosen = queue_name.sanitize(options.queue.name) if options.queue else ""
    if chosen:
        return chosen
    return task.queue if task is not None else queue_name.of_task(task_id)


def _concurrency_key(options: TriggerOptions) -> str:
    key = options.concurrency_key
    return "" if key is None else str(key).replace("\0", "")


def _tags(options: TriggerOptions) -> str | None:
    given = [options.tags] if isinstance(options.tags, str) else options.tags or []
    chosen = tags.checked(given)
    return json.dumps(chosen) if chosen else None


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
    return metadata.checked(value)


def _max_duration(options: TriggerOptions) -> float | None:
    return None if options.max_duration is None else max(_MIN_DURATION_S, options.max_duration)


def _key_options(options: TriggerOptions) -> str | None:
    chosen = options.idempotency_key_options
    return None if chosen is None else json.dumps(chosen.to_wire())


def _path(payload: Any) -> str:
    if not isinstance(payload, str) or not payload or len(payload) > _LONGEST_PATH:
        raise UsageError(
            "the payload is stored elsewhere, so it must be the path to where",
            code="INVALID_PACKET_NAME",
        )
    return payload


def _payload(run_id: str, item: BatchItem) -> PayloadRow:
    """JSON comes as JSON and is kept as text; other packets come as their text (engine 3.0, step 15)."""
    kind = item.options.payload_type or "application/json"
    if kind == packet.STORE:
        return PayloadRow(run_id, kind, _path(item.payload))
    if kind != "application/json":
        return PayloadRow(run_id, kind, item.payload if isinstance(item.payload, str) else None)
    if item.payload is None:
        return PayloadRow(run_id, kind, None)
    text = json.dumps(item.payload, ensure_ascii=False, separators=(",", ":"))
    return PayloadRow(run_id, kind, text)
