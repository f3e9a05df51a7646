"""Reading the trace of a run: the run, those below it, and what they told, within limits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypeVar

from trigger_core.errors import RunNotFoundError
from trigger_platform.engine import trace
from trigger_platform.engine.unit import Unit
from trigger_platform.reads import trace_tree
from trigger_platform.reads.trace_tree import LineRow, Rows, SpanPartRow, Tree
from trigger_platform.store.rows import (
    Count,
    EnvironmentRow,
    PointRow,
    RunRow,
    SnapshotRow,
    SpanRow,
    TraceRunRow,
)

__all__ = ["Limits", "of_run", "points", "stored_span"]

R = TypeVar("R")

_LONGEST = 2_048
_CHATTY = 100
"""How many runs are asked for their lines."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a trace is read; what is more is left out, and the tree says so."""

    runs: int = 500
    steps: int = 10_000
    spans: int = 10_000
    lines: int = 2_000


class _Reading:
    """What has been read so far, and whether it is everything."""

    def __init__(self, u: Unit, limits: Limits) -> None:
        self._u = u
        self._limits = limits
        self._is_whole = True

    def rows(self, first: TraceRunRow) -> Rows:
        """Read everything that belongs to a run."""
        runs = self._family(first)
        told = [run.id for run in runs]
        ids = json.dumps(told)
        limit = self._limits.steps + 1
        steps = self._u.tx.all("trace_steps", SnapshotRow, ids=ids, limit=limit)
        counts = self._u.tx.all("trace_told", Count, ids=ids)
        self._is_whole = self._is_whole and not any(one.count for one in counts)
        spans = self._spans({one.name for one in counts}, runs)
        lines = self._lines(runs)
        return Rows(
            runs=runs,
            steps=self._cut(steps, self._limits.steps),
            spans=spans,
            lines=lines,
            now=self._u.now,
            is_whole=self._is_whole,
        )

    def _family(self, first: TraceRunRow) -> list[TraceRunRow]:
        """Return the run and those below it; what is below one with a trace of its own is left out."""
        runs, level = [first], [first]
        trace_id = trace.of_run(first).trace_id
        while level and len(runs) <= self._limits.runs:
            ids = json.dumps([run.id for run in level if trace.of_run(run).trace_id == trace_id])
            limit = self._limits.runs - len(runs) + 1
            level = self._u.tx.all("trace_children", TraceRunRow, ids=ids, limit=limit)
            runs += sorted(level, key=lambda run: run.id)
        return self._cut(runs, self._limits.runs)

    def _spans(self, told: set[str], runs: list[TraceRunRow]) -> list[SpanPartRow]:
        found: list[SpanPartRow] = []
        for run in runs:
            limit = self._limits.spans + 1 - len(found)
            if run.id in told and limit > 0:
                found += self._u.tx.all(
                    "trace_spans", SpanPartRow, run_id=run.id, limit=limit, longest=_LONGEST
                )
        return self._cut(found, self._limits.spans)

    def _lines(self, runs: list[TraceRunRow]) -> list[LineRow]:
        found: list[LineRow] = []
        for run in runs[:_CHATTY]:
            limit = self._limits.lines + 1 - len(found)
            if limit > 0:
                found += self._u.tx.all(
                    "trace_lines", LineRow, run_id=run.id, limit=limit, longest=_LONGEST
                )
        return self._cut(found, self._limits.lines)

    def _cut(self, rows: list[R], limit: int) -> list[R]:
        self._is_whole = self._is_whole and len(rows) <= limit
        return rows[:limit]


def of_run(u: Unit, environment: EnvironmentRow, run_id: str, limits: Limits = Limits()) -> Tree:
    """Return the trace of a run, from the run down.

    Raises:
        NotFoundError: the environment has no such run.
    """
    run = u.tx.maybe("trace_run", TraceRunRow, id=run_id, environment_id=environment.id)
    if run is None:
        raise RunNotFoundError(run_id)
    return trace_tree.build(_Reading(u, limits).rows(run))


def stored_span(u: Unit, _environment: EnvironmentRow, run_id: str, span_id: str) -> SpanRow | None:
    """Return an exported span with everything, if the run has one of this id."""
    return u.tx.maybe("span_of_run", SpanRow, run_id=run_id, span_id=span_id)


def points(
    u: Unit, environment: EnvironmentRow, run_id: str, name: str, limit: int
) -> list[PointRow]:
    """Return data points of metrics that a run exported, of one metric if it is named.

    Raises:
        NotFoundError: the environment has no such run.
    """
    if u.tx.maybe("run_by_id", RunRow, id=run_id, environment_id=environment.id) is None:
        raise RunNotFoundError(run_id)
    return u.tx.all("points_of_run", PointRow, run_id=run_id, name=name, limit=limit)
