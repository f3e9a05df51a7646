"""Who waits for what: edges from an attempt of a run to waitpoints.

A run holds a slot exactly while none of its waits is open. The first wait gives the slot back; each
completed waitpoint is delivered as it completes; the last one puts the run in line for a slot, at its
original place, and is delivered with it. So waiting costs no slot, and recursion cannot deadlock.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from trigger_core.errors import UnprocessableError
from trigger_platform.engine import concurrency, execution_snapshot, signals
from trigger_platform.engine.execution_snapshot import Move
from trigger_platform.engine.states import EXECUTING_STATES, ExecutionStatus, RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EdgeRow, RunRow

__all__ = [
    "Wait",
    "block",
    "edges_of_ref",
    "give_up",
    "has_waits",
    "move_on",
    "refuse_to_wait",
    "release",
]


@dataclass(frozen=True, slots=True)
class Wait:
    """One waitpoint to wait for; ``position`` is its place in a batch, -1 without one."""

    waitpoint_id: str
    position: int = -1


def edges_of_ref(u: Unit, run: RunRow, ref: str) -> list[EdgeRow]:
    """Return the waits that this attempt already has under a name, in order of position."""
    return u.tx.all("edges_of_ref", EdgeRow, run_id=run.id, attempt=run.attempt, ref=ref)


def refuse_to_wait(run: RunRow) -> None:
    """Refuse to let a run wait that executes nothing.

    Raises:
        UnprocessableError: it is queued, suspended or final.
    """
    if run.execution_status not in EXECUTING_STATES:
        raise UnprocessableError(
            f"run {run.id} executes nothing that could wait",
            status=422,
            code="PARENT_NOT_EXECUTING",
            because=f"it is {run.execution_status}",
        )


def block(u: Unit, run: RunRow, ref: str, waits: Sequence[Wait]) -> RunRow:
    """Let an executing attempt wait; return the run as it is afterwards.

    Waitpoints that are completed already are delivered at once. If all are, the run never stops executing. A
    worker that reads snapshots may wait for one thing twice, and is told of it twice.

    The waitpoints' rows are locked, so that a completion in another transaction either is seen here or sees
    the edge.

    Raises:
        UnprocessableError: the run executes nothing that could wait.
    """
    refuse_to_wait(run)
    edges = [
        EdgeRow(run.id, run.attempt, wait.waitpoint_id, wait.position, ref, 0, u.now)
        for wait in waits
    ]
    ids = json.dumps(sorted({wait.waitpoint_id for wait in waits}))
    u.tx.all("waitpoints_locked", _Locked, ids=ids)
    if signals.is_reader(run.boot_id):
        u.tx.run("edges_again", run_id=run.id, attempt=run.attempt, ref=ref, ids=ids)
    u.insert("edge_insert", edges)
    run = _stop(u, run)
    return _go_on(u, run)


def give_up(u: Unit, run: RunRow, ref: str) -> None:
    """The code of an attempt no longer waits; if that was its last open wait, it goes on."""
    u.tx.run("edges_give_up", run_id=run.id, attempt=run.attempt, ref=ref)
    _go_on(u, run)
    concurrency.admit_resuming(u, run.environment_id)


def release(u: Unit, waitpoint_ids: Sequence[str]) -> None:
    """Move on the runs that completed waitpoints block; edges of earlier attempts do not count."""
    if not waitpoint_ids:
        return
    ids = json.dumps(list(waitpoint_ids))
    edges = u.tx.all("edges_of_waitpoints", EdgeRow, ids=ids)
    if not edges:
        return
    attempts = {(edge.run_id, edge.attempt) for edge in edges}
    run_ids = json.dumps(sorted({edge.run_id for edge in edges}))
    runs = u.tx.all("runs_by_ids_locked", RunRow, ids=run_ids)
    for run in runs:
        if (run.id, run.attempt) in attempts:
            _go_on(u, run)
    for environment_id in {run.environment_id for run in runs}:
        concurrency.admit_resuming(u, environment_id)


def has_waits(u: Unit, run: RunRow) -> bool:
    """Tell whether the present attempt has waits at all, over or not."""
    return u.tx.scalar("edge_any", run_id=run.id, attempt=run.attempt) is not None


def move_on(u: Unit, run: RunRow) -> None:
    """Look again whether a waiting run can go on; one whose waits are open stays as it is."""
    _go_on(u, run)
    concurrency.admit_resuming(u, run.environment_id)


def _stop(u: Unit, run: RunRow) -> RunRow:
    """Give the slot back if a wait is open."""
    if run.execution_status == ExecutionStatus.EXECUTING_WITH_WAITPOINTS or not _is_open(u, run):
        return run
    step = execution_snapshot.move(
        u,
        run,
        ExecutionStatus.EXECUTING_WITH_WAITPOINTS,
        RunStatus.WAITING_TO_RESUME,
        "Waiting; the slot is given back",
    )
    execution_snapshot.apply(u, [step])
    u.runnable.add(run.environment_id)
    return step.run


def _go_on(u: Unit, run: RunRow) -> RunRow:
    """Deliver what is over; when nothing is open any more, put the run in line."""
    if run.execution_status == ExecutionStatus.EXECUTING:
        run = _with_snapshot(u, run)
        signals.resume(u, run)
        return run
    if run.execution_status == ExecutionStatus.EXECUTING_WITH_WAITPOINTS:
        if _is_open(u, run):
            signals.resume(u, run)
            return run
        return _apply(u, _in_line(u, run))
    if run.execution_status == ExecutionStatus.SUSPENDED and not _is_open(u, run):
        return _apply(u, _back_to_queue(u, run))
    return run


def _with_snapshot(u: Unit, run: RunRow) -> RunRow:
    """Give a worker that reads snapshots one to find the ended waits in."""
    if not signals.is_reader(run.boot_id) or not has_waits(u, run):
        return run
    return _apply(
        u,
        execution_snapshot.move(
            u, run, ExecutionStatus.EXECUTING, RunStatus.EXECUTING, "The wait was over already"
        ),
    )


def _is_open(u: Unit, run: RunRow) -> bool:
    found = u.tx.scalar("edge_open", run_id=run.id, attempt=run.attempt)
    return found is not None


def _apply(u: Unit, step: Move) -> RunRow:
    execution_snapshot.apply(u, [step])
    return step.run


def _in_line(u: Unit, run: RunRow) -> Move:
    return execution_snapshot.move(
        u,
        run,
        ExecutionStatus.QUEUED_EXECUTING,
        RunStatus.WAITING_TO_RESUME,
        "The wait is over",
    )


def _back_to_queue(u: Unit, run: RunRow) -> Move:
    """A suspended run has no process: it is claimed like any other, at its original place."""
    return execution_snapshot.move(
        u,
        run,
        ExecutionStatus.QUEUED,
        RunStatus.WAITING_TO_RESUME,
        "The wait is over; queued to be restored",
        due_at=None,
    )


@dataclass(frozen=True, slots=True)
class _Locked:
    id: str
