"""Traces and metrics as the API shows them (protocol A.8).

Ten thousand spans are shown in one answer: trees and lists are plain dictionaries, in the shape of the
models in ``trigger_core.schemas.traces``, which a test compares.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

from trigger_core import clock
from trigger_core.schemas.traces import DataPoint, SpanDetail, TraceLevel, TriggeredRun
from trigger_platform.engine import trace
from trigger_platform.engine.why import public_status
from trigger_platform.http import present_ai
from trigger_platform.reads.trace_tree import LineRow, Node, Tree, walk
from trigger_platform.store.rows import PointRow, SpanRow

__all__ = ["detail", "events", "point", "tree"]

Json: TypeAlias = dict[str, Any]

_NS = 1_000_000
_LEVELS: dict[str, TraceLevel] = {
    "DEBUG": "DEBUG",
    "INFO": "INFO",
    "WARNING": "WARN",
    "ERROR": "ERROR",
    "CRITICAL": "ERROR",
}


def tree(found: Tree) -> Json:
    """Return a trace as :class:`RunTrace`; built from the leaves up, without recursion."""
    made: dict[int, Json] = {}
    for _, node in reversed(list(walk(found.root))):
        parent_id = _parent_id(found, node)
        span = {"id": node.span_id, "runId": node.run.id, "data": _data(found, node)}
        if parent_id is not None:
            span["parentId"] = parent_id
        made[id(node)] = span | {"children": [made.pop(id(child)) for child in node.children]}
    whole = {"traceId": found.trace_id, "rootSpan": made[id(found.root)]}
    return {"trace": whole | _truncated(found)}


def events(found: Tree, run_id: str) -> Json:
    """Return the spans and lines of one run of a trace as :class:`RunEvents`, in the order they began."""
    mine = [
        event
        for _, node in walk(found.root)
        if node.run.id == run_id
        for event in _events(found, node)
    ]
    mine.sort(key=lambda event: int(event["startTime"]))
    return {"events": mine} | _truncated(found)


def detail(found: Tree, node: Node, stored: SpanRow | None) -> SpanDetail:
    """Return one span with everything; ``stored`` is the row of one that was exported."""
    properties, happened, links = node.attributes, _happened(node), None
    if stored is not None:
        properties = json.loads(stored.attributes) if stored.attributes else {}
        happened = json.loads(stored.events) if stored.events else []
        happened = [_moment(event) for event in happened] + [_line(line) for line in node.lines]
        links = json.loads(stored.links) if stored.links else None
    elif node.kind == "run":
        properties, links = _origin(node)
    took = _duration(found, node) / _NS
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
        duration_ms=took,
        properties=_shown(properties) or None,
        events=happened or None,
        links=links,
        entity_type=node.kind if node.kind in {"run", "attempt"} else None,
        ai=present_ai.call_of(properties, took) if node.kind == "span" else None,
        triggered_runs=[_triggered(child) for child in node.children if child.kind == "run"]
        or None,
    )


def _data(found: Tree, node: Node) -> Json:
    run = node.run
    data = _common(node) | {
        "startTime": _iso(node.started_ns),
        "duration": _duration(found, node) / _NS,
        "taskSlug": run.task,
    }
    happened = _happened(node)
    if happened:
        data["events"] = happened
    if node.kind != "span":
        own = {"workerVersion": run.version, "machinePreset": run.machine}
        data |= {"queueName": run.queue} | {key: value for key, value in own.items() if value}
    return data


def _common(node: Node) -> Json:
    """Return what every form of a span says."""
    data: Json = {
        "message": node.message,
        "isError": node.is_error,
        "isPartial": node.ended_ns is None,
        "isCancelled": node.is_cancelled,
        "level": "TRACE",
    }
    properties = _shown(node.attributes)
    if properties:
        data["properties"] = properties
    if node.attempt:
        data["attemptNumber"] = node.attempt
    return data


def _events(found: Tree, node: Node) -> Iterator[Json]:
    event = _common(node) | {
        "kind": "SERVER" if node.kind == "run" else "INTERNAL",
        "entityType": node.kind,
        "runId": node.run.id,
        "taskSlug": node.run.task,
        "spanId": node.span_id,
        "startTime": str(node.started_ns),
        "duration": _duration(found, node),
    }
    if node.events:
        event["events"] = [_moment(one) for one in node.events]
    parent_id = _parent_id(found, node)
    yield event | ({"parentId": parent_id} if parent_id is not None else {})
    for line in node.lines:
        yield _line_event(node, line)


def _line_event(node: Node, line: LineRow) -> Json:
    event: Json = {
        "kind": "LOG",
        "entityType": "log",
        "runId": line.run_id,
        "taskSlug": node.run.task,
        "parentId": node.span_id,
        "message": line.message,
        "startTime": str(line.time * _NS),
        "isError": line.level in {"ERROR", "CRITICAL"},
        "isPartial": False,
        "isCancelled": False,
        "level": _LEVELS.get(line.level, "INFO"),
    }
    if line.attempt:
        event["attemptNumber"] = line.attempt
    if line.attributes:
        event["properties"] = _shown(json.loads(line.attributes))
    return event


def _truncated(found: Tree) -> Json:
    return {} if found.is_whole else {"truncated": True}


def _happened(node: Node) -> list[dict[str, Any]]:
    """Return what happened within a span: its events, and the lines that were written in it."""
    return [_moment(event) for event in node.events] + [_line(line) for line in node.lines]


def _moment(event: dict[str, Any]) -> dict[str, Any]:
    return event | {"time": _iso(event["time"]), "properties": _shown(event["properties"])}


def _line(line: LineRow) -> dict[str, Any]:
    properties = {"level": line.level, "source": line.source, "message": line.message}
    return {"name": "log", "time": clock.to_iso(line.time), "properties": properties}


def _origin(node: Node) -> tuple[dict[str, Any], list[dict[str, Any]] | None]:
    """Return the trace a caller from outside belongs to, and the span that a run is linked to."""
    place = trace.of_run(node.run)
    properties = {f"trigger.{name}": value for name, value in (place.external or {}).items()}
    if place.link is None:
        return properties, None
    return properties, [{"traceId": place.link.trace_id, "spanId": place.link.span_id}]


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


def _duration(found: Tree, node: Node) -> int:
    """Return how long a span took in ns; one that goes on, until now or until its run ended."""
    ended = node.ended_ns
    if ended is None:
        over = node.run.completed_at
        ended = found.now_ns if over is None else over * _NS
    return max(0, ended - node.started_ns)


def point(row: PointRow) -> DataPoint:
    """Return a data point of a metric."""
    return DataPoint.model_validate(
        {
            "name": row.name,
            "kind": row.kind,
            "unit": row.unit,
            "start_time": None if row.started_ns is None else _iso(row.started_ns),
            "time": _iso(row.time_ns),
            "value": row.value,
            "details": None if row.details is None else json.loads(row.details),
            "attributes": None if row.attributes is None else json.loads(row.attributes),
        }
    )


def _iso(ns: int) -> str:
    return clock.to_iso(ns // _NS)
