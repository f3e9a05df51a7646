"""The items of a batch: each becomes a run, once, whatever comes twice or in which order (engine 3.8).

An item that is refused becomes a run that has failed already, so that whoever waits for the batch finds a
result in every place.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from trigger_core.errors import TriggerError, UnprocessableError
from trigger_core.schemas.trigger import BatchItem, TriggerOptions
from trigger_core.schemas.workers import TaskError
from trigger_platform.engine import batch, block, new_run, trace, trigger, waitpoint
from trigger_platform.engine.block import Wait
from trigger_platform.engine.new_run import NewRun, Origin
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.engine.trace import Caller
from trigger_platform.engine.trigger import Created, Triggering
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import BatchItemRow, BatchRow, Count, EnvironmentRow, RunRow

__all__ = ["Added", "Refused", "add", "created", "stream"]


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that cannot be triggered whatever happens, for example because it is too large."""

    task: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Added:
    """What came of items: the batch as it is now, and how many were new and how many repeated."""

    batch: BatchRow
    accepted: int
    repeated: int


def stream(
    u: Unit,
    environment: EnvironmentRow,
    batch_id: str,
    items: Sequence[tuple[int, BatchItem | Refused]],
    *,
    caller: Caller | None = None,
) -> Added:
    """Add items to a batch that was opened before; a parent that waits, waits for their runs too.

    Parent and trace are those of whoever opened it, unless the request itself names a trace.

    Raises:
        NotFoundError: there is no such batch.
        UnprocessableError: a position is beyond the end of the batch, or the batch was given up.
    """
    row = u.tx.maybe(
        "batch_by_id_locked", BatchRow, id=batch_id, environment_id=environment.id
    ) or batch.find(u, environment, batch_id)
    if row.status == "ABORTED":
        raise UnprocessableError("the batch was given up", status=422, code="BATCH_ABORTED")
    if row.sealed_at is not None:
        return Added(row, accepted=0, repeated=len(items))
    parent = _parent(u, row)
    return add(
        u,
        environment,
        row,
        [(position, _of_opener(row, item)) for position, item in items],
        parent=parent,
        blocks=parent is not None,
        caller=caller or trace.recalled(row.caller),
    )


def add(
    u: Unit,
    environment: EnvironmentRow,
    row: BatchRow,
    items: Sequence[tuple[int, BatchItem | Refused]],
    *,
    parent: RunRow | None,
    blocks: bool = False,
    caller: Caller | None = None,
) -> Added:
    """Add items; with ``blocks`` the parent waits for each of their runs.

    Raises:
        UnprocessableError: a position is beyond the end of the batch.
    """
    _refuse_beyond(row, items)
    there = {one.count for one in u.tx.all("batch_positions", Count, batch_id=row.id)}
    fresh = {position: item for position, item in items if position not in there}
    triggering = Triggering(
        u, environment, batch_id=row.id, waiting=parent, source="sdk", caller=caller
    )
    made: dict[int, Created] = {}
    refused: dict[int, Refused] = {}
    for position, item in sorted(fresh.items()):
        outcome = _trigger(triggering, item, position)
        if isinstance(outcome, Refused):
            refused[position] = outcome
        else:
            made[position] = outcome
    triggering.write()
    failed = _write_refused(u, environment, row, refused, parent)
    _write_items(u, row, made, refused, failed)
    if blocks and parent is not None:
        _block(u, row, parent, made, failed)
    settled = sum(one.is_cached for one in made.values()) + len(failed)
    row = batch.accept(u, row, accepted=len(fresh), settled=settled, failed=len(failed))
    return Added(row, accepted=len(fresh), repeated=len(items) - len(fresh))


def created(u: Unit, row: BatchRow) -> list[Created]:
    """Return the runs of a batch in the order of its items."""
    items = u.tx.all("batch_items", BatchItemRow, batch_id=row.id)
    wanted = json.dumps([item.run_id for item in items if item.run_id])
    runs = {run.id: run for run in u.tx.all("runs_by_ids", RunRow, ids=wanted)}
    return [
        Created(runs[item.run_id], is_cached=bool(item.is_cached)) for item in items if item.run_id
    ]


def _of_opener(row: BatchRow, item: BatchItem | Refused) -> BatchItem | Refused:
    """Return an item as one that the run triggers whose code opened the batch."""
    if row.triggered_by is None or isinstance(item, Refused) or item.options.parent_run_id:
        return item
    options = item.options.model_copy(update={"parent_run_id": row.triggered_by})
    return item.model_copy(update={"options": options})


def _refuse_beyond(row: BatchRow, items: Sequence[tuple[int, BatchItem | Refused]]) -> None:
    beyond = [position for position, _ in items if not 0 <= position < row.run_count]
    if beyond:
        raise UnprocessableError(
            f"item {beyond[0]} is beyond the end of the batch of {row.run_count}",
            status=422,
            code="BATCH_POSITION_INVALID",
        )


def _parent(u: Unit, row: BatchRow) -> RunRow | None:
    """Return the parent, if the attempt that opened the batch still waits for it."""
    if row.parent_id is None:
        return None
    wanted = json.dumps([row.parent_id])
    [parent] = u.tx.all("runs_by_ids_locked", RunRow, ids=wanted)
    return parent if parent.attempt == row.parent_attempt else None


def _trigger(triggering: Triggering, item: BatchItem | Refused, position: int) -> Created | Refused:
    if isinstance(item, Refused):
        return item
    try:
        return triggering.add(item, position)
    except TriggerError as error:
        return Refused(item.task, error.code, error.what)


def _write_refused(
    u: Unit,
    environment: EnvironmentRow,
    row: BatchRow,
    refused: dict[int, Refused],
    parent: RunRow | None,
) -> dict[int, RunRow]:
    """Write runs that have failed before they began (their error: BATCH_ITEM_COULD_NOT_TRIGGER)."""
    failed: dict[int, NewRun] = {}
    for position, one in refused.items():
        origin = Origin(
            parent=parent,
            waits=parent is not None,
            batch_id=row.id,
            position=position,
            source="sdk",
            order=position,
        )
        failed[position] = _failed_run(u, environment, one, origin)
    if failed:
        trigger.write(u, list(failed.values()))
    return {position: new.run for position, new in failed.items()}


def _failed_run(u: Unit, environment: EnvironmentRow, refused: Refused, origin: Origin) -> NewRun:
    item = BatchItem(task=refused.task, options=TriggerOptions())
    new = new_run.make(u, environment, item, None, origin)
    code = (
        "PAYLOAD_TOO_LARGE"
        if refused.code == "PAYLOAD_TOO_LARGE"
        else "BATCH_ITEM_COULD_NOT_TRIGGER"
    )
    error = TaskError(type="INTERNAL_ERROR", code=code, message=refused.message)
    run = new.run._replace(
        status=RunStatus.SYSTEM_FAILURE.value,
        execution_status=ExecutionStatus.FINISHED.value,
        due_at=None,
        queued_at=None,
        completed_at=u.now,
        error=json.dumps(error.to_wire()),
    )
    return NewRun(run, new.payload, "Could not be triggered")


def _write_items(
    u: Unit,
    row: BatchRow,
    made: dict[int, Created],
    refused: dict[int, Refused],
    failed: dict[int, RunRow],
) -> None:
    good = [
        BatchItemRow(row.id, position, one.run.task, one.id, int(one.is_cached), None, None)
        for position, one in made.items()
    ]
    bad = [
        BatchItemRow(row.id, position, one.task, failed[position].id, 0, one.message, one.code)
        for position, one in refused.items()
    ]
    u.insert("batch_item_insert", [*good, *bad])


def _block(
    u: Unit,
    row: BatchRow,
    parent: RunRow,
    made: dict[int, Created],
    failed: dict[int, RunRow],
) -> None:
    runs = {position: one.run for position, one in made.items()} | failed
    points = waitpoint.of_runs(u, list(runs.values()))
    waits = [Wait(point.id, position) for point, position in zip(points, runs, strict=True)]
    block.block(u, parent, row.id, waits)
