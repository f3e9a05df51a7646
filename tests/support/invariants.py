"""What must be true of the database after every commit (engine 9.5), looked at from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from support.engine import Engine
from trigger_platform.engine.states import (
    FINAL_STATUSES,
    HOLDING_STATES,
    LEASED_STATES,
    LEGAL_MOVES,
)
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import RunRow, WaitpointRow

__all__ = ["violations"]


@dataclass(frozen=True, slots=True)
class _Step:
    run_id: str
    sequence: int
    execution_status: str
    attempt: int


def violations(engine: Engine) -> list[str]:
    """Return what breaks an invariant, as ``I2 run_…: what``."""
    return list(engine.call(lambda u: list(_look(u))))


def _look(u: Unit) -> Iterator[str]:
    steps: dict[str, list[_Step]] = {}
    for step in u.tx.all("snapshots_all", _Step):
        steps.setdefault(step.run_id, []).append(step)
    for run in u.tx.all("runs_all", RunRow):
        for what in (*_state(u, run), *_history(run, steps.get(run.id, []))):
            yield f"{what} ({run.id} is {run.execution_status})"


def _state(u: Unit, run: RunRow) -> Iterator[str]:
    edges = int(u.tx.scalar("edges_of_run", run_id=run.id))
    if not _slot_fits(run):
        yield "I2 the slot does not follow from the state"
    if run.execution_status in LEASED_STATES | {"DELAYED"} and run.due_at is None:
        yield "I6 there is no deadline"
    if run.execution_status == "EXECUTING_WITH_WAITPOINTS" and not edges:
        yield "I5 it waits for nothing"
    if run.attempt > (run.max_attempts or 0):
        yield "I7 there are more attempts than allowed"
    if run.execution_status == "FINISHED":
        yield from _end(u, run, edges)


def _slot_fits(run: RunRow) -> bool:
    """A canceled run keeps what it had until its process has ended."""
    holds = run.execution_status in HOLDING_STATES
    return run.execution_status == "PENDING_CANCEL" or bool(run.slot_held) == holds


def _end(u: Unit, run: RunRow, edges: int) -> Iterator[str]:
    if run.status not in FINAL_STATUSES or edges or run.boot_id or run.due_at:
        yield "I1 it is over and holds something"
    for point in u.tx.all("waitpoints_of_runs", WaitpointRow, run_ids=json.dumps([run.id])):
        if point.status == "PENDING":
            yield "I1 it is over and nobody was told"


def _history(run: RunRow, steps: list[_Step]) -> Iterator[str]:
    if [step.sequence for step in steps] != list(range(1, run.sequence + 1)):
        yield "I4 its history has gaps"
    elif steps[-1].execution_status != run.execution_status:
        yield "I4 its history ends elsewhere"
    for before, after in pairwise(steps):
        if after.execution_status not in LEGAL_MOVES[before.execution_status]:
            yield f"I4 it went from {before.execution_status} to {after.execution_status}"
        if after.attempt < before.attempt:
            yield "I7 its attempts decrease"
