"""The end of a run: one move, and in the same transaction everything that follows from it.

Slot, lease and deadline go with the move. Whoever waits for the run is told, its own waits are forgotten, its
batch counts it. Nothing is left for later, so nothing can be left over.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from trigger_platform.engine import batch, execution_snapshot, waitpoint
from trigger_platform.engine.execution_snapshot import Move
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import RunRow, WaitpointRow

__all__ = ["apply", "decide", "now", "settle", "tell"]


def decide(
    u: Unit,
    run: RunRow,
    status: RunStatus,
    description: str,
    *,
    error: str | None = None,
    duration_ms: int = 0,
    output_type: str | None = None,
) -> Move:
    """Decide the final step; slot, lease and deadline go with it."""
    return execution_snapshot.move(
        u,
        run,
        ExecutionStatus.FINISHED,
        status,
        description,
        attempt_error=error,
        error=error,
        boot_id=None,
        available_at=None,
        completed_at=u.now,
        expired_at=u.now if status is RunStatus.EXPIRED else None,
        usage_ms=run.usage_ms + duration_ms,
        output_type=output_type,
    )


def apply(u: Unit, moves: Sequence[Move]) -> None:
    """Write moves, and what follows from those that end an attempt or a run.

    Raises:
        ConflictingWriteError: as :func:`execution_snapshot.apply` does.
    """
    execution_snapshot.apply(u, moves)
    last = {step.run.id: step.run for step in moves}
    over = [run for run in last.values() if run.attempt_started_at is None or _ended(run)]
    if over:
        run_ids = json.dumps([run.id for run in over])
        u.tx.run("edges_delete", run_ids=run_ids)
        u.runnable.update(run.environment_id for run in over)
    settle(u, [run for run in last.values() if _ended(run)])


def settle(u: Unit, ended: Sequence[RunRow]) -> None:
    """Tell those who wait for runs that have ended, and the batches they belong to."""
    if ended:
        tell(u, ended)
        batch.settle(u, ended)


def tell(u: Unit, ended: Sequence[RunRow]) -> None:
    """Complete the waitpoints of runs that have ended; those that are completed stay as they are."""
    by_id = {run.id: run for run in ended}
    waited = u.tx.all("waitpoints_of_runs", WaitpointRow, run_ids=json.dumps(list(by_id)))
    waitpoint.complete(
        u,
        [
            waitpoint.result_of_run(by_id[one.run_id], one.id)
            for one in waited
            if one.run_id is not None and one.status == "PENDING"
        ],
    )


def now(
    u: Unit, run: RunRow, status: RunStatus, description: str, *, error: str | None = None
) -> None:
    """Finish a run that no worker has to be asked about."""
    apply(u, [decide(u, run, status, description, error=error)])


def _ended(run: RunRow) -> bool:
    return run.execution_status == ExecutionStatus.FINISHED
