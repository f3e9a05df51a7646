"""Batches as the API shows them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from trigger_platform.engine import batch, states
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import (
    BatchItemRow,
    BatchRow,
    EnvironmentRow,
    OutputRow,
    RunRow,
)

__all__ = ["Ended", "FullBatch", "full", "one_result", "results"]


@dataclass(frozen=True, slots=True)
class FullBatch:
    """A batch with its items."""

    batch: BatchRow
    items: list[BatchItemRow]


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that is over, with its output."""

    run: RunRow
    output: str | None


def full(u: Unit, environment: EnvironmentRow, batch_id: str) -> FullBatch:
    """Return a batch with its items; raises as :func:`batch.find` does."""
    row = batch.find(u, environment, batch_id)
    return FullBatch(row, u.tx.all("batch_items", BatchItemRow, batch_id=row.id))


def results(u: Unit, environment: EnvironmentRow, batch_id: str) -> list[Ended]:
    """Return the runs of a batch that are over, in the order of the items; raises likewise."""
    found = full(u, environment, batch_id)
    ids = [item.run_id for item in found.items if item.run_id is not None]
    by_id = {ended.run.id: ended for ended in _ended(u, ids)}
    return [by_id[one] for one in ids if one in by_id]


def one_result(u: Unit, run: RunRow) -> Ended | None:
    """Return how a run ended, or ``None`` while it goes on."""
    return next(iter(_ended(u, [run.id])), None)


def _ended(u: Unit, run_ids: list[str]) -> list[Ended]:
    wanted = json.dumps(run_ids)
    runs = u.tx.all("runs_by_ids", RunRow, ids=wanted)
    outputs = {row.id: row.output for row in u.tx.all("outputs_of", OutputRow, ids=wanted)}
    return [Ended(run, outputs.get(run.id)) for run in runs if states.is_final(run.status)]
