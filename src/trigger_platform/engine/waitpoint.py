"""Waitpoints: what a run can wait for, and their completion, which is final (engine 3.6).

A failure is no state of its own: it is a completion with ``is_error``. Completing happens once; whoever comes
second changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from trigger_core import ids
from trigger_platform.engine import block
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import RunRow, WaitpointRow

__all__ = ["Completion", "by_ids", "complete", "create", "of_run", "of_runs", "result_of_run"]

WaitpointType = Literal["RUN", "DATETIME", "MANUAL", "BATCH"]


@dataclass(frozen=True, slots=True)
class Completion:
    """How a waitpoint ends. The result of a run stays with the run, it is not copied here."""

    id: str
    output: str | None = None
    output_type: str | None = None
    is_error: bool = False


def create(
    u: Unit,
    environment_id: str,
    kind: WaitpointType,
    *,
    run_id: str | None = None,
    batch_id: str | None = None,
    key: str | None = None,
    key_expires_at: int | None = None,
    due_at: int | None = None,
    tags: str | None = None,
) -> WaitpointRow:
    """Create a waitpoint that nobody waits for yet."""
    made = _pending(
        u,
        environment_id,
        kind,
        run_id=run_id,
        batch_id=batch_id,
        key=key,
        key_expires_at=key_expires_at,
        due_at=due_at,
        tags=tags,
    )
    u.insert("waitpoint_insert", [made])
    u.expect(due_at)
    return made


def of_run(u: Unit, run: RunRow) -> WaitpointRow:
    """Return the waitpoint of a run's end, made when it is first asked for."""
    [found] = of_runs(u, [run])
    return found


def of_runs(u: Unit, runs: Sequence[RunRow]) -> list[WaitpointRow]:
    """Return the waitpoints of runs' ends, in order; those of finished runs are completed from the start."""
    wanted = json.dumps(sorted({run.id for run in runs}))
    current = {row.id: row for row in u.tx.all("runs_by_ids_locked", RunRow, ids=wanted)}
    known = {
        row.run_id: row for row in u.tx.all("waitpoints_of_runs", WaitpointRow, run_ids=wanted)
    }
    fresh = [_for_run(u, run) for run in current.values() if run.id not in known]
    u.insert("waitpoint_insert", fresh)
    known |= {row.run_id: row for row in fresh}
    return [known[run.id] for run in runs]


def by_ids(u: Unit, waitpoint_ids: Iterable[str]) -> dict[str, WaitpointRow]:
    """Read waitpoints by id; unknown ones are missing from the answer."""
    wanted = json.dumps(sorted(set(waitpoint_ids)))
    return {row.id: row for row in u.tx.all("waitpoints_by_ids", WaitpointRow, ids=wanted)}


def complete(u: Unit, completions: Iterable[Completion]) -> list[str]:
    """Complete waitpoints and move on the runs they block; return the ids of those that were pending."""
    by_id = {one.id: one for one in completions}
    if not by_id:
        return []
    wanted = json.dumps(sorted(by_id))
    pending = [row.id for row in u.tx.all("waitpoints_pending_locked", WaitpointRow, ids=wanted)]
    u.tx.many("waitpoint_complete", [_values(u, by_id[one]) for one in pending])
    block.release(u, pending)
    return pending


def result_of_run(run: RunRow, waitpoint_id: str) -> Completion:
    """Return how the waitpoint of a finished run ends."""
    success = run.status == RunStatus.COMPLETED_SUCCESSFULLY
    return Completion(
        waitpoint_id,
        output=None if success else run.error,
        output_type=run.output_type if success else "application/json",
        is_error=not success,
    )


def _for_run(u: Unit, run: RunRow) -> WaitpointRow:
    made = _pending(u, run.environment_id, "RUN", run_id=run.id)
    if run.execution_status != ExecutionStatus.FINISHED:
        return made
    end = result_of_run(run, made.id)
    return WaitpointRow(
        id=made.id,
        environment_id=made.environment_id,
        type=made.type,
        status="COMPLETED",
        run_id=run.id,
        batch_id=None,
        key=None,
        key_expires_at=None,
        inactive_key=None,
        due_at=None,
        tags=None,
        output=end.output,
        output_type=end.output_type,
        is_error=int(end.is_error),
        created_at=u.now,
        completed_at=u.now,
    )


def _pending(
    u: Unit,
    environment_id: str,
    kind: WaitpointType,
    *,
    run_id: str | None = None,
    batch_id: str | None = None,
    key: str | None = None,
    key_expires_at: int | None = None,
    due_at: int | None = None,
    tags: str | None = None,
) -> WaitpointRow:
    return WaitpointRow(
        id=ids.waitpoint_id(u.now, u.rng),
        environment_id=environment_id,
        type=kind,
        status="PENDING",
        run_id=run_id,
        batch_id=batch_id,
        key=key,
        key_expires_at=key_expires_at,
        inactive_key=None,
        due_at=due_at,
        tags=tags,
        output=None,
        output_type=None,
        is_error=0,
        created_at=u.now,
        completed_at=None,
    )


def _values(u: Unit, completion: Completion) -> dict[str, object]:
    return {
        "id": completion.id,
        "output": completion.output,
        "output_type": completion.output_type,
        "is_error": int(completion.is_error),
        "now": u.now,
    }
