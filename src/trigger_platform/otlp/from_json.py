"""Reading OTLP in JSON: ids are hexadecimal, numbers of 64 bits may be texts, unknown fields are ignored."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from trigger_core.errors import PayloadTooLargeError
from trigger_platform.otlp.exported import (
    Exported,
    Line,
    MalformedError,
    Point,
    Span,
    cut,
    kept,
)
from trigger_platform.otlp.room import Room

__all__ = ["read"]

_POINT_KINDS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_TEMPORALITIES = {1: "delta", 2: "cumulative"}
_DEEPEST = 16
_EVENTS = 128
_LINKS = 32
_PARTS = 500_000
"""How many objects and arrays a body may have: each costs many times its length."""

Json = dict[str, Any]


def read(body: bytes, signal: str, room: Room) -> list[Exported]:
    """Read a body, as much of it as there is room for.

    Raises:
        MalformedError: it is not JSON, or not of that shape.
        PayloadTooLargeError: it has too many parts.
    """
    if body.count(b"{") + body.count(b"[") > _PARTS:
        raise PayloadTooLargeError(
            "Request body too large", because=f"it has more than {_PARTS:,} objects and arrays"
        )
    try:
        root = from_json(body)
    except ValueError as error:
        raise MalformedError("Invalid JSON", because=str(error)[:200]) from error
    if not isinstance(root, dict):
        raise MalformedError("Invalid JSON", because="the body is no object")
    match signal:
        case "traces":
            return [_spans(one, room) for one in room.groups(_objects(root, "resourceSpans"))]
        case "logs":
            return [_lines(one, room) for one in room.groups(_objects(root, "resourceLogs"))]
        case _:
            return [_points(one, room) for one in room.groups(_objects(root, "resourceMetrics"))]


def _spans(one: Json, room: Room) -> Exported:
    spans = [
        _span(span, room)
        for scope in room.groups(_objects(one, "scopeSpans"))
        for span in room.records(_objects(scope, "spans"))
    ]
    return Exported(_resource(one, room), spans=spans)


def _lines(one: Json, room: Room) -> Exported:
    lines = [
        _line(line, room)
        for scope in room.groups(_objects(one, "scopeLogs"))
        for line in room.records(_objects(scope, "logRecords"))
    ]
    return Exported(_resource(one, room), lines=lines)


def _points(one: Json, room: Room) -> Exported:
    points = [
        _point(metric, kind, point, room)
        for scope in room.groups(_objects(one, "scopeMetrics"))
        for metric in room.groups(_objects(scope, "metrics"))
        for kind in _POINT_KINDS
        for point in room.records(_objects(_object(metric, kind), "dataPoints"))
    ]
    return Exported(_resource(one, room), points=points)


def _point(metric: Json, kind: str, one: Json, room: Room) -> Point:
    return Point(
        name=cut(_text(metric, "name"), 256),
        kind=kind,
        unit=cut(_text(metric, "unit"), 64),
        started_ns=_number(one, "startTimeUnixNano"),
        time_ns=_number(one, "timeUnixNano"),
        value=_measure(one, "asDouble") if "asDouble" in one else _measure(one, "asInt"),
        details=_details(_object(metric, kind), one, room),
        attributes=_attributes(one, room),
    )


def _details(whole: Json, one: Json, room: Room) -> Json:
    """Return what a point says besides one number, as far as it says it."""
    found: Json = {
        "temporality": _TEMPORALITIES.get(_number(whole, "aggregationTemporality")),
        "isMonotonic": whole.get("isMonotonic") is True or None,
        "count": _number(one, "count") if "count" in one else None,
        "bounds": _measures(one, "explicitBounds", room),
        "counts": _measures(one, "bucketCounts", room),
        "scale": _number(one, "scale", signed=True) if "scale" in one else None,
        "zeroCount": _number(one, "zeroCount") if "zeroCount" in one else None,
        "quantiles": [
            [_measure(each, "quantile"), _measure(each, "value")]
            for each in room.values(_objects(one, "quantileValues"))
        ],
    }
    found |= {name: _measure(one, name) for name in ("sum", "min", "max")}
    for side in ("positive", "negative"):
        buckets = _object(one, side)
        if counts := _measures(buckets, "bucketCounts", room):
            found[side] = {"offset": _number(buckets, "offset", signed=True), "counts": counts}
    return {name: value for name, value in found.items() if value is not None and value != []}


def _measures(one: Json, name: str, room: Room) -> list[float | None]:
    return [_measure({name: value}, name) for value in room.values(_list(one, name))]


def _measure(one: Json, name: str) -> float | None:
    """Return a number that may have a fraction; it may be a text, as in ``"NaN"``."""
    found = one.get(name)
    if found is None:
        return None
    try:
        return float(found)
    except (TypeError, ValueError, OverflowError):
        raise MalformedError(f"Invalid JSON: {name} must be a number") from None


def _resource(one: Json, room: Room) -> Json:
    return _attributes(_object(one, "resource"), room)


def _span(one: Json, room: Room) -> Span:
    status = _object(one, "status")
    return Span(
        trace_id=_text(one, "traceId").lower(),
        span_id=_text(one, "spanId").lower(),
        parent_id=_text(one, "parentSpanId").lower() or None,
        name=cut(_text(one, "name"), 1024),
        started_ns=_number(one, "startTimeUnixNano"),
        ended_ns=_number(one, "endTimeUnixNano") or None,
        is_error=status.get("code") in [2, "STATUS_CODE_ERROR"],
        message=cut(_text(status, "message")) or None,
        attributes=_attributes(one, room),
        events=[_event(event, room) for event in _objects(one, "events")[:_EVENTS]],
        links=[_link(link, room) for link in _objects(one, "links")[:_LINKS]],
    )


def _event(one: Json, room: Room) -> Json:
    return {
        "name": cut(_text(one, "name"), 1024),
        "time": _number(one, "timeUnixNano"),
        "properties": _attributes(one, room),
    }


def _link(one: Json, room: Room) -> Json:
    return {
        "traceId": _text(one, "traceId")[:32],
        "spanId": _text(one, "spanId")[:16],
        "properties": _attributes(one, room),
    }


def _line(one: Json, room: Room) -> Line:
    return Line(
        time_ns=_number(one, "timeUnixNano") or _number(one, "observedTimeUnixNano"),
        severity=_number(one, "severityNumber") if one.get("severityNumber") else 0,
        body=_value(_object(one, "body"), room),
        attributes=_attributes(one, room),
        trace_id=_text(one, "traceId").lower(),
        span_id=_text(one, "spanId").lower(),
    )


def _attributes(one: Json, room: Room) -> Json:
    pairs = room.values(_objects(one, "attributes"))
    return kept({_text(pair, "key"): _value(_object(pair, "value"), room) for pair in pairs})


def _value(one: Json, room: Room, depth: int = 0) -> Any:
    """Return what an AnyValue holds; what is nested deeper than anybody would read is left out."""
    for name in ("stringValue", "boolValue", "doubleValue", "bytesValue"):
        if name in one:
            return _scalar(one[name], name)
    if "intValue" in one:
        return _number(one, "intValue", signed=True)
    if depth == _DEEPEST:
        return None
    if "arrayValue" in one:
        items = room.values(_objects(_object(one, "arrayValue"), "values"))
        return [_value(item, room, depth + 1) for item in items]
    if "kvlistValue" in one:
        pairs = room.values(_objects(_object(one, "kvlistValue"), "values"))
        return {
            _text(pair, "key"): _value(_object(pair, "value"), room, depth + 1) for pair in pairs
        }
    return None


def _scalar(value: Any, name: str) -> Any:
    if not isinstance(value, str | bool | int | float):
        raise MalformedError(f"Invalid JSON: {name} is no single value")
    return value


def _objects(one: Json, name: str) -> list[Json]:
    found = _list(one, name)
    if not all(isinstance(item, dict) for item in found):
        raise MalformedError(f"Invalid JSON: {name} must hold objects")
    return found


def _list(one: Json, name: str) -> list[Any]:
    found = one.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise MalformedError(f"Invalid JSON: {name} must be an array")
    return found


def _object(one: Json, name: str) -> Json:
    found = one.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise MalformedError(f"Invalid JSON: {name} must be an object")
    return found


def _text(one: Json, name: str) -> str:
    found = one.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise MalformedError(f"Invalid JSON: {name} must be a text")
    return found


def _number(one: Json, name: str, *, signed: bool = False) -> int:
    found = one.get(name)
    if found is None:
        return 0
    try:
        number = int(found) if isinstance(found, str | int | float) else None
    except (ValueError, OverflowError):
        number = None
    if number is None or (number < 0 and not signed) or abs(number) >= 2**64:
        raise MalformedError(f"Invalid JSON: {name} must be a number of 64 bits")
    return number
