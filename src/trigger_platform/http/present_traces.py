"""Traces as the API shows them (protocol A.8)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from operator import attrgetter
from typing import Any, Literal

from trigger_core import clock
from trigger_core.schemas.traces import (
    RunEvent,
    RunEvents,
    RunTrace,
    SpanData,
    SpanDetail,
    Trace,
    TraceLevel,
    TraceSpan,
    TriggeredRun,
)
from trigger_platform.engine.why import public_status
from trigger_platform.reads.trace_tree import LineRow, Node, Tree, walk
from trigger_platform.store.rows import SpanRow

__all__ = ["detail", "events", "tree"]

_NS = 1_000_000
_KINDS: dict[str, Literal["RUN", "ATTEMPT", "PHASE", "SPAN"]] = {
    "run": "RUN",
    "attempt": "ATTEMPT",
    "phase": "PHASE",
    "span": "SPAN",
}
_LEVELS: dict[str, TraceLevel] = {
    "DEBUG": "DEBUG",
    "INFO": "INFO",
    "WARNING": "WARN",
    "ERROR": "ERROR",
    "CRITICAL": "ERROR",
}


def tree(found: Tree) -> RunTrace:
    """Return a trace as a tree; built from the leaves up, without recursion."""
    made: dict[int, TraceSpan] = {}
    for _, node in reversed(list(walk(found.root))):
        made[id(node)] = TraceSpan.model_construct(
            id=node.span_id,
            parent_id=_parent_id(found, node),
            run_id=node.run.id,
            data=_data(found, node),
            children=[made.pop(id(child)) for child in node.children],
        )
    root = made[id(found.root)]
    more = None if found.is_whole else True
    trace = Trace.model_construct(trace_id=found.trace_id, root_span=root, truncated=more)
    return RunTrace.model_construct(trace=trace)


def events(found: Tree, run_id: str) -> RunEvents:
    """Return the spans and lines of one run of a trace, in the order they began."""
    mine = [
        event
        for _, node in walk(found.root)
        if node.run.id == run_id
        for event in _events(found, node)
    ]
    more = None if found.is_whole else True
    return RunEvents.model_construct(
        events=sorted(mine, key=attrgetter("start_time")), truncated=more
    )


def detail(found: Tree, node: Node, stored: SpanRow | None) -> SpanDetail:
    """Return one span with everything; ``stored`` is the row of one that was exported."""
    properties, happened, links = node.attributes, _happened(node), None
    if stored is not None:
        properties = json.loads(stored.attributes) if stored.attributes else {}
        happened = json.loads(stored.events) if stored.events else []
        happened = [_moment(event) for event in happened] + [_line(line) for line in node.lines]
        links = json.loads(stored.links) if stored.links else None
    return SpanDetail(
        span_id=node.span_id,
        parent_id=_parent_id(found, node),
        run_id=node.run.id,
        message=node.message,
        is_error=node.is_error,
        is_partial=node.ended_ns is None,
        is_cancelled=node.is_cancelled,
        level="TRACE",
        start_time=_iso(node.started_ns),
        duration_ms=_duration(found, node),
        properties=_shown(properties) or None,
        events=happened or None,
        links=links,
        entity_type=node.kind if node.kind in {"run", "attempt"} else None,
        triggered_runs=[_triggered(child) for child in node.children if child.kind == "run"]
        or None,
    )


def _data(found: Tree, node: Node) -> SpanData:
    run = node.run
    is_own = node.kind != "span"
    return SpanData.model_construct(
        message=node.message,
        task_slug=run.task,
        events=_happened(node) or None,
        start_time=_iso(node.started_ns),
        duration=_duration(found, node),
        is_error=node.is_error,
        is_partial=node.ended_ns is None,
        is_cancelled=node.is_cancelled,
        level="TRACE",
        attempt_number=node.attempt or None,
        worker_version=run.version if is_own else None,
        queue_name=run.queue if is_own else None,
        machine_preset=run.machine if is_own else None,
        properties=_shown(node.attributes) or None,
    )


def _events(found: Tree, node: Node) -> Iterator[RunEvent]:
    yield RunEvent.model_construct(
        kind=_KINDS[node.kind],
        run_id=node.run.id,
        span_id=node.span_id,
        parent_id=_parent_id(found, node),
        message=node.message,
        start_time=_iso(node.started_ns),
        duration_ms=_duration(found, node),
        is_error=node.is_error,
        is_partial=node.ended_ns is None,
        is_cancelled=node.is_cancelled,
        level="TRACE",
        attempt_number=node.attempt or None,
        properties=_shown(node.attributes) or None,
    )
    for line in node.lines:
        yield RunEvent.model_construct(
            kind="LOG",
            run_id=line.run_id,
            parent_id=node.span_id,
            message=line.message,
            start_time=clock.to_iso(line.time),
            is_error=line.level in {"ERROR", "CRITICAL"},
            is_partial=False,
            is_cancelled=False,
            level=_LEVELS.get(line.level, "INFO"),
            attempt_number=line.attempt or None,
            properties=_shown(json.loads(line.attributes)) if line.attributes else None,
        )


def _happened(node: Node) -> list[dict[str, Any]]:
    """Return what happened within a span: its events, and the lines that were written in it."""
    return [_moment(event) for event in node.events] + [_line(line) for line in node.lines]


def _moment(event: dict[str, Any]) -> dict[str, Any]:
    return event | {"time": _iso(event["time"]), "properties": _shown(event["properties"])}


def _line(line: LineRow) -> dict[str, Any]:
    properties = {"level": line.level, "source": line.source, "message": line.message}
    return {"name": "log", "time": clock.to_iso(line.time), "properties": properties}


def _triggered(node: Node) -> TriggeredRun:
    run = node.run
    return TriggeredRun(
        run_id=run.id,
        task_identifier=run.task,
        status=public_status(run.status),
        created_at=clock.to_iso(run.created_at),
    )


def _shown(attributes: dict[str, Any]) -> dict[str, Any]:
    """Leave out what only says how the original's pages draw a span."""
    return {key: value for key, value in attributes.items() if not key.startswith("$")}


def _parent_id(found: Tree, node: Node) -> str | None:
    return node.parent.span_id if node.parent is not None else found.above


def _duration(found: Tree, node: Node) -> float:
    """Return how long a span took in ms; one that goes on, until now or until its run ended."""
    ended = node.ended_ns
    if ended is None:
        over = node.run.completed_at
        ended = found.now_ns if over is None else over * _NS
    return max(0, ended - node.started_ns) / _NS


def _iso(ns: int) -> str:
    return clock.to_iso(ns // _NS)
