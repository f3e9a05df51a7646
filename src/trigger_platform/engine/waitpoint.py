"""Waitpoints: what a run waits for. While it waits it holds no slot; it takes one again to go on."""

from __future__ import annotations

from collections.abc import Iterable

from trigger_core import ids
from trigger_platform.engine import concurrency, execution_snapshot, signals
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EdgeRow, RunRow

__all__ = ["complete", "wait_until"]


def wait_until(u: Unit, run: RunRow, ref: str, until: int) -> str:
    """Let an executing attempt wait until a moment; return the waitpoint.

    Asking again with the same ``ref`` finds the wait that exists. A moment that has passed ends the wait in
    the same transaction.
    """
    known = u.tx.maybe("edge_of_ref", EdgeRow, run_id=run.id, attempt=run.attempt, ref=ref)
    if known is not None:
        return known.waitpoint_id
    waitpoint = ids.waitpoint_id(u.now, u.rng)
    u.tx.run(
        "waitpoint_insert",
        id=waitpoint,
        environment_id=run.environment_id,
        type="DATETIME",
        due_at=until,
        now=u.now,
    )
    u.tx.run(
        "edge_insert",
        run_id=run.id,
        attempt=run.attempt,
        waitpoint_id=waitpoint,
        ref=ref,
        now=u.now,
    )
    u.expect(until)
    _block(u, run)
    if until <= u.now:
        complete(u, [waitpoint])
    return waitpoint


def complete(u: Unit, waitpoints: Iterable[str]) -> set[str]:
    """Complete waitpoints and move on the runs they block; return the environments concerned."""
    concerned: set[str] = set()
    for waitpoint in waitpoints:
        if u.tx.run("waitpoint_complete", id=waitpoint, now=u.now) == 0:
            continue
        for edge in u.tx.all("edges_of_waitpoint", EdgeRow, waitpoint_id=waitpoint):
            run = u.tx.one("run_any", RunRow, id=edge.run_id)
            if run.attempt == edge.attempt:
                _unblock(u, run)
                concerned.add(run.environment_id)
    for environment_id in concerned:
        concurrency.admit_resuming(u, environment_id)
    return concerned


def _block(u: Unit, run: RunRow) -> None:
    if run.execution_status != ExecutionStatus.EXECUTING:
        return
    step = execution_snapshot.move(
        u,
        run,
        ExecutionStatus.EXECUTING_WITH_WAITPOINTS,
        RunStatus.WAITING_TO_RESUME,
        "Waiting; the slot is given back",
    )
    execution_snapshot.apply(u, [step])
    u.runnable.add(run.environment_id)


def _unblock(u: Unit, run: RunRow) -> None:
    """Put a waiting run in line for a slot, or tell a run that already goes on."""
    if run.execution_status == ExecutionStatus.EXECUTING_WITH_WAITPOINTS:
        step = execution_snapshot.move(
            u,
            run,
            ExecutionStatus.QUEUED_EXECUTING,
            RunStatus.WAITING_TO_RESUME,
            "The wait is over",
        )
        execution_snapshot.apply(u, [step])
    elif run.execution_status == ExecutionStatus.EXECUTING:
        signals.resume(u, run)
