"""Slots: how many runs of an environment, a queue and a concurrency key may hold one (engine 4.3).

A slot is nothing but the ``slot_held`` column of a run, so what is held is counted, in the transaction that
wants more. Limits are read there too, so that a change counts at once (W8). The environment's row is locked
meanwhile: two claims never count the same slot as free.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from trigger_platform.engine import environment as locking
from trigger_platform.engine import execution_snapshot, signals
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, QueueRow, RunRow, SlotsRow

__all__ = ["Room", "admit_resuming", "burst", "know", "room"]


@dataclass(slots=True)
class Room:
    """What is free at this moment; :meth:`take` uses it up.

    Attributes:
        environment: slots left over all queues, the burst included.
        queue_cap: what no concurrency key of a queue may exceed: the environment's limit without burst.
        queues: the queues that were asked about; ``None`` for a name without a queue.
        held: slots in use, by queue and concurrency key.
    """

    environment: int
    queue_cap: int
    queues: dict[str, QueueRow | None] = field(default_factory=dict)
    held: dict[tuple[str, str], int] = field(default_factory=dict)

    def cap(self, queue: str) -> int:
        """Return how many slots one concurrency key of a queue may hold; a pause does not change that."""
        row = self.queues.get(queue)
        if row is None or row.concurrency_limit is None:
            return self.queue_cap
        return min(row.concurrency_limit, self.queue_cap)

    def is_paused(self, queue: str) -> bool:
        """Tell whether nothing new may start in the queue."""
        row = self.queues.get(queue)
        return row is not None and bool(row.paused)

    def of_line(self, queue: str, key: str) -> int:
        """Return how many slots one concurrency key of a queue has left."""
        return min(self.environment, self.cap(queue) - self.held.get((queue, key), 0))

    def take(self, run: RunRow) -> bool:
        """Take a slot for the run, if there is one."""
        if self.of_line(run.queue, run.concurrency_key) <= 0:
            return False
        line = (run.queue, run.concurrency_key)
        self.environment -= 1
        self.held[line] = self.held.get(line, 0) + 1
        return True


def burst(environment: EnvironmentRow) -> int:
    """Return how many slots all queues of an environment may hold together."""
    return math.floor(environment.concurrency_limit * environment.burst_factor)


def room(u: Unit, environment: EnvironmentRow, queues: Iterable[str] = ()) -> Room:
    """Count what is held and return what is left, whether the environment is paused or not."""
    slots = u.tx.all("slots_held", SlotsRow, environment_id=environment.id)
    free = Room(
        environment=burst(environment) - sum(slot.held for slot in slots),
        queue_cap=environment.concurrency_limit,
        held={(slot.queue, slot.concurrency_key): slot.held for slot in slots},
    )
    know(u, environment, free, queues)
    return free


def know(u: Unit, environment: EnvironmentRow, free: Room, queues: Iterable[str]) -> None:
    """Look up the limits of queues that are not known yet."""
    new = {queue: None for queue in queues if queue not in free.queues}
    if not new:
        return
    free.queues.update(new)
    names = json.dumps(list(new))
    for row in u.tx.all("queues_by_name", QueueRow, environment_id=environment.id, names=names):
        free.queues[row.name] = row


def admit_resuming(u: Unit, environment_id: str) -> None:
    """Give free slots to runs whose wait is over, before anything new is claimed.

    A pause holds back what has not started. These have: like a run that executes, they go on, within the
    limits.
    """
    lines = u.tx.all("lines_resuming", SlotsRow, environment_id=environment_id)
    if not lines:
        return
    environment = locking.lock(u, environment_id)
    free = room(u, environment, (line.queue for line in lines))
    admitted = [run for run in _resuming(u, environment_id, free, lines) if free.take(run)]
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


def _resuming(u: Unit, environment_id: str, free: Room, lines: Sequence[SlotsRow]) -> list[RunRow]:
    """Return the runs for which their line has room, in the order of their positions."""
    found: list[RunRow] = []
    for line in lines:
        left = free.of_line(line.queue, line.concurrency_key)
        if left > 0:
            found += u.tx.all(
                "runs_resuming",
                RunRow,
                environment_id=environment_id,
                queue=line.queue,
                concurrency_key=line.concurrency_key,
                limit=left,
            )
    return sorted(found, key=lambda run: run.position)
