"""Batches: runs that are triggered together (engine 3.8).

A batch is created with the number of its items. Items arrive in any order and perhaps twice
(:mod:`~trigger_platform.engine.batch_items`); once all are there the batch is sealed. It is over when every
item is settled: its run is final, or there is no run to wait for. All of that is counted in rows of this
database, so a parent that waits always goes on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from trigger_core import ids
from trigger_core.errors import ConflictError, NotFoundError, UnprocessableError
from trigger_platform.engine import block, idempotency, trace, waitpoint
from trigger_platform.engine.block import Wait
from trigger_platform.engine.trace import Caller
from trigger_platform.engine.unit import Unit
from trigger_platform.engine.waitpoint import Completion
from trigger_platform.store.rows import BatchItemRow, BatchRow, EnvironmentRow, RunRow, WaitpointRow

__all__ = [
    "MAX_ITEMS",
    "Opened",
    "accept",
    "expire",
    "find",
    "insert",
    "next_due",
    "open_batch",
    "recount",
    "seal",
    "settle",
]

MAX_ITEMS = 1_000
"""The most items of one batch, unless the server is set up otherwise."""

_SEAL_MS = 30 * 60_000


@dataclass(frozen=True, slots=True)
class Opened:
    """A batch that items can be added to; cached when a key found an earlier one."""

    batch: BatchRow
    is_cached: bool


def find(u: Unit, environment: EnvironmentRow, batch_id: str) -> BatchRow:
    """Return a batch.

    Raises:
        NotFoundError: the environment has no such batch.
    """
    found = u.tx.maybe("batch_by_id", BatchRow, id=batch_id, environment_id=environment.id)
    if found is None:
        raise NotFoundError(f"there is no batch {batch_id}", status=404, code="BATCH_NOT_FOUND")
    return found


def open_batch(
    u: Unit,
    environment: EnvironmentRow,
    run_count: int,
    *,
    parent: RunRow | None = None,
    triggered_by: str | None = None,
    caller: Caller | None = None,
    key: str | None = None,
    max_items: int = MAX_ITEMS,
) -> Opened:
    """Create a batch that its items will follow into; a parent that waits for it waits from now on.

    The run that is ``triggered_by`` is the parent of its runs too, and goes on.

    A key finds a batch that is there, and a parent then waits for that one: perhaps a later attempt of the
    run that made it. Whoever finds one is told to send its items while they have not all come, as if the
    batch were new: the one who began it may have died meanwhile.

    Raises:
        UnprocessableError: too many items, or the parent executes nothing that could wait.
    """
    if run_count > max_items:
        raise UnprocessableError(
            f"a batch has at most {max_items} items, this one {run_count}",
            status=400,
            code="BATCH_TOO_LARGE",
        )
    if parent is not None:
        block.refuse_to_wait(parent)
    known = _by_key(u, environment, key)
    if known is not None:
        if parent is not None:
            _wait_anew(u, environment, known, parent)
        is_other = parent is None and known.run_count != run_count
        return Opened(known, is_cached=is_other or known.sealed_at is not None)
    made = insert(
        u,
        environment,
        run_count,
        parent=parent,
        triggered_by=triggered_by,
        caller=caller,
        key=key,
    )
    if parent is not None:
        _let_wait(u, environment, made, parent)
    return Opened(made, is_cached=False)


def insert(
    u: Unit,
    environment: EnvironmentRow,
    run_count: int,
    *,
    parent: RunRow | None = None,
    triggered_by: str | None = None,
    caller: Caller | None = None,
    key: str | None = None,
) -> BatchRow:
    """Write a batch whose items are yet to come; one with a parent must be sealed in time."""
    made = BatchRow(
        id=ids.batch_id(u.now, u.rng),
        environment_id=environment.id,
        status="PENDING",
        run_count=run_count,
        accepted=0,
        settled=0,
        failed=0,
        parent_id=parent.id if parent else None,
        parent_attempt=parent.attempt if parent else None,
        idempotency_key=key or None,
        idempotency_expires_at=idempotency.expiry(u.now, None) if key else None,
        seal_due_at=u.now + _SEAL_MS if parent else None,
        sealed_at=None,
        created_at=u.now,
        completed_at=None,
        triggered_by=triggered_by,
        caller=trace.kept(caller),
    )
    u.insert("batch_insert", [made])
    u.expect(made.seal_due_at)
    return made


def accept(u: Unit, row: BatchRow, *, accepted: int, settled: int, failed: int) -> BatchRow:
    """Count items that were added: how many, how many of them are over, how many have no run."""
    u.tx.run("batch_accept", id=row.id, accepted=accepted, settled=settled, failed=failed)
    return replace(
        row,
        accepted=row.accepted + accepted,
        settled=row.settled + settled,
        failed=row.failed + failed,
    )


def seal(u: Unit, row: BatchRow) -> bool:
    """Close the batch if all its items are there; tell whether it is closed."""
    if row.status == "ABORTED":
        raise ConflictError(
            "the batch was given up: its items did not come in time",
            status=422,
            code="BATCH_ABORTED",
        )
    if row.accepted < row.run_count:
        return False
    if row.sealed_at is None:
        u.tx.run("batch_seal", id=row.id, now=u.now)
    _complete_if_over(u, [row.id])
    return True


def settle(u: Unit, ended: Sequence[RunRow]) -> None:
    """Count runs that are final; complete the batches that are over with them."""
    counts = Counter(run.batch_id for run in ended if run.batch_id is not None)
    if not counts:
        return
    u.tx.many(
        "batch_settle",
        [{"id": batch_id, "settled": counts[batch_id]} for batch_id in sorted(counts)],
    )
    _complete_if_over(u, sorted(counts))


def recount(u: Unit, batch_id: str) -> None:
    """Count a batch from its runs, complete it if it is over, and tell those who wait for one that is."""
    u.tx.run("batch_recount", id=batch_id)
    _complete_if_over(u, [batch_id])
    row = u.tx.maybe("batch_any", BatchRow, id=batch_id)
    if row is not None and row.completed_at is not None:
        _complete_waitpoint(u, batch_id, is_error=row.sealed_at is None)


def expire(u: Unit, row: BatchRow) -> None:
    """Give up a batch whose items did not come in time; the parent goes on with an error.

    One that was sealed since it was read stays.
    """
    if not u.tx.run("batch_abort", id=row.id, now=u.now):
        return
    message = f"Only {row.accepted} of {row.run_count} items of the batch arrived in time."
    error = {"type": "STRING_ERROR", "raw": message}
    _complete_waitpoint(u, row.id, output=json.dumps(error), is_error=True)


def next_due(u: Unit) -> int | None:
    """Return when the next batch has to be sealed."""
    found: int | None = u.tx.scalar("batch_next_due")
    return found


def _by_key(u: Unit, environment: EnvironmentRow, key: str | None) -> BatchRow | None:
    if not key:
        return None
    known = u.tx.maybe("batch_by_key", BatchRow, environment_id=environment.id, idempotency_key=key)
    if known is None:
        return None
    is_given_up = known.status == "ABORTED" and known.sealed_at is None
    has_run_out = known.idempotency_expires_at is not None and known.idempotency_expires_at <= u.now
    if is_given_up or has_run_out:
        u.tx.run("batch_clear_key", id=known.id)
        return None
    return known


def _let_wait(u: Unit, environment: EnvironmentRow, row: BatchRow, parent: RunRow) -> None:
    made = waitpoint.create(u, environment.id, "BATCH", batch_id=row.id)
    block.block(u, parent, row.id, [Wait(made.id)])


def _wait_anew(u: Unit, environment: EnvironmentRow, row: BatchRow, parent: RunRow) -> None:
    """Let a parent wait for a batch that is there: for the runs it has, and for its end."""
    items = [one for one in u.tx.all("batch_items", BatchItemRow, batch_id=row.id) if one.run_id]
    wanted = json.dumps([one.run_id for one in items])
    runs = {run.id: run for run in u.tx.all("runs_by_ids", RunRow, ids=wanted)}
    points = waitpoint.of_runs(u, [runs[one.run_id or ""] for one in items])
    waits = [Wait(point.id, one.position) for point, one in zip(points, items, strict=True)]
    if row.completed_at is None:
        end = u.tx.maybe("waitpoint_of_batch", WaitpointRow, batch_id=row.id)
        end = end or waitpoint.create(u, environment.id, "BATCH", batch_id=row.id)
        waits.append(Wait(end.id))
    if row.sealed_at is None:
        u.tx.run("batch_adopt", id=row.id, parent_id=parent.id, parent_attempt=parent.attempt)
    block.block(u, parent, row.id, waits)


def _complete_if_over(u: Unit, batch_ids: Sequence[str]) -> None:
    """The rows are locked by the count that came before, so exactly one transaction completes a batch."""
    over = u.tx.all("batches_over", BatchRow, ids=json.dumps(list(batch_ids)))
    for row in over:
        status = "ABORTED" if row.failed == row.run_count else "COMPLETED"
        u.tx.run("batch_complete", id=row.id, status=status, now=u.now)
        u.emit(row.environment_id, "batch.completed", row.id, 0)
        _complete_waitpoint(u, row.id)


def _complete_waitpoint(
    u: Unit, batch_id: str, *, output: str | None = None, is_error: bool = False
) -> None:
    found = u.tx.maybe("waitpoint_of_batch", WaitpointRow, batch_id=batch_id)
    if found is not None:
        waitpoint.complete(u, [Completion(found.id, output, "application/json", is_error=is_error)])
