"""Reading OTLP in JSON: ids are hexadecimal, numbers of 64 bits may be texts, unknown fields are ignored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

from trigger_platform.otlp.exported import Exported, Line, MalformedError, Span, cut, kept

__all__ = ["read"]

_POINT_KINDS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_DEEPEST = 16
_EVENTS = 128
_LINKS = 32

Json = dict[str, Any]


def read(body: bytes, signal: str) -> list[Exported]:
    """Read a body.

    Raises:
        MalformedError: it is not JSON, or not of that shape.
    """
    try:
        root = from_json(body)
    except ValueError as error:
        raise MalformedError("Invalid JSON", because=str(error)[:200]) from error
    if not isinstance(root, dict):
        raise MalformedError("Invalid JSON", because="the body is no object")
    match signal:
        case "traces":
            return [_spans(one) for one in _objects(root, "resourceSpans")]
        case "logs":
            return [_lines(one) for one in _objects(root, "resourceLogs")]
        case _:
            return [_points(one) for one in _objects(root, "resourceMetrics")]


def _spans(one: Json) -> Exported:
    spans = [
        _span(span) for scope in _objects(one, "scopeSpans") for span in _objects(scope, "spans")
    ]
    return Exported(_resource(one), spans=spans)


def _lines(one: Json) -> Exported:
    lines = [
        _line(line)
        for scope in _objects(one, "scopeLogs")
        for line in _objects(scope, "logRecords")
    ]
    return Exported(_resource(one), lines=lines)


def _points(one: Json) -> Exported:
    points = sum(
        len(_list(_object(metric, kind), "dataPoints"))
        for scope in _objects(one, "scopeMetrics")
        for metric in _objects(scope, "metrics")
        for kind in _POINT_KINDS
    )
    return Exported(_resource(one), points=points)


def _resource(one: Json) -> Json:
    return _attributes(_object(one, "resource"))


def _span(one: Json) -> Span:
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
        attributes=_attributes(one),
        events=[_event(event) for event in _objects(one, "events")[:_EVENTS]],
        links=[_link(link) for link in _objects(one, "links")[:_LINKS]],
    )


def _event(one: Json) -> Json:
    return {
        "name": cut(_text(one, "name"), 1024),
        "time": _number(one, "timeUnixNano"),
        "properties": _attributes(one),
    }


def _link(one: Json) -> Json:
    return {
        "traceId": _text(one, "traceId")[:32],
        "spanId": _text(one, "spanId")[:16],
        "properties": _attributes(one),
    }


def _line(one: Json) -> Line:
    return Line(
        time_ns=_number(one, "timeUnixNano") or _number(one, "observedTimeUnixNano"),
        severity=_number(one, "severityNumber") if one.get("severityNumber") else 0,
        body=_value(_object(one, "body")),
        attributes=_attributes(one),
        trace_id=_text(one, "traceId").lower(),
        span_id=_text(one, "spanId").lower(),
    )


def _attributes(one: Json) -> Json:
    pairs = ((_text(pair, "key"), _value(_object(pair, "value"))) for pair in _pairs(one))
    return kept(dict(pairs))


def _pairs(one: Json, name: str = "attributes") -> Iterator[Json]:
    yield from _objects(one, name)


def _value(one: Json, depth: int = 0) -> Any:
    """Return what an AnyValue holds; what is nested deeper than anybody would read is left out."""
    for name in ("stringValue", "boolValue", "doubleValue", "bytesValue"):
        if name in one:
            return _scalar(one[name], name)
    if "intValue" in one:
        return _number(one, "intValue", signed=True)
    if depth == _DEEPEST:
        return None
    if "arrayValue" in one:
        return [_value(item, depth + 1) for item in _objects(_object(one, "arrayValue"), "values")]
    if "kvlistValue" in one:
        pairs = _pairs(_object(one, "kvlistValue"), "values")
        return {_text(pair, "key"): _value(_object(pair, "value"), depth + 1) for pair in pairs}
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
