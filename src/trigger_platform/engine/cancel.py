"""Canceling a run, in every state (engine 2.4); the cancel of its children follows by timers."""

from __future__ import annotations

from trigger_core.errors import RunNotFoundError
from trigger_platform.engine import debounce, execution_snapshot, failure, finish, signals
from trigger_platform.engine.states import (
    EXECUTING_STATES,
    ExecutionStatus,
    RunStatus,
)
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, RunRow

__all__ = ["CHILD_TIMER", "child", "run"]

CHILD_TIMER = "cancel-child"
_BY_USER = "Canceled by the user"


def run(u: Unit, environment: EnvironmentRow, run_id: str) -> RunRow:
    """Cancel a run; one that is final or is being canceled stays as it is.

    Raises:
        NotFoundError: the environment has no such run.
    """
    found = u.tx.maybe("run_by_id", RunRow, id=run_id, environment_id=environment.id)
    if found is None:
        raise RunNotFoundError(run_id)
    _cancel(u, found, _BY_USER)
    return found


def child(u: Unit, run_id: str) -> None:
    """Cancel the child of a canceled run."""
    found = u.tx.maybe("run_any", RunRow, id=run_id)
    if found is not None:
        _cancel(u, found, "Canceled with its parent")


def _cancel(u: Unit, run_row: RunRow, reason: str) -> None:
    if run_row.execution_status in {ExecutionStatus.FINISHED, ExecutionStatus.PENDING_CANCEL}:
        return
    for one in u.tx.all("run_children_live", RunRow, parent_id=run_row.id):
        u.tx.run("timer_set", kind=CHILD_TIMER, subject_id=one.id, due_at=u.now)
        u.expect(u.now)
    error = failure.plain_error(reason)
    alive = run_row.execution_status in EXECUTING_STATES | {ExecutionStatus.PENDING_EXECUTING}
    if not alive:
        debounce.forget(u, run_row)
        finish.now(u, run_row, RunStatus.CANCELED, reason, error=error)
        return
    step = execution_snapshot.move(
        u,
        run_row,
        ExecutionStatus.PENDING_CANCEL,
        RunStatus.CANCELED,
        f"{reason}; the worker is told",
        error=error,
    )
    execution_snapshot.apply(u, [step])
    signals.cancel(u, step.run)
