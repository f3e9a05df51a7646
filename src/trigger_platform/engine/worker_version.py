"""Versions of the user's code: what they consist of, their names, and which one is current."""

from __future__ import annotations

import json

from trigger_core import clock, duration, ids, version
from trigger_core.errors import UsageError
from trigger_core.schemas.workers import (
    Registered,
    RegisterWorker,
    TaskDeclaration,
)
from trigger_platform.engine import pending_version, queue_name
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import Count, EnvironmentRow, WorkerQueueRow, WorkerRow

__all__ = ["become_current", "next_name", "record", "register", "registered"]


def register(u: Unit, environment: EnvironmentRow, request: RegisterWorker) -> Registered:
    """Register a version and make it current; code that equals the current version's keeps that version.

    Raises:
        UsageError: two tasks have one id.
        InvalidDurationError: a task's ttl cannot be read.
    """
    environment = u.tx.one("environment_by_id_locked", EnvironmentRow, id=environment.id)
    current = _current(u, environment)
    if current is not None and current.content_hash == request.metadata.content_hash:
        pending_version.landed(u, current.id)
        return registered(current)
    worker = record(u, environment, request, next_name(u, environment))
    become_current(u, environment, worker)
    return registered(worker)


def next_name(u: Unit, environment: EnvironmentRow) -> str:
    """Return the next free version name of the day; the environment stays locked until it is used."""
    u.tx.one("environment_by_id_locked", EnvironmentRow, id=environment.id)
    today = clock.to_datetime(u.now).strftime("%Y%m%d")
    taken = u.tx.all("versions_of_day", Count, environment_id=environment.id, day=f"{today}.%")
    latest = max((row.name for row in taken), key=version.sort_key, default=None)
    return version.next_version(latest, today)


def record(u: Unit, environment: EnvironmentRow, request: RegisterWorker, name: str) -> WorkerRow:
    """Write down a version with its tasks and queues; it serves nothing until it is current or pinned to.

    Raises:
        UsageError, InvalidDurationError: as :func:`register` does.
    """
    _refuse_duplicates(request.metadata.tasks)
    worker = _insert(u, environment, request, name)
    for task in request.metadata.tasks:
        _insert_task(u, worker.id, task)
    for queue in request.metadata.queues:
        _add_queue(u, worker.id, queue.name, "custom", queue.concurrency_limit)
    for row in u.tx.all("queues_of_worker", WorkerQueueRow, worker_id=worker.id):
        u.tx.run("queue_ensure", **_queue_values(u, environment, row), now=u.now)
    u.emit(environment.id, "worker.registered", worker.id, 0)
    return worker


def become_current(u: Unit, environment: EnvironmentRow, worker: WorkerRow) -> None:
    """Let unpinned runs execute on a version: its queues' limits count, runs that waited go on."""
    for row in u.tx.all("queues_of_worker", WorkerQueueRow, worker_id=worker.id):
        u.tx.run(
            "queue_upsert",
            **_queue_values(u, environment, row),
            concurrency_limit=row.concurrency_limit,
            now=u.now,
        )
    u.tx.run("environment_promote", id=environment.id, worker_id=worker.id)
    pending_version.landed(u, worker.id)


def registered(worker: WorkerRow) -> Registered:
    """Return the answer to a registration."""
    return Registered(id=worker.id, version=worker.version, content_hash=worker.content_hash)


def _refuse_duplicates(tasks: list[TaskDeclaration]) -> None:
    seen: dict[str, TaskDeclaration] = {}
    for task in tasks:
        other = seen.setdefault(task.id, task)
        if other is not task:
            raise UsageError(
                f"two tasks have the id {task.id!r}",
                code="TASK_ID_DUPLICATE",
                because=f"{other.file_path}:{other.line} and {task.file_path}:{task.line}",
                hint="give one of them another id",
            )


def _current(u: Unit, environment: EnvironmentRow) -> WorkerRow | None:
    if environment.current_worker_id is None:
        return None
    return u.tx.one("worker_by_id", WorkerRow, id=environment.current_worker_id)


def _insert(u: Unit, environment: EnvironmentRow, request: RegisterWorker, name: str) -> WorkerRow:
    meta = request.metadata
    worker = WorkerRow(
        id=ids.worker_id(u.now, u.rng),
        environment_id=environment.id,
        version=name,
        content_hash=meta.content_hash,
    )
    u.tx.run(
        "worker_insert",
        id=worker.id,
        environment_id=environment.id,
        version=worker.version,
        content_hash=worker.content_hash,
        sdk_version=meta.package_version,
        metadata=json.dumps({"runtime": meta.runtime, "runtimeVersion": meta.runtime_version}),
        now=u.now,
    )
    return worker


def _insert_task(u: Unit, worker_id: str, task: TaskDeclaration) -> None:
    queue = _queue_of(u, worker_id, task)
    u.tx.run(
        "task_insert",
        worker_id=worker_id,
        task=task.id,
        file_path=task.file_path,
        line=task.line,
        description=task.description,
        queue=queue,
        retry=json.dumps(task.retry) if task.retry else None,
        machine=task.machine.preset if task.machine else None,
        max_duration=task.max_duration,
        ttl_ms=_ttl_ms(task),
        isolation=task.isolation,
        payload_schema=json.dumps(task.payload_schema) if task.payload_schema else None,
        trigger_source=(task.trigger_source or "standard").upper(),
        schedule=json.dumps(task.schedule) if task.schedule else None,
    )


def _queue_of(u: Unit, worker_id: str, task: TaskDeclaration) -> str:
    own = queue_name.of_task(task.id)
    named = queue_name.sanitize(task.queue.name) if task.queue else ""
    limit = task.queue.concurrency_limit if task.queue else None
    kind = "custom" if named and named != own else "task"
    _add_queue(u, worker_id, named or own, kind, limit)
    return named or own


def _add_queue(u: Unit, worker_id: str, name: str, kind: str, limit: int | None) -> None:
    row = WorkerQueueRow(worker_id, queue_name.sanitize(name), kind, limit)
    u.insert("worker_queue_insert", [row])


def _queue_values(u: Unit, environment: EnvironmentRow, row: WorkerQueueRow) -> dict[str, str]:
    return {
        "environment_id": environment.id,
        "name": row.queue,
        "id": ids.queue_id(u.now, u.rng),
        "type": row.type,
    }


def _ttl_ms(task: TaskDeclaration) -> int | None:
    if task.ttl is None:
        return None
    return task.ttl * 1000 if isinstance(task.ttl, int) else duration.parse_ms(task.ttl)
