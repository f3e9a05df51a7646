"""What an executing attempt can wait for: a moment, a token, the runs it triggers.

Each wait has a ``ref``, the worker's own name for it. Asking again under the same name, after a lost answer,
finds the wait that exists and creates nothing. A worker that reads snapshots has no such names: one that asks
for what it was told already waits anew, and is told again.
"""

from __future__ import annotations

from collections.abc import Sequence

from trigger_core.errors import NotFoundError
from trigger_core.schemas.workers import Awaited, TriggerAndWait, WaitStarted
from trigger_platform.engine import batch, batch_items, block, signals, waitpoint
from trigger_platform.engine.block import Wait
from trigger_platform.engine.trace import Caller
from trigger_platform.engine.trigger import Created, Triggering
from trigger_platform.engine.unit import Unit
from trigger_platform.engine.waitpoint import Completion
from trigger_platform.store.rows import EnvironmentRow, RunRow, WaitpointRow

__all__ = ["for_token", "runs", "until"]


def until(u: Unit, run: RunRow, ref: str, moment: int) -> WaitStarted:
    """Let an attempt wait until a moment; one that has passed ends the wait in this transaction."""
    known = _known(u, run, ref)
    if known is not None:
        return known
    made = waitpoint.create(u, run.environment_id, "DATETIME", due_at=moment)
    run = block.block(u, run, ref, [Wait(made.id)])
    if moment <= u.now:
        waitpoint.complete(u, [Completion(made.id)])
    awaited = [Awaited(waitpoint_id=made.id)]
    return WaitStarted(run_id=run.id, ref=ref, sequence=run.sequence, awaited=awaited)


def for_token(u: Unit, run: RunRow, ref: str, waitpoint_id: str) -> WaitStarted:
    """Let an attempt wait for a token.

    Raises:
        NotFoundError: the run's environment has no such token.
    """
    known = _known(u, run, ref)
    if known is not None:
        return known
    token = u.tx.maybe(
        "waitpoint_by_id", WaitpointRow, id=waitpoint_id, environment_id=run.environment_id
    )
    if token is None:
        raise NotFoundError(
            f"there is no token {waitpoint_id}", status=404, code="WAITPOINT_NOT_FOUND"
        )
    run = block.block(u, run, ref, [Wait(token.id)])
    awaited = [Awaited(waitpoint_id=token.id)]
    return WaitStarted(run_id=run.id, ref=ref, sequence=run.sequence, awaited=awaited)


def runs(u: Unit, environment: EnvironmentRow, run: RunRow, request: TriggerAndWait) -> WaitStarted:
    """Trigger children of an attempt and let it wait for all of them.

    They are locked to the parent's version. A single child that is refused is an error of the call; an item
    of a batch that is refused becomes a failed run, so that every item has a result.

    Raises:
        TriggerError: the single child is refused; nothing is written.
    """
    ref, items = request.ref, request.items
    known = _known(u, run, ref)
    if known is not None:
        return known
    place = request.traceparent
    caller = None if place is None else Caller(place, is_worker=True)
    if not request.is_batch:
        triggering = Triggering(u, environment, waiting=run, source="sdk", caller=caller)
        created = [triggering.add(item) for item in items]
        triggering.write()
        return _wait_for(u, run, ref, created, batch_id=None)
    row = batch.insert(u, environment, len(items), parent=run)
    numbered = list(enumerate(items))
    row = batch_items.add(u, environment, row, numbered, parent=run, caller=caller).batch
    batch.seal(u, row)
    created = batch_items.created(u, row)
    return _wait_for(u, run, ref, created, batch_id=row.id)


def _wait_for(
    u: Unit, run: RunRow, ref: str, created: Sequence[Created], *, batch_id: str | None
) -> WaitStarted:
    awaited = waitpoint.of_runs(u, [one.run for one in created])
    positions = range(len(created)) if batch_id else [-1] * len(created)
    run = block.block(
        u, run, ref, [Wait(one.id, n) for one, n in zip(awaited, positions, strict=True)]
    )
    return WaitStarted(
        run_id=run.id,
        ref=ref,
        sequence=run.sequence,
        batch_id=batch_id,
        awaited=[
            Awaited(waitpoint_id=point.id, run_id=one.id, is_cached=one.is_cached)
            for point, one in zip(awaited, created, strict=True)
        ],
    )


def _known(u: Unit, run: RunRow, ref: str) -> WaitStarted | None:
    edges = block.edges_of_ref(u, run, ref)
    if not edges:
        return None
    if signals.is_reader(run.boot_id) and all(edge.delivered for edge in edges):
        waits = [Wait(edge.waitpoint_id, edge.position) for edge in edges]
        run = block.block(u, run, ref, waits)
    points = waitpoint.by_ids(u, [edge.waitpoint_id for edge in edges])
    awaited = [
        Awaited(waitpoint_id=edge.waitpoint_id, run_id=points[edge.waitpoint_id].run_id)
        for edge in edges
    ]
    return WaitStarted(run_id=run.id, ref=ref, sequence=run.sequence, awaited=awaited)
