"""What is due: one sweep over every deadline, whichever state it belongs to."""

from __future__ import annotations

from dataclasses import dataclass

from trigger_platform.engine import (
    batch,
    bulk_action,
    cancel,
    concurrency,
    delayed,
    deployment,
    heartbeat,
    pending_version,
    schedule_instance,
    token,
    ttl,
    waitpoint,
)
from trigger_platform.engine.states import LEASED_STATES, ExecutionStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.engine.waitpoint import Completion
from trigger_platform.store.rows import BatchRow, DeploymentRow, RunRow, TimerRow, WaitpointRow

__all__ = ["SweepResult", "sweep"]

_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class SweepResult:
    """How much was moved, and when something is due next (ms; now or earlier when more is waiting)."""

    moved: int
    next_due: int | None


def sweep(u: Unit) -> SweepResult:
    """Move what is due: delays, expiries, back-offs, leases, waits, cancels of children, schedules."""
    runs = u.tx.all("runs_due", RunRow, now=u.now, limit=_AT_ONCE)
    for run in runs:
        _move(u, run)
    for environment_id in {run.environment_id for run in runs}:
        concurrency.admit_resuming(u, environment_id)
    moments = u.tx.all("waitpoints_due", WaitpointRow, now=u.now, limit=_AT_ONCE)
    waitpoint.complete(u, [_ended(moment) for moment in moments])
    batches = u.tx.all("batches_due", BatchRow, now=u.now, limit=_AT_ONCE)
    for row in batches:
        batch.expire(u, row)
    timers = u.tx.all("timers_due", TimerRow, now=u.now, limit=_AT_ONCE)
    for timer in timers:
        _fire(u, timer)
    builds = u.tx.all("deployments_due", DeploymentRow, now=u.now, limit=_AT_ONCE)
    for build in builds:
        deployment.time_out(u, build)
    ticks = schedule_instance.sweep(u)
    moved = len(runs) + len(moments) + len(batches) + len(timers) + len(builds) + ticks
    return SweepResult(moved, _next_due(u))


def _ended(due: WaitpointRow) -> Completion:
    """A moment has come; a token that is still open has run out of time."""
    return token.timed_out(due) if due.type == "MANUAL" else Completion(due.id)


def _move(u: Unit, run: RunRow) -> None:
    state = run.execution_status
    if state == ExecutionStatus.DELAYED:
        delayed.enqueue(u, run)
    elif state == ExecutionStatus.RUN_CREATED:
        pending_version.expire(u, run)
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
    elif timer.kind == bulk_action.TIMER:
        bulk_action.proceed(u, timer.subject_id)
    elif timer.kind == pending_version.LANDED_TIMER:
        pending_version.landed(u, timer.subject_id)
    elif timer.kind == pending_version.EXTERNAL_TIMER:
        pending_version.external_landed(u, timer.subject_id)


def _next_due(u: Unit) -> int | None:
    moments = [
        u.tx.scalar("run_next_due"),
        u.tx.scalar("waitpoint_next_due"),
        batch.next_due(u),
        deployment.next_due(u),
        u.tx.scalar("timer_next_due"),
        schedule_instance.next_due(u),
    ]
    return min((moment for moment in moments if moment is not None), default=None)
