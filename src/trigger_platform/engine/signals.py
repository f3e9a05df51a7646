"""What a worker instance must be told about runs it holds: end it, go on, let go.

Signals are rows, written with the transition they follow from. They are handed out once; the worker's next
heartbeat makes good one that was lost on the way. A worker that reads the snapshots of its runs is not sent
any: it is only woken to read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from trigger_core.schemas.workers import Signal, WaitResult
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EdgeRow, OutputRow, RunRow, SignalRow, WaitpointRow

__all__ = ["cancel", "fetch", "is_reader", "reader", "results", "resume"]

_READER = "snapshots."


def reader(name: str) -> str:
    """Return the boot id of a worker that reads the snapshots of its runs."""
    return _READER + name


def is_reader(boot_id: str | None) -> bool:
    """Tell whether a worker reads the snapshots of its runs instead of taking signals."""
    return boot_id is not None and boot_id.startswith(_READER)


def cancel(u: Unit, run: RunRow) -> None:
    """Tell the run's worker to end it."""
    _send(u, run, "cancel", [None])


def resume(u: Unit, run: RunRow) -> None:
    """Tell the run's worker which of its waits are over; each is told once."""
    over = u.tx.all("edges_completed", EdgeRow, run_id=run.id, attempt=run.attempt)
    _send(u, run, "resume", list(dict.fromkeys(edge.waitpoint_id for edge in over)))
    u.tx.many(
        "edge_deliver",
        [
            {
                "run_id": edge.run_id,
                "attempt": edge.attempt,
                "ref": edge.ref,
                "position": edge.position,
                "sequence": run.sequence,
            }
            for edge in over
        ],
    )


def fetch(u: Unit, environment_id: str, boot_id: str) -> list[Signal]:
    """Take what waits for a worker instance of an environment."""
    taken = u.tx.all("signals_take", SignalRow, environment_id=environment_id, boot_id=boot_id)
    rows = sorted(taken, key=lambda row: row.id)
    if not rows:
        return []
    over = results(u, environment_id, (row.waitpoint_id for row in rows if row.waitpoint_id))
    return [
        Signal.model_validate(
            {
                "kind": row.kind,
                "run_id": row.run_id,
                "lease": row.lease,
                "waitpoint_id": row.waitpoint_id,
                "result": over.get(row.waitpoint_id or ""),
            }
        )
        for row in rows
    ]


def results(u: Unit, environment_id: str, waitpoint_ids: Iterable[str]) -> dict[str, WaitResult]:
    """Return how waitpoints of an environment ended, by id; those that are not over are missing."""
    ids = list(dict.fromkeys(waitpoint_ids))
    if not ids:
        return {}
    found = u.tx.all("waitpoints_by_ids", WaitpointRow, ids=json.dumps(ids))
    over = [
        waitpoint
        for waitpoint in found
        if waitpoint.status == "COMPLETED" and waitpoint.environment_id == environment_id
    ]
    run_ids = [one.run_id for one in over if one.run_id is not None and not one.is_error]
    outputs = {
        row.id: row.output for row in u.tx.all("outputs_of", OutputRow, ids=json.dumps(run_ids))
    }
    return {
        one.id: WaitResult(
            ok=not one.is_error,
            run_id=one.run_id,
            output=outputs.get(one.run_id or "", one.output),
            output_type=one.output_type or "application/json",
        )
        for one in over
    }


def _send(u: Unit, run: RunRow, kind: str, waitpoint_ids: Sequence[str | None]) -> None:
    if run.boot_id is None or not waitpoint_ids:
        return
    if is_reader(run.boot_id):
        u.boots.add(run.id)
        return
    u.tx.many(
        "signal_insert",
        [
            {
                "boot_id": run.boot_id,
                "kind": kind,
                "run_id": run.id,
                "lease": run.lease,
                "waitpoint_id": waitpoint_id,
            }
            for waitpoint_id in waitpoint_ids
        ],
    )
    u.boots.add(run.boot_id)
