"""The queues that a version declares: every task's own or chosen one, and those that stand for themselves.

A deploy changes what the code says and nothing an operator said: pauses and overrides survive it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from trigger_core import ids
from trigger_core.schemas.workers import QueueDeclaration, TaskDeclaration, WorkerMetadata
from trigger_platform.engine import environment as locking
from trigger_platform.engine import queue, queue_name
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, QueueRow, WorkerQueueRow

__all__ = ["declare", "of_task", "record"]


@dataclass(frozen=True, slots=True)
class _Declared:
    kind: str
    limit: int | None


def of_task(task: TaskDeclaration) -> str:
    """Return the name of the queue a task's runs go to."""
    named = queue_name.sanitize(task.queue.name) if task.queue else ""
    return named or queue_name.of_task(task.id)


def record(u: Unit, environment: EnvironmentRow, worker_id: str, metadata: WorkerMetadata) -> None:
    """Write down the queues of a version; those that exist keep their limits until it is current."""
    environment = locking.lock(u, environment.id)
    declared = _declared(metadata)
    rows = [WorkerQueueRow(worker_id, name, one.kind, one.limit) for name, one in declared.items()]
    u.insert("worker_queue_insert", rows)
    known = _known(u, environment, rows)
    fresh = [row for row in rows if row.queue not in known]
    queue.write(u, environment, [_with_limit(u, environment, known, row) for row in fresh])


def declare(u: Unit, environment: EnvironmentRow, worker_id: str) -> None:
    """Let the limits of a version's queues count from now on."""
    environment = locking.lock(u, environment.id)
    rows = u.tx.all("queues_of_worker", WorkerQueueRow, worker_id=worker_id)
    known = _known(u, environment, rows)
    queue.write(u, environment, [_with_limit(u, environment, known, row) for row in rows])
    queue.wake(u, environment)


def _known(
    u: Unit, environment: EnvironmentRow, rows: Sequence[WorkerQueueRow]
) -> dict[str, QueueRow]:
    names = json.dumps([row.queue for row in rows])
    found = u.tx.all("queues_by_name", QueueRow, environment_id=environment.id, names=names)
    return {row.name: row for row in found}


def _with_limit(
    u: Unit, environment: EnvironmentRow, known: dict[str, QueueRow], row: WorkerQueueRow
) -> QueueRow:
    base = known.get(row.queue) or _new(u, environment, row.queue, row.type)
    return replace(base, base_limit=row.concurrency_limit)


def _declared(metadata: WorkerMetadata) -> dict[str, _Declared]:
    """Collect the queues; a limit that is given in one place holds for every place that gives none."""
    found: dict[str, _Declared] = {}
    for task in metadata.tasks:
        name = of_task(task)
        kind = "task" if name == queue_name.of_task(task.id) else "custom"
        _add(found, name, kind, task.queue)
    for one in metadata.queues:
        _add(found, queue_name.sanitize(one.name), "custom", one)
    found.pop("", None)
    return found


def _add(
    found: dict[str, _Declared], name: str, kind: str, declared: QueueDeclaration | None
) -> None:
    before = found.get(name)
    limit = declared.concurrency_limit if declared else None
    if before is not None and limit is None:
        limit = before.limit
    found[name] = _Declared(before.kind if before else kind, limit)


def _new(u: Unit, environment: EnvironmentRow, name: str, kind: str) -> QueueRow:
    return QueueRow(
        environment_id=environment.id,
        name=name,
        id=ids.queue_id(u.now, u.rng),
        type=kind,
        concurrency_limit=None,
        base_limit=None,
        override_limit=None,
        override_percent=None,
        overridden_at=None,
        overridden_by=None,
        paused=0,
        last_key="",
        created_at=u.now,
    )
