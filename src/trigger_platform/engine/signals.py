"""What a worker instance must be told about runs it holds: end it, go on, let go.

Signals are rows, written with the transition they follow from. They are handed out once; the worker's next
heartbeat makes good one that was lost on the way.
"""

from __future__ import annotations

from trigger_core.schemas.workers import Signal
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EdgeRow, RunRow, SignalRow

__all__ = ["cancel", "fetch", "resume"]


def cancel(u: Unit, run: RunRow) -> None:
    """Tell the run's worker to end it."""
    _send(u, run, "cancel", None)


def resume(u: Unit, run: RunRow) -> None:
    """Tell the run's worker which of its waits are over, and forget those waits."""
    over = u.tx.all("edges_completed", EdgeRow, run_id=run.id, attempt=run.attempt)
    for edge in over:
        _send(u, run, "resume", edge.waitpoint_id)
        u.tx.run(
            "edge_delete",
            run_id=edge.run_id,
            attempt=edge.attempt,
            waitpoint_id=edge.waitpoint_id,
        )


def fetch(u: Unit, boot_id: str) -> list[Signal]:
    """Take what waits for a worker instance."""
    rows = u.tx.all("signals_of", SignalRow, boot_id=boot_id)
    if rows:
        u.tx.run("signals_delete", boot_id=boot_id, id=rows[-1].id)
    return [
        Signal.model_validate(
            {
                "kind": row.kind,
                "run_id": row.run_id,
                "lease": row.lease,
                "waitpoint_id": row.waitpoint_id,
            }
        )
        for row in rows
    ]


def _send(u: Unit, run: RunRow, kind: str, waitpoint_id: str | None) -> None:
    if run.boot_id is None:
        return
    u.tx.run(
        "signal_insert",
        boot_id=run.boot_id,
        kind=kind,
        run_id=run.id,
        lease=run.lease,
        waitpoint_id=waitpoint_id,
    )
    u.boots.add(run.boot_id)
