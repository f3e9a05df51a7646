"""The one writer of a run's execution state.

A move is decided first (:func:`move`, pure) and written by :func:`apply`. The run row changes only when
nobody else moved it since it was read; an execution snapshot records each step, and the outbox hears of it.
Slot and deadline follow from the new state, so they cannot drift from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trigger_core.errors import ConflictingWriteError, EngineError
from trigger_platform.engine import tags
from trigger_platform.engine.states import (
    HOLDING_STATES,
    LEASED_STATES,
    LEGAL_MOVES,
    ExecutionStatus,
    RunStatus,
)
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import RunMoveRow, RunRow, SnapshotRow, as_params

__all__ = ["CREATED", "LEASE_MS", "Move", "apply", "create", "move"]

LEASE_MS = 30_000
"""A worker that says nothing for this long has lost its runs."""

CREATED = ("", "")
"""The step of a run that is new."""


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a run: ``run`` is the row as it will be, ``attempt_error`` what ended an attempt (JSON)."""

    before: int
    run: RunRow
    description: str
    attempt_error: str | None = None


def move(
    u: Unit,
    run: RunRow,
    to: ExecutionStatus,
    status: RunStatus,
    description: str,
    *,
    attempt_error: str | None = None,
    **columns: Any,
) -> Move:
    """Decide a step; nothing is written.

    Args:
        u: the unit of work.
        run: the run as it was read, or the result of an earlier move of this unit.
        to: the new execution status.
        status: the new run status.
        description: one sentence for the run's history.
        attempt_error: JSON of the error that ended an attempt with this step.
        columns: other columns that change.

    Raises:
        EngineError: the state machine knows no such step.
    """
    if to not in LEGAL_MOVES[run.execution_status]:
        raise EngineError(f"run {run.id} cannot move from {run.execution_status} to {to.value}")
    if "due_at" not in columns:
        columns["due_at"] = u.now + LEASE_MS if to in LEASED_STATES else None
    after = run._replace(
        execution_status=to.value,
        status=status.value,
        sequence=run.sequence + 1,
        slot_held=_slot(run, to),
        updated_at=u.now,
        **columns,
    )
    return Move(run.sequence, after, description, attempt_error)


def _slot(run: RunRow, to: ExecutionStatus) -> int:
    """A canceled run keeps the slot it has: one that waited has none, and takes none to end."""
    if to is ExecutionStatus.PENDING_CANCEL:
        return run.slot_held
    return 1 if to in HOLDING_STATES else 0


def apply(u: Unit, moves: Sequence[Move]) -> None:
    """Write moves; several moves of one run must follow each other and cost one update.

    Raises:
        ConflictingWriteError: somebody else moved one of the runs first; nothing of the unit remains.
    """
    if not moves:
        return
    first: dict[str, int] = {}
    last: dict[str, RunRow] = {}
    for step in moves:
        first.setdefault(step.run.id, step.before)
        last[step.run.id] = step.run
    updates = [
        as_params(run, RunMoveRow) | {"id": run.id, "expected_sequence": first[run.id]}
        for run in sorted(last.values(), key=lambda run: run.id)
    ]
    if u.tx.many("run_transition", updates) != len(updates):
        raise ConflictingWriteError("a run was moved by somebody else")
    _record(u, moves)
    for run in last.values():
        _announce(u, run)


def create(u: Unit, runs: Sequence[tuple[RunRow, str]]) -> None:
    """Write new runs with their first snapshot; each comes with a sentence for its history."""
    u.insert("run_insert", [run for run, _ in runs])
    u.record("run_tag_insert", [tag for run, _ in runs if run.tags for tag in tags.of(run)])
    u.steps += [CREATED] * len(runs)
    _record(u, [Move(0, run, description) for run, description in runs])
    for run, _ in runs:
        _announce(u, run)


def _record(u: Unit, moves: Sequence[Move]) -> None:
    u.steps += [(step.run.execution_status, step.run.status) for step in moves]
    u.record(
        "snapshot_insert",
        [
            SnapshotRow(
                step.run.id,
                step.run.sequence,
                step.run.execution_status,
                step.run.status,
                step.run.attempt,
                step.description,
                step.run.boot_id,
                step.attempt_error,
                step.run.updated_at,
            )
            for step in moves
        ],
    )


def _announce(u: Unit, run: RunRow) -> None:
    u.emit(run.environment_id, "run.changed", run.id, run.sequence)
    u.expect(run.due_at)
    if run.execution_status == ExecutionStatus.QUEUED and run.available_at is None:
        u.runnable.add(run.environment_id)
