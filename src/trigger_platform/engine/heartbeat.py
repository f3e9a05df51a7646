"""Leases: a worker says now and then which runs it still has; silence or a new process ends its leases."""

from __future__ import annotations

from collections.abc import Sequence

from trigger_core.schemas.workers import Failed, Held, Signal, TaskError
from trigger_platform.engine import execution_snapshot, failure, finish, run_attempt, signals
from trigger_platform.engine.execution_snapshot import LEASE_MS, Move
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import RunRow

__all__ = ["HEARTBEAT_MS", "extend", "grant_grace", "lose", "push_deadlines", "stall"]

HEARTBEAT_MS = 5_000
"""How often a worker reports what it holds."""

_MAX_DELIVERIES = 12
_DELIVERABLE = frozenset({ExecutionStatus.EXECUTING, ExecutionStatus.EXECUTING_WITH_WAITPOINTS})


def extend(u: Unit, environment_id: str, boot_id: str, held: Sequence[Held]) -> list[Signal]:
    """Extend the leases of what a worker holds; return what it seems not to know.

    A run it should have let go of is answered with ``stop``, a cancel or an ended wait it missed is repeated.
    """
    runs = run_attempt.runs_by_id(u, environment_id, [one.run_id for one in held])
    missed: list[Signal] = []
    kept: list[Held] = []
    begun: list[Move] = []
    for one in held:
        run = runs.get(one.run_id)
        if run is None or not run_attempt.owns(run, boot_id, one.lease):
            missed.append(Signal(kind="stop", run_id=one.run_id, lease=one.lease))
            continue
        kept.append(one)
        if run.execution_status == ExecutionStatus.PENDING_EXECUTING:
            begun.append(run_attempt.begin(u, run))
        elif run.execution_status == ExecutionStatus.PENDING_CANCEL:
            missed.append(Signal(kind="cancel", run_id=run.id, lease=one.lease))
        elif one.waiting and run.execution_status in _DELIVERABLE:
            missed += _ended_waits(u, environment_id, one)
    execution_snapshot.apply(u, begun)
    push_deadlines(u, boot_id, kept)
    return missed


def grant_grace(u: Unit) -> None:
    """Give every live lease a fresh deadline: the server was away, the workers could not report."""
    u.tx.run("leases_grace", due_at=u.now + LEASE_MS)
    u.expect(u.now + LEASE_MS)


def lose(u: Unit, environment_id: str, boot_id: str) -> int:
    """End the leases of a worker instance that is gone; its runs go on at once. Return how many."""
    found = u.tx.all("runs_of_boot", RunRow, boot_id=boot_id)
    runs = [run for run in found if run.environment_id == environment_id]
    for run in runs:
        stall(u, run, worker_lost=True)
    u.tx.run("signals_forget", environment_id=environment_id, boot_id=boot_id)
    return len(runs)


def stall(u: Unit, run: RunRow, *, worker_lost: bool = False) -> None:
    """Move on a run whose worker fell silent (engine 2.5).

    A run that never began goes back to the queue and keeps its attempts. One that had begun counts as a
    failed attempt and is retried by its policy; without a pause when the worker is known to be gone.
    """
    if run.execution_status == ExecutionStatus.PENDING_CANCEL:
        steps = [finish.decide(u, run, RunStatus.CANCELED, "Canceled", error=run.error)]
    elif run.execution_status == ExecutionStatus.PENDING_EXECUTING:
        steps = [_redeliver(u, run)]
    elif run.attempt_started_at is None:
        steps = [_requeue_pausing(u, run)]
    else:
        steps = run_attempt.fail(u, run, _silence(run), at_once=worker_lost)
    finish.apply(u, steps)
    u.runnable.add(run.environment_id)


def _ended_waits(u: Unit, environment_id: str, held: Held) -> list[Signal]:
    """Repeat what the worker seems to have missed: ends of waits that were told."""
    over = signals.results(u, environment_id, held.waiting)
    return [
        Signal(kind="resume", run_id=held.run_id, lease=held.lease, waitpoint_id=one, result=result)
        for one, result in over.items()
    ]


def push_deadlines(u: Unit, boot_id: str, held: Sequence[Held]) -> None:
    """Extend leases; whether anything has begun is not said."""
    due_at = u.now + LEASE_MS
    u.tx.many(
        "run_extend_lease",
        [
            {"id": one.run_id, "lease": one.lease, "boot_id": boot_id, "due_at": due_at}
            for one in held
        ],
    )


def _silence(run: RunRow) -> Failed:
    waiting = run.execution_status != ExecutionStatus.EXECUTING
    code = "TASK_RUN_STALLED_EXECUTING" + ("_WITH_WAITPOINTS" if waiting else "")
    error = TaskError(
        type="INTERNAL_ERROR", code=code, message="The worker that had the run went silent."
    )
    started = run.attempt_started_at or run.updated_at
    return Failed(
        run_id=run.id,
        lease=run.lease or 0,
        error=error,
        duration_ms=max(0, run.updated_at - started),
    )


def _redeliver(u: Unit, run: RunRow) -> Move:
    failures = run.delivery_failures + 1
    if failures >= _MAX_DELIVERIES:
        error = failure.internal_error(
            "TASK_RUN_DEQUEUED_MAX_RETRIES", f"No worker began the run in {failures} deliveries."
        )
        return finish.decide(
            u, run, RunStatus.SYSTEM_FAILURE, "Handed out too often without starting", error=error
        )
    return execution_snapshot.move(
        u,
        run,
        ExecutionStatus.QUEUED,
        RunStatus.PENDING if run.checkpoint_id is None else RunStatus.WAITING_TO_RESUME,
        "The worker never began the attempt; queued again",
        boot_id=None,
        delivery_failures=failures,
    )


def _requeue_pausing(u: Unit, run: RunRow) -> Move:
    """The attempt had failed already and the worker was lost in the pause before the next one."""
    later = run.available_at if run.available_at and run.available_at > u.now else None
    return execution_snapshot.move(
        u,
        run,
        ExecutionStatus.QUEUED,
        RunStatus.PENDING,
        "The worker was lost before the next attempt; queued again",
        boot_id=None,
        available_at=later,
        due_at=later,
    )
