"""The queues that a version declares: every task's own or chosen one, and those that stand for themselves.

A deploy changes what the code says and nothing an operator said: pauses and overrides survive it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from trigger_core import ids
from trigger_core.schemas.workers import QueueDeclaration, TaskDeclaration, WorkerMetadata
from trigger_platform.engine import environment as locking
from trigger_platform.engine import queue, queue_name
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, QueueRow

__all__ = ["declare", "of_task"]


@dataclass(frozen=True, slots=True)
class _Declared:
    kind: str
    limit: int | None


def of_task(task: TaskDeclaration) -> str:
    """Return the name of the queue a task's runs go to."""
    named = queue_name.sanitize(task.queue.name) if task.queue else ""
    return named or queue_name.of_task(task.id)


def declare(u: Unit, environment: EnvironmentRow, worker_id: str, metadata: WorkerMetadata) -> None:
    """Write the queues of a version; new limits count at once."""
    environment = locking.lock(u, environment.id)
    declared = _declared(metadata)
    known = {
        row.name: row
        for row in u.tx.all(
            "queues_by_name",
            QueueRow,
            environment_id=environment.id,
            names=json.dumps(list(declared)),
        )
    }
    rows = [
        replace(known.get(name) or _new(u, environment, name, one.kind), base_limit=one.limit)
        for name, one in declared.items()
    ]
    queue.write(u, environment, rows)
    u.tx.many("worker_queue_insert", [{"worker_id": worker_id, "queue": name} for name in declared])
    queue.wake(u, environment)


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
