"""The tree of a trace, built from rows; pure.

The platform's own spans (runs, attempts, queueing and waiting) are derived from the steps of the runs. Spans
that the runs' code exported hang below them: where they say, else below the attempt they fall into. However
the spans contradict each other, every one of them has one place, and the tree is no deeper than anybody can
read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any, Literal

from pydantic_core import from_json

from trigger_core import trace_context
from trigger_platform.engine import trace
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.store.rows import SnapshotRow, TraceRunRow

__all__ = ["DEEPEST", "LineRow", "Node", "Rows", "SpanPartRow", "Tree", "build", "walk"]

DEEPEST = 100
"""How deep the tree goes; what is deeper stands side by side on the last level."""

_NS = 1_000_000
_E = ExecutionStatus
_PHASES: Mapping[str, str] = {
    _E.RUN_CREATED: "Waiting for a version",
    _E.DELAYED: "Delayed",
    _E.QUEUED: "Queued",
    _E.EXECUTING_WITH_WAITPOINTS: "Waiting",
    _E.SUSPENDED: "Waiting",
    _E.QUEUED_EXECUTING: "In line to go on",
}
_FAILED = {"COMPLETED_WITH_ERRORS", "CRASHED", "SYSTEM_FAILURE", "TIMED_OUT", "EXPIRED"}

Kind = Literal["run", "attempt", "phase", "span"]


@dataclass(frozen=True, slots=True)
class SpanPartRow:
    """An exported span, without what is too long for a list."""

    run_id: str
    span_id: str
    parent_id: str | None
    name: str
    started_ns: int
    ended_ns: int | None
    is_error: int
    message: str | None
    attributes: str | None
    events: str | None


@dataclass(frozen=True, slots=True)
class LineRow:
    """A line of a run."""

    run_id: str
    attempt: int
    time: int
    level: str
    source: str
    message: str
    attributes: str | None
    span_id: str | None


@dataclass(frozen=True, slots=True)
class Rows:
    """What a tree is made of; the first run is its root, and ``is_whole`` says that nothing was left out."""

    runs: Sequence[TraceRunRow]
    steps: Sequence[SnapshotRow]
    spans: Sequence[SpanPartRow]
    lines: Sequence[LineRow]
    now: int
    is_whole: bool = True


@dataclass(eq=False, slots=True)
class Node:
    """One span; without an end it goes on. ``attempt`` is the number that an attempt has."""

    kind: Kind
    run: TraceRunRow
    span_id: str
    message: str
    started_ns: int
    ended_ns: int | None
    is_error: bool = False
    is_cancelled: bool = False
    attempt: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    lines: list[LineRow] = field(default_factory=list)
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)

    def adopt(self, child: Node) -> None:
        """Put a span below this one."""
        if child.parent is not None:
            child.parent.children = [one for one in child.parent.children if one is not child]
        child.parent = self
        self.children.append(child)


@dataclass(frozen=True, slots=True)
class Tree:
    """A trace, from one run down; ``above`` is the span that the run hangs below, elsewhere in the trace."""

    trace_id: str
    root: Node
    above: str | None
    now_ns: int
    is_whole: bool


def build(rows: Rows) -> Tree:
    """Return the tree of some rows."""
    steps = {
        run_id: list(found) for run_id, found in groupby(rows.steps, key=lambda row: row.run_id)
    }
    own = {run.id: _RunSpans(run, steps.get(run.id, [])) for run in rows.runs}
    by_id = {node.span_id: node for one in own.values() for node in one.nodes}
    spans: list[tuple[Node, str | None]] = []
    for row in rows.spans:
        if own[row.run_id].is_attempt(row, by_id) or row.span_id in by_id:
            continue
        node = by_id[row.span_id] = _exported(own[row.run_id].run, row)
        spans.append((node, row.parent_id))
    for node, parent_id in spans:
        parent = by_id.get(parent_id or "", node)
        (own[node.run.id].at(node.started_ns) if parent is node else parent).adopt(node)
    for run in rows.runs[1:]:
        _hang(own, by_id, run)
    for line in rows.lines:
        node = by_id.get(line.span_id or "") or own[line.run_id].of_attempt(line.attempt)
        node.lines.append(line)
    root = own[rows.runs[0].id].root
    _straighten(root, own, [node for node, _ in spans])
    place = trace.of_run(rows.runs[0])
    return Tree(place.trace_id, root, place.parent, rows.now * _NS, rows.is_whole)


def walk(root: Node) -> Iterator[tuple[int, Node]]:
    """Yield every span with its depth, from the top down and by when they began."""
    todo = [(0, root)]
    while todo:
        depth, node = todo.pop()
        yield depth, node
        todo += [(depth + 1, child) for child in reversed(node.children)]


class _RunSpans:
    """The spans of the platform's own that stand for one run."""

    def __init__(self, run: TraceRunRow, steps: Sequence[SnapshotRow]) -> None:
        self.run = run
        self.root = Node(
            "run",
            run,
            trace_context.root_span_id(run.id),
            run.task,
            started_ns=run.created_at * _NS,
            ended_ns=None if run.completed_at is None else run.completed_at * _NS,
            is_error=run.status in _FAILED,
            is_cancelled=run.status == RunStatus.CANCELED,
        )
        self._attempts: list[Node] = []
        self._open: Node | None = None
        for step, following in pairwise([*steps, None]):
            assert step is not None
            self._take(step, following)
        self._stretch()

    @property
    def nodes(self) -> Iterator[Node]:
        """Every span."""
        return (node for _, node in walk(self.root))

    def is_attempt(self, row: SpanPartRow, by_id: dict[str, Node]) -> bool:
        """Tell whether an exported span is the worker's word for an attempt, which is known by it then."""
        if row.parent_id != self.root.span_id:
            return False
        for attempt in self._attempts:
            if row.name == attempt.message:
                attempt.span_id = row.span_id
                attempt.attributes = _object(row.attributes)
                by_id[row.span_id] = attempt
                return True
        return False

    def of_attempt(self, number: int) -> Node:
        """Return an attempt, or the run if there is no such."""
        return next((one for one in self._attempts if one.attempt == number), self.root)

    def at(self, ns: int) -> Node:
        """Return the last attempt that had begun at a moment, or else the first one, or the run."""
        begun = [one for one in self._attempts if one.started_ns <= ns]
        return (begun or self._attempts[:1] or [self.root])[-1]

    def _take(self, step: SnapshotRow, following: SnapshotRow | None) -> None:
        at = step.created_at * _NS
        if step.attempt > len(self._attempts):
            self._begin(step, at)
        if self._open is not None and (
            step.error is not None or step.execution_status == _E.FINISHED
        ):
            self._end(self._open, step, at)
        name = _PHASES.get(step.execution_status)
        if name is not None:
            self._add_phase(name, step, at, following)

    def _begin(self, step: SnapshotRow, at: int) -> None:
        if self._open is not None:
            self._open.ended_ns = at
        number = step.attempt
        span_id = trace_context.attempt_span_id(self.run.id, number)
        node = Node("attempt", self.run, span_id, f"Attempt {number}", at, None, attempt=number)
        self.root.adopt(node)
        self._attempts.append(node)
        self._open = node

    def _end(self, attempt: Node, step: SnapshotRow, at: int) -> None:
        attempt.ended_ns = at
        attempt.is_cancelled = step.run_status == RunStatus.CANCELED
        is_good = step.run_status == RunStatus.COMPLETED_SUCCESSFULLY
        attempt.is_error = not is_good and not attempt.is_cancelled
        if step.error is not None and attempt.is_error:
            attempt.events.append(_exception(step.error, at))
        self._open = None

    def _add_phase(
        self, name: str, step: SnapshotRow, at: int, following: SnapshotRow | None
    ) -> None:
        end = None if following is None else following.created_at * _NS
        if end == at:
            return
        parent = self._open or self.root
        last = parent.children[-1] if parent.children else None
        if last is not None and last.message == name and last.ended_ns == at:
            last.ended_ns = end
            return
        span_id = trace_context.span_id(self.run.id, f"step/{step.sequence}")
        parent.adopt(Node("phase", self.run, span_id, name, at, end))

    def _stretch(self) -> None:
        """Begin and end of a short attempt are reported together: what it took stands in the run."""
        if len(self._attempts) != 1:
            return
        [only] = self._attempts
        if only.ended_ns == only.started_ns and self.run.started_at is not None:
            earliest = max(self.run.started_at * _NS, only.started_ns - self.run.usage_ms * _NS)
            only.started_ns = min(only.started_ns, earliest)


def _hang(own: Mapping[str, _RunSpans], by_id: Mapping[str, Node], run: TraceRunRow) -> None:
    """Put a child below the span that triggered it, else below the attempt in which it was triggered.

    One that was not waited for has a trace of its own, and is shown below the span that it is linked to.
    """
    mine, place = own[run.id].root, trace.of_run(run)
    above = place.parent if place.link is None else place.link.span_id
    parent = by_id.get(above or "")
    if parent is None or parent.run.id == run.id:
        parent = own[run.parent_id or ""].at(mine.started_ns)
    parent.adopt(mine)


def _exported(run: TraceRunRow, row: SpanPartRow) -> Node:
    """A span that was announced and whose end nobody told was cut off by the end of its run."""
    over = None if run.completed_at is None else max(run.completed_at * _NS, row.started_ns)
    return Node(
        "span",
        run,
        row.span_id,
        row.name,
        row.started_ns,
        over if row.ended_ns is None else row.ended_ns,
        is_error=bool(row.is_error),
        is_cancelled=row.ended_ns is None and over is not None,
        attributes=_object(row.attributes) | ({"status": row.message} if row.message else {}),
        events=json.loads(row.events) if row.events else [],
    )


def _straighten(root: Node, own: Mapping[str, _RunSpans], spans: Sequence[Node]) -> None:
    """Bring spans that are each other's parents below their run, put all in order, and bound the depth."""
    seen = {id(node) for _, node in walk(root)}
    for node in spans:
        if id(node) not in seen:
            own[node.run.id].root.adopt(node)
            seen |= {id(one) for _, one in walk(node)}
    for depth, node in list(walk(root)):
        if depth == DEEPEST:
            deeper = [one for _, one in walk(node)][1:]
            for one in deeper:
                one.parent, one.children = node, []
            node.children = deeper
        node.children.sort(key=lambda one: one.started_ns)


def _exception(error: str, at: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(error)
    properties = {
        "exception.type": found.get("name") or found.get("code"),
        "exception.message": found.get("message") or found.get("raw"),
        "exception.stacktrace": found.get("stackTrace"),
    }
    return {
        "name": "exception",
        "time": at,
        "properties": {key: value for key, value in properties.items() if value},
    }


def _object(text: str | None) -> dict[str, Any]:
    found: dict[str, Any] = from_json(text) if text else {}
    return found
