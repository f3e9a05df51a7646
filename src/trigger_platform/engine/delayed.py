"""Runs that were triggered with a delay."""

from __future__ import annotations

from trigger_platform.engine import debounce, execution_snapshot
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import RunRow

__all__ = ["enqueue"]


def enqueue(u: Unit, run: RunRow) -> None:
    """Put the run in the queue now that its delay is over; its time to live begins here."""
    due_at = None if run.ttl_ms is None else u.now + run.ttl_ms
    step = execution_snapshot.move(
        u,
        run,
        ExecutionStatus.QUEUED,
        RunStatus.PENDING,
        "The delay is over",
        due_at=due_at,
        queued_at=u.now,
    )
    execution_snapshot.apply(u, [step])
    debounce.forget(u, run)
