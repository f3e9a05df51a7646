"""What is due: one sweep over every deadline, whichever state it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from trigger_platform.engine import cancel, concurrency, delayed, heartbeat, ttl, waitpoint
from trigger_platform.engine.states import LEASED_STATES, ExecutionStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import Count, RunRow, TimerRow

__all__ = ["SweepResult", "sweep"]

_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class SweepResult:
    """How much was moved, and when something is due next (ms; now or earlier when more is waiting)."""

    moved: int
    next_due: int | None


def sweep(u: Unit) -> SweepResult:
    """Move what is due: delays, expiries, back-offs, leases, waits, cancels of children."""
    runs = u.tx.all("runs_due", RunRow, now=u.now, limit=_AT_ONCE)
    for run in runs:
        _move(u, run)
    for environment_id in {run.environment_id for run in runs}:
        concurrency.admit_resuming(u, environment_id)
    moments = u.tx.all("waitpoints_due", Count, now=u.now, limit=_AT_ONCE)
    waitpoint.complete(u, [moment.name for moment in moments])
    timers = u.tx.all("timers_due", TimerRow, now=u.now, limit=_AT_ONCE)
    for timer in timers:
        _fire(u, timer)
    return SweepResult(len(runs) + len(moments) + len(timers), _next_due(u))


def _move(u: Unit, run: RunRow) -> None:
    state = run.execution_status
    if state == ExecutionStatus.DELAYED:
        delayed.enqueue(u, run)
    elif state == ExecutionStatus.QUEUED and run.available_at is not None:
        u.tx.run("run_make_available", id=run.id)
        u.runnable.add(run.environment_id)
    elif state == ExecutionStatus.QUEUED:
        ttl.expire(u, run)
    elif state in LEASED_STATES:
        heartbeat.stall(u, run)


def _fire(u: Unit, timer: TimerRow) -> None:
    u.tx.run("timer_delete", kind=timer.kind, subject_id=timer.subject_id)
    if timer.kind == cancel.CHILD_TIMER:
        cancel.child(u, timer.subject_id)


def _next_due(u: Unit) -> int | None:
    moments = [
        u.tx.scalar("run_next_due"),
        u.tx.scalar("waitpoint_next_due"),
        u.tx.scalar("timer_next_due"),
    ]
    return min((moment for moment in moments if moment is not None), default=None)
