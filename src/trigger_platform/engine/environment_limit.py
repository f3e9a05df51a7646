"""An environment's own limits: pause it, let it go on, change how much it may do at once (engine 4.9)."""

from __future__ import annotations

from dataclasses import replace

from trigger_platform.engine import environment as locking
from trigger_platform.engine import queue
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, QueueRow

__all__ = ["change", "pause"]


def pause(u: Unit, environment: EnvironmentRow, *, paused: bool) -> EnvironmentRow:
    """Start nothing new in an environment, or go on. Runs under way go on; triggers are still accepted."""
    u.tx.run("environment_pause", id=environment.id, paused=int(paused))
    queue.wake(u, environment)
    return replace(environment, paused=int(paused))


def change(
    u: Unit,
    environment: EnvironmentRow,
    *,
    concurrency_limit: int,
    burst_factor: float,
    queue_size_limit: int | None,
) -> EnvironmentRow:
    """Change the limits; queues whose limit is a share of the environment's follow at once (behaviour 100).

    Args:
        u: the unit of work.
        environment: which.
        concurrency_limit: how many runs of one queue may hold a slot.
        burst_factor: all queues together may hold this many times as much.
        queue_size_limit: how many runs may wait in one queue; ``None`` for any number.
    """
    environment = replace(
        locking.lock(u, environment.id),
        concurrency_limit=concurrency_limit,
        burst_factor=burst_factor,
        queue_size_limit=queue_size_limit,
    )
    u.tx.run(
        "environment_limits",
        id=environment.id,
        concurrency_limit=concurrency_limit,
        burst_factor=burst_factor,
        queue_size_limit=queue_size_limit,
    )
    queue.write(u, environment, u.tx.all("queues_all", QueueRow, environment_id=environment.id))
    queue.wake(u, environment)
    return environment
