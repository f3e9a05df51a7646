"""What exporters of OpenTelemetry send, for tests."""

from __future__ import annotations

from typing import Any

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NS = 1_000_000


def attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return attributes as OTLP writes them in JSON."""
    return [{"key": key, "value": value(one)} for key, one in values.items()]


def value(one: Any) -> dict[str, Any]:
    """Return a value as OTLP writes it in JSON."""
    if isinstance(one, bool):
        return {"boolValue": one}
    if isinstance(one, int):
        return {"intValue": str(one)}
    if isinstance(one, float):
        return {"doubleValue": one}
    if isinstance(one, list):
        return {"arrayValue": {"values": [value(item) for item in one]}}
    if isinstance(one, dict):
        return {"kvlistValue": {"values": attributes(one)}}
    return {"stringValue": one}


def span(
    span_id: str,
    name: str = "work",
    *,
    parent: str = "",
    start: int = 1_764_000_000_000,
    ms: int = 10,
    **more: Any,
) -> dict[str, Any]:
    """Return a span; ``start`` in ms, and how long it took."""
    return {
        "traceId": TRACE,
        "spanId": span_id,
        "parentSpanId": parent,
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(start * NS),
        "endTimeUnixNano": str((start + ms) * NS),
    } | more


def line(
    text: str, *, span_id: str = "", at: int = 1_764_000_000_000, **more: Any
) -> dict[str, Any]:
    """Return a log record."""
    return {
        "timeUnixNano": str(at * NS),
        "severityNumber": 9,
        "body": {"stringValue": text},
        "traceId": TRACE,
        "spanId": span_id,
    } | more


def traces(resource: dict[str, Any], *spans: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an export of spans."""
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": attributes(resource)},
                "scopeSpans": [{"scope": {"name": "test"}, "spans": list(spans)}],
            }
        ]
    }


def metrics(resource: dict[str, Any], *found: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an export of metrics."""
    return {
        "resourceMetrics": [
            {
                "resource": {"attributes": attributes(resource)},
                "scopeMetrics": [{"metrics": list(found)}],
            }
        ]
    }


def logs(resource: dict[str, Any], *lines: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an export of log records."""
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": attributes(resource)},
                "scopeLogs": [{"logRecords": list(lines)}],
            }
        ]
    }
