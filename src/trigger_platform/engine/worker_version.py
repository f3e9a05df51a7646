"""Versions of the user's code: what they consist of, their names, and which one is current."""

from __future__ import annotations

import json

from trigger_core import clock, duration, ids, machines, version
from trigger_core.errors import UsageError
from trigger_core.schemas.workers import (
    Registered,
    RegisterWorker,
    TaskDeclaration,
)
from trigger_platform.engine import declared_schedule, language, pending_version, queue_declaration
from trigger_platform.engine import environment as locking
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import Count, EnvironmentRow, WorkerRow

__all__ = ["become_current", "next_name", "record", "register", "registered"]


def register(u: Unit, environment: EnvironmentRow, request: RegisterWorker) -> Registered:
    """Register a version and make it current; code that equals the current version's keeps that version.

    In development each language has a version that is current. The environment is taken, so that no run is
    put aside for want of a task that is just arriving.

    Raises:
        UsageError: two tasks have one id, or a declared schedule cannot be.
        InvalidDurationError: a task's ttl cannot be read.
    """
    _refuse_duplicates(request.metadata.tasks)
    environment = locking.lock(u, environment.id)
    spoken = language.of_runtime(request.metadata.runtime)
    current = language.current_of(u, environment, spoken)
    if current is not None and current.content_hash == request.metadata.content_hash:
        declared_schedule.sync(u, environment, current.id)
        pending_version.landed(u, current.id)
        return registered(current)
    worker = record(u, environment, request, next_name(u, environment))
    become_current(u, environment, worker)
    return registered(worker)


def next_name(u: Unit, environment: EnvironmentRow) -> str:
    """Return the next free version name of the day; the environment stays locked until it is used."""
    locking.lock(u, environment.id)
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
    queue_declaration.record(u, environment, worker.id, request.metadata)
    u.emit(environment.id, "worker.registered", worker.id, 0)
    return worker


def become_current(u: Unit, environment: EnvironmentRow, worker: WorkerRow) -> None:
    """Let unpinned runs execute on a version: its limits and schedules count, waiting runs go on."""
    environment = language.mix(u, environment, worker)
    queue_declaration.declare(u, environment, worker.id)
    u.tx.run("environment_promote", id=environment.id, worker_id=worker.id)
    u.tx.run(
        "worker_promote",
        environment_id=environment.id,
        language=worker.language,
        worker_id=worker.id,
    )
    if environment.is_mixed:
        u.tx.run("runs_come_home", environment_id=environment.id, worker_id=worker.id)
    declared_schedule.sync(u, environment, worker.id)
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


def _insert(u: Unit, environment: EnvironmentRow, request: RegisterWorker, name: str) -> WorkerRow:
    meta = request.metadata
    worker = WorkerRow(
        id=ids.worker_id(u.now, u.rng),
        environment_id=environment.id,
        version=name,
        content_hash=meta.content_hash,
        language=language.of_runtime(meta.runtime),
    )
    u.tx.run(
        "worker_insert",
        id=worker.id,
        environment_id=environment.id,
        version=worker.version,
        content_hash=worker.content_hash,
        language=worker.language,
        sdk_version=meta.package_version,
        metadata=json.dumps(
            {
                "runtime": meta.runtime,
                "runtimeVersion": meta.runtime_version,
                "cliVersion": meta.cli_package_version,
            }
        ),
        now=u.now,
    )
    return worker


def _insert_task(u: Unit, worker_id: str, task: TaskDeclaration) -> None:
    u.tx.run(
        "task_insert",
        worker_id=worker_id,
        task=task.id,
        file_path=task.file_path,
        line=task.line,
        description=task.description,
        queue=queue_declaration.of_task(task),
        retry=json.dumps(task.retry) if task.retry else None,
        machine=_machine(task),
        max_duration=task.max_duration,
        ttl_ms=_ttl_ms(task),
        isolation=task.isolation,
        payload_schema=json.dumps(task.payload_schema) if task.payload_schema else None,
        trigger_source=(task.trigger_source or "standard").upper(),
        schedule=json.dumps(task.schedule.to_wire()) if task.schedule else None,
    )


def _machine(task: TaskDeclaration) -> str | None:
    asked = task.machine
    return machines.choose(asked.preset, asked.cpu, asked.memory) if asked else None


def _ttl_ms(task: TaskDeclaration) -> int | None:
    if task.ttl is None:
        return None
    return task.ttl * 1000 if isinstance(task.ttl, int) else duration.parse_ms(task.ttl)
