"""Runs that were triggered with a delay."""

from __future__ import annotations

from trigger_core import duration
from trigger_core.errors import InvalidDurationError, RunNotFoundError, UnprocessableError
from trigger_platform.engine import debounce, execution_snapshot
from trigger_platform.engine.states import ExecutionStatus, RunStatus, is_delayed
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, RunRow

__all__ = ["enqueue", "reschedule"]


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


def reschedule(u: Unit, environment: EnvironmentRow, run_id: str, delay: str) -> RunRow:
    """Give a run that is still delayed another delay, from now on; its place in the queue moves with it.

    Raises:
        NotFoundError: the environment has no such run.
        UnprocessableError: the run has left its delay, or the new moment has passed.
        InvalidDurationError: the delay can be read neither as a duration nor as a moment.
    """
    run = u.tx.maybe("run_by_id_locked", RunRow, id=run_id, environment_id=environment.id)
    if run is None:
        raise RunNotFoundError(run_id)
    moment = _moment(delay, u.now)
    if moment <= u.now:
        raise UnprocessableError(f"{delay!r} has passed", status=400, code="DELAY_PASSED")
    if not is_delayed(run.execution_status, run.delay_until, u.now):
        raise UnprocessableError(
            f"run {run_id} is not delayed any more",
            status=400,
            code="RUN_NOT_DELAYED",
            because=f"it is {run.status}",
        )
    return _move(u, run, moment)


def _moment(delay: str, now: int) -> int:
    try:
        return duration.resolve_delay(delay, now)
    except InvalidDurationError as error:
        error.status = 400  # what clients of this call are told, whatever is wrong
        raise


def _move(u: Unit, run: RunRow, moment: int) -> RunRow:
    has_timer = run.execution_status == ExecutionStatus.DELAYED
    step = execution_snapshot.move(
        u,
        run,
        ExecutionStatus(run.execution_status),
        RunStatus(run.status),
        "Rescheduled",
        delay_until=moment,
        anchor=moment,
        position=(moment - run.priority_ms) * 1000,
        due_at=moment if has_timer else run.due_at,
    )
    execution_snapshot.apply(u, [step])
    return step.run
