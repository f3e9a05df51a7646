"""Checkpoints: a waiting run whose process was frozen and put away, to go on elsewhere (engine 3.7).

A worker offers a checkpoint; it is taken only while the run is still in the very wait it was made in. The run
is then SUSPENDED: no process, no slot, no lease. When its waits are over it is queued at its original place,
claimed with its checkpoint and everything it waited for, and goes on with the same attempt.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from trigger_core import ids
from trigger_core.schemas.workers import (
    Checkpoint,
    Ended,
    Failed,
    Lost,
    Suspended,
    SuspendVerdict,
    TaskError,
)
from trigger_platform.engine import execution_snapshot, finish, run_attempt, signals
from trigger_platform.engine.execution_snapshot import Move
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import CheckpointRow, EdgeRow, RunRow

__all__ = ["Restoring", "lost", "restart", "restore", "suspend"]

_LOST = "TASK_RUN_STALLED_EXECUTING_WITH_WAITPOINTS"


@dataclass(frozen=True, slots=True)
class Restoring:
    """What a worker needs to let a run go on: where it is, and how the waits of its attempt ended."""

    checkpoint: Checkpoint
    waits: list[Ended]


def suspend(u: Unit, environment_id: str, boot_id: str, request: Suspended) -> SuspendVerdict:
    """Put a run away under its checkpoint, or say why not; a refused run is still the worker's.

    Offered again after a lost answer, a checkpoint that was taken is taken.
    """
    run = u.tx.maybe("runs_by_ids_locked", RunRow, ids=json.dumps([request.run_id]))
    if run is not None and run.environment_id != environment_id:
        run = None
    refusal = _refusal(u, run, boot_id, request)
    if run is not None and refusal is None and run.execution_status != ExecutionStatus.SUSPENDED:
        _put_away(u, run, request)
    elif run is not None and refusal is not None:
        u.emit(run.environment_id, "checkpoint.discarded", run.id, run.sequence)
    return SuspendVerdict(
        run_id=request.run_id, lease=request.lease, ok=refusal is None, reason=refusal
    )


def restore(u: Unit, run: RunRow) -> Restoring | None:
    """Return what a run that was just claimed goes on from; ``None`` when it starts from the beginning."""
    if run.checkpoint_id is None or run.execution_status != ExecutionStatus.PENDING_EXECUTING:
        return None
    row = u.tx.one("checkpoint_by_id", CheckpointRow, id=run.checkpoint_id)
    edges = u.tx.all("edges_over", EdgeRow, run_id=run.id, attempt=run.attempt)
    results = signals.results(u, run.environment_id, (edge.waitpoint_id for edge in edges))
    u.tx.run("edges_handed_over", run_id=run.id, attempt=run.attempt, sequence=run.sequence)
    return Restoring(
        Checkpoint(
            id=row.id, kind=row.kind, location=row.location, image_reference=row.image_reference
        ),
        [
            Ended(
                ref=edge.ref,
                position=edge.position,
                waitpoint_id=edge.waitpoint_id,
                result=results[edge.waitpoint_id],
            )
            for edge in edges
        ],
    )


def restart(u: Unit, run: RunRow, at: int) -> Move:
    """Decide to run the code anew instead of restoring it: that is the next attempt, if there is one left."""
    if run.attempt >= (run.max_attempts or 1):
        return run_attempt.fail(
            u, run, _failed(run, "it was started anew, and no attempt is left")
        )[0]
    return run_attempt.begin(u, run._replace(checkpoint_id=None), at)


def lost(u: Unit, environment_id: str, boot_id: str, request: Lost) -> None:
    """A checkpoint cannot be restored: the attempt has failed, the policy says what becomes of the run."""
    run = run_attempt.runs_by_id(u, environment_id, [request.run_id]).get(request.run_id)
    if run is None or not run_attempt.owns(run, boot_id, request.lease) or not _restoring(run):
        return
    finish.apply(u, run_attempt.fail(u, run, _failed(run, request.reason)))


def _restoring(run: RunRow) -> bool:
    return (
        run.execution_status == ExecutionStatus.PENDING_EXECUTING and run.checkpoint_id is not None
    )


def _failed(run: RunRow, reason: str) -> Failed:
    message = f"The checkpoint of the run was lost: {reason}"
    error = TaskError(type="INTERNAL_ERROR", code=_LOST, message=message)
    return Failed(run_id=run.id, lease=run.lease or 0, error=error)


def _refusal(u: Unit, run: RunRow | None, boot_id: str, request: Suspended) -> str | None:
    if run is None:
        return "there is no such run"
    if run.execution_status == ExecutionStatus.SUSPENDED:
        known = u.tx.one("checkpoint_by_id", CheckpointRow, id=run.checkpoint_id)
        is_same = (known.sequence, known.location) == (request.sequence, request.location)
        return None if is_same else "the run is suspended already"
    if not run_attempt.owns(run, boot_id, request.lease):
        return "the lease is gone"
    if run.execution_status != ExecutionStatus.EXECUTING_WITH_WAITPOINTS:
        return f"the run waits no more, it is {run.execution_status}"
    if run.sequence != request.sequence:
        return f"not the latest snapshot: that is {run.sequence}, not {request.sequence}"
    return None


def _put_away(u: Unit, run: RunRow, request: Suspended) -> None:
    made = CheckpointRow(
        id=ids.checkpoint_id(u.now, u.rng),
        run_id=run.id,
        sequence=run.sequence,
        kind=request.kind,
        location=request.location,
        image_reference=request.image_reference,
        reason=request.reason,
        created_at=u.now,
    )
    u.insert("checkpoint_insert", [made])
    u.tx.run("signals_of_run_forget", boot_id=run.boot_id, run_id=run.id)
    step = execution_snapshot.move(
        u,
        run,
        ExecutionStatus.SUSPENDED,
        RunStatus.WAITING_TO_RESUME,
        "Suspended; its process is gone until the wait is over",
        checkpoint_id=made.id,
        boot_id=None,
        lease=None,
        usage_ms=run.usage_ms + request.duration_ms,
    )
    execution_snapshot.apply(u, [step])
