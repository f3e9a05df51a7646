"""Queues as operators see and steer them: look, pause, override the limit (engine 4.9, QUE-009, QUE-011).

Whatever is changed here counts from the next claim on, survives deploys, and wakes whoever it lets go on. A
paused queue starts nothing new; runs that execute, and runs that wait and have a process, go on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from trigger_core.errors import NotFoundError
from trigger_platform.engine import concurrency, pool, queue_limit, queue_name
from trigger_platform.engine import environment as locking
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import Count, EnvironmentRow, QueueRow

__all__ = ["Kind", "Page", "View", "find", "override", "page", "pause", "reset", "wake", "write"]

Kind: TypeAlias = Literal["id", "task", "custom"]
"""How a queue is named: by its id, by the id of the task it belongs to, or by its own name."""


@dataclass(frozen=True, slots=True)
class View:
    """A queue, how many of its runs hold a slot, and how many could be claimed if there were room."""

    queue: QueueRow
    running: int
    queued: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some queues in the order of their names, and how many there are in all."""

    queues: list[View]
    total: int


def page(u: Unit, environment: EnvironmentRow, number: int, size: int) -> Page:
    """Return a page; the first has the number 1."""
    rows = u.tx.all(
        "queues_page",
        QueueRow,
        environment_id=environment.id,
        limit=size,
        offset=(number - 1) * size,
    )
    total = u.tx.scalar("queues_count", environment_id=environment.id)
    return Page(_views(u, environment, rows), int(total))


def find(u: Unit, environment: EnvironmentRow, kind: Kind, name: str) -> View:
    """Return one queue.

    Raises:
        NotFoundError: the environment has no such queue.
    """
    return _view(u, environment, _row(u, environment, kind, name, "queue_find"))


def pause(u: Unit, environment: EnvironmentRow, kind: Kind, name: str, *, paused: bool) -> View:
    """Start nothing new in a queue, or go on.

    Raises:
        NotFoundError: the environment has no such queue.
    """
    environment, queue = _taken(u, environment, kind, name)
    return _change(u, environment, replace(queue, paused=int(paused)))


def override(
    u: Unit,
    environment: EnvironmentRow,
    kind: Kind,
    name: str,
    *,
    limit: int | None = None,
    percent: float | None = None,
    by: str | None = None,
) -> View:
    """Put a limit in the place of the declared one: a number, or a share of the environment's limit.

    Raises:
        NotFoundError: the environment has no such queue.
    """
    environment, queue = _taken(u, environment, kind, name)
    changed = replace(
        queue,
        override_limit=limit,
        override_percent=percent,
        overridden_at=u.now,
        overridden_by=by,
    )
    return _change(u, environment, changed)


def reset(u: Unit, environment: EnvironmentRow, kind: Kind, name: str) -> View:
    """Let the limit count again that the code declares; without an override nothing changes.

    Raises:
        NotFoundError: the environment has no such queue.
    """
    environment, queue = _taken(u, environment, kind, name)
    changed = replace(
        queue, override_limit=None, override_percent=None, overridden_at=None, overridden_by=None
    )
    return _change(u, environment, changed)


def write(u: Unit, environment: EnvironmentRow, queues: Sequence[QueueRow]) -> None:
    """Write queues with the limits that count for them now."""
    u.insert(
        "queue_write", [queue_limit.settled(row, environment.concurrency_limit) for row in queues]
    )


def wake(u: Unit, environment: EnvironmentRow) -> None:
    """Let what has room now go on: runs whose wait is over at once, new ones by the polls that wait."""
    concurrency.admit_resuming(u, environment.id)
    u.runnable.add(environment.id)


def _taken(
    u: Unit, environment: EnvironmentRow, kind: Kind, name: str
) -> tuple[EnvironmentRow, QueueRow]:
    """Lock the environment, then the queue: the order of every claim."""
    environment = locking.lock(u, environment.id)
    return environment, _row(u, environment, kind, name, "queue_find_locked")


def _row(u: Unit, environment: EnvironmentRow, kind: Kind, name: str, statement: str) -> QueueRow:
    full = queue_name.of_task(name) if kind == "task" else name
    found = u.tx.maybe(
        statement,
        QueueRow,
        environment_id=environment.id,
        id=name if kind == "id" else "",
        name="" if kind == "id" else full,
    )
    if found is None:
        raise NotFoundError(
            f"there is no queue {full}",
            status=404,
            code="QUEUE_NOT_FOUND",
            hint="`trigger queues list` shows the queues; a task's own is called task/<task id>",
        )
    return found


def _change(u: Unit, environment: EnvironmentRow, queue: QueueRow) -> View:
    write(u, environment, [queue])
    wake(u, environment)
    u.emit(environment.id, "queue.changed", queue.id, 0)
    return _view(u, environment, queue_limit.settled(queue, environment.concurrency_limit))


def _view(u: Unit, environment: EnvironmentRow, queue: QueueRow) -> View:
    return _views(u, environment, [queue])[0]


def _views(u: Unit, environment: EnvironmentRow, rows: Sequence[QueueRow]) -> list[View]:
    names = json.dumps([row.name for row in rows])

    def counted(statement: str, **where: str) -> dict[str, int]:
        found = u.tx.all(statement, Count, names=names, **where)
        return {row.name: row.count for row in found}

    running = counted("queues_running", environment_id=environment.id)
    queued = counted("queues_queued", pools=pool.everything(u, environment))
    return [View(row, running.get(row.name, 0), queued.get(row.name, 0)) for row in rows]
