"""The end of a run: one move that takes everything with it."""

from __future__ import annotations

from trigger_platform.engine import execution_snapshot
from trigger_platform.engine.execution_snapshot import Move
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import RunRow

__all__ = ["decide", "now"]


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


def now(
    u: Unit, run: RunRow, status: RunStatus, description: str, *, error: str | None = None
) -> None:
    """Finish a run that no worker has to be asked about."""
    u.tx.run("edges_delete", run_id=run.id)
    execution_snapshot.apply(u, [decide(u, run, status, description, error=error)])
