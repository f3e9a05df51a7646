"""Mending what an invariant found broken: each repair is what the engine would have done in its time.

Every function takes a subject that was just found to break its invariant in the same transaction, locks it
and does what is safe. What nobody can know (a lost step of a history, an outcome) is left to people.
"""

from __future__ import annotations

import json

from trigger_core.schemas.workers import Failed, TaskError
from trigger_platform.engine import batch, block, finish, heartbeat, run_attempt, signals, states
from trigger_platform.engine.execution_snapshot import LEASE_MS
from trigger_platform.engine.states import HOLDING_STATES, LEASED_STATES, ExecutionStatus, RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import RunRow

__all__ = [
    "batch_count",
    "deadline",
    "delivery",
    "final_run",
    "outbox",
    "second_key",
    "slot",
    "stuck_wait",
]

_WAITS_LOST = "TASK_RUN_STALLED_EXECUTING_WITH_WAITPOINTS"


def final_run(u: Unit, run_id: str) -> None:
    """Let a final run let go of everything and tell those who wait; end one that only says it is final."""
    run = _locked(u, run_id)
    if not states.is_final(run.status):
        return
    if run.execution_status != ExecutionStatus.FINISHED:
        status = RunStatus(run.status)
        finish.now(u, run, status, "Ended: its status was final already", error=run.error)
        return
    u.tx.run("run_let_go", id=run.id)
    u.tx.run("edges_delete", run_ids=json.dumps([run.id]))
    finish.tell(u, [run])
    u.runnable.add(run.environment_id)


def slot(u: Unit, run_id: str) -> None:
    """Give or take the slot as the run's state says."""
    run = _locked(u, run_id)
    held = int(run.execution_status in HOLDING_STATES)
    u.tx.run("run_set_slot", id=run.id, sequence=run.sequence, slot_held=held)
    u.runnable.add(run.environment_id)


def stuck_wait(u: Unit, run_id: str) -> None:
    """Move on a run whose waits are over; one whose waits are lost has failed its attempt."""
    run = _locked(u, run_id)
    if block.has_waits(u, run):
        block.move_on(u, run)
        return
    error = TaskError(
        type="INTERNAL_ERROR", code=_WAITS_LOST, message="What it waited for is gone."
    )
    failed = Failed(run_id=run.id, lease=run.lease or 0, error=error)
    finish.apply(u, run_attempt.fail(u, run, failed))


def deadline(u: Unit, run_id: str) -> None:
    """Give the run the deadline its state needs; a lease that nobody has ends at once."""
    run = _locked(u, run_id)
    if run.execution_status in LEASED_STATES and (run.boot_id is None or run.lease is None):
        heartbeat.stall(u, run, worker_lost=True)
        return
    due_at = u.now
    if run.execution_status == ExecutionStatus.QUEUED:
        due_at = run.available_at or u.now
    elif run.execution_status == ExecutionStatus.DELAYED:
        due_at = run.delay_until or u.now
    elif run.execution_status in LEASED_STATES:
        due_at = u.now + LEASE_MS
    u.tx.run("run_set_due", id=run.id, sequence=run.sequence, due_at=due_at)
    u.expect(due_at)


def second_key(u: Unit, run_id: str) -> None:
    """Let the older run answer for the key."""
    u.tx.run("run_clear_idempotency", id=_locked(u, run_id).id)


def batch_count(u: Unit, batch_id: str) -> None:
    """Count a batch anew; complete it if it is over, and tell those who wait."""
    batch.recount(u, batch_id)


def delivery(u: Unit, run_id: str) -> None:
    """Take back what was told too early, and tell what was not told."""
    run = _locked(u, run_id)
    u.tx.run("edges_take_back", run_id=run.id)
    signals.resume(u, run)


def outbox(u: Unit, run_id: str) -> None:
    """Publish where the run is instead of a step it never took."""
    run = _locked(u, run_id)
    u.tx.run("outbox_forget_untrue", run_id=run.id)
    u.emit(run.environment_id, "run.changed", run.id, run.sequence)


def _locked(u: Unit, run_id: str) -> RunRow:
    [run] = u.tx.all("runs_by_ids_locked", RunRow, ids=json.dumps([run_id]))
    return run
