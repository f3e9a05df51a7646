"""Slots: how many runs of an environment, a queue and a concurrency key may hold one (engine 4.3).

A slot is nothing but the ``slot_held`` column of a run, so what is held is counted, in the transaction that
wants more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from trigger_platform.engine import environment, execution_snapshot, signals
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, QueueRow, RunRow, SlotsRow

__all__ = ["Room", "admit_resuming", "room"]

_RESUMING_AT_ONCE = 100


@dataclass(slots=True)
class Room:
    """What is free at this moment; :meth:`take` uses it up."""

    environment: int
    queue_cap: int
    caps: dict[str, int]
    held: dict[tuple[str, str], int] = field(default_factory=dict)

    def of_queue(self, queue: str, concurrency_key: str) -> int:
        """Return how many slots one concurrency key of a queue has left."""
        cap = min(self.caps.get(queue, self.queue_cap), self.queue_cap)
        return min(self.environment, cap - self.held.get((queue, concurrency_key), 0))

    def take(self, run: RunRow) -> bool:
        """Take a slot for the run, if there is one."""
        key = (run.queue, run.concurrency_key)
        if self.of_queue(*key) <= 0:
            return False
        self.environment -= 1
        self.held[key] = self.held.get(key, 0) + 1
        return True


def room(u: Unit, of: EnvironmentRow) -> Room:
    """Count what is held in an environment and return what is left; who takes of it has locked it."""
    slots = u.tx.all("slots_held", SlotsRow, environment_id=of.id)
    queues = u.tx.all("queues_limited", QueueRow, environment_id=of.id)
    limit = 0 if of.paused else of.concurrency_limit
    burst = math.floor(limit * of.burst_factor)
    return Room(
        environment=burst - sum(slot.held for slot in slots),
        queue_cap=limit,
        caps={queue.name: _cap(queue) for queue in queues},
        held={(slot.queue, slot.concurrency_key): slot.held for slot in slots},
    )


def admit_resuming(u: Unit, environment_id: str) -> None:
    """Give free slots to runs whose wait is over, before anything new is claimed."""
    if u.tx.scalar("any_resuming", environment_id=environment_id) is None:
        return
    free = room(u, environment.lock(u, environment_id))
    waiting = u.tx.all(
        "runs_resuming", RunRow, environment_id=environment_id, limit=_RESUMING_AT_ONCE
    )
    admitted = [run for run in waiting if free.take(run)]
    execution_snapshot.apply(
        u,
        [
            execution_snapshot.move(
                u, run, ExecutionStatus.EXECUTING, RunStatus.EXECUTING, "Got a slot again"
            )
            for run in admitted
        ],
    )
    for run in admitted:
        signals.resume(u, run)


def _cap(queue: QueueRow) -> int:
    if queue.paused:
        return 0
    return 1_000_000 if queue.concurrency_limit is None else queue.concurrency_limit
