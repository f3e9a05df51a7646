"""Reading OTLP in protobuf. The generated classes are imported with the first such body, and not before."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

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

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics
    from opentelemetry.proto.trace.v1 import trace_pb2

__all__ = ["answer", "read"]

_ERROR = 2
_KINDS = {"exponential_histogram": "exponentialHistogram"}
_TEMPORALITIES = {1: "delta", 2: "cumulative"}
_DEEPEST = 16
_EVENTS = 128
_LINKS = 32


def read(body: bytes, signal: str, room: Room) -> list[Exported]:
    """Read a body, as much of it as there is room for.

    Raises:
        MalformedError: it is no such message.
        PayloadTooLargeError: it has too many parts.
    """
    try:
        match signal:
            case "traces":
                traces = ExportTraceServiceRequest.FromString(body)
                return [_spans(one, room) for one in room.groups(traces.resource_spans)]
            case "logs":
                logs = ExportLogsServiceRequest.FromString(body)
                return [_lines(one, room) for one in room.groups(logs.resource_logs)]
            case _:
                metrics = ExportMetricsServiceRequest.FromString(body)
                return [_points(one, room) for one in room.groups(metrics.resource_metrics)]
    except DecodeError as error:
        raise MalformedError("Invalid protobuf", because=str(error)[:200]) from error


def answer(signal: str, refused: int, because: str) -> bytes:
    """Return a partial success."""
    match signal:
        case "traces":
            spans = ExportTraceServiceResponse()
            spans.partial_success.rejected_spans = refused
            spans.partial_success.error_message = because
            return bytes(spans.SerializeToString())
        case "logs":
            lines = ExportLogsServiceResponse()
            lines.partial_success.rejected_log_records = refused
            lines.partial_success.error_message = because
            return bytes(lines.SerializeToString())
        case _:
            points = ExportMetricsServiceResponse()
            points.partial_success.rejected_data_points = refused
            points.partial_success.error_message = because
            return bytes(points.SerializeToString())


def _spans(one: trace_pb2.ResourceSpans, room: Room) -> Exported:
    spans = [
        _span(span, room)
        for scope in room.groups(one.scope_spans)
        for span in room.records(scope.spans)
    ]
    return Exported(_attributes(one.resource.attributes, room), spans=spans)


def _lines(one: ResourceLogs, room: Room) -> Exported:
    lines = [
        _line(line, room)
        for scope in room.groups(one.scope_logs)
        for line in room.records(scope.log_records)
    ]
    return Exported(_attributes(one.resource.attributes, room), lines=lines)


def _points(one: ResourceMetrics, room: Room) -> Exported:
    points = [
        _point(metric, kind, point, room)
        for scope in room.groups(one.scope_metrics)
        for metric in room.groups(scope.metrics)
        if (kind := metric.WhichOneof("data")) is not None
        for point in room.records(getattr(metric, kind).data_points)
    ]
    return Exported(_attributes(one.resource.attributes, room), points=points)


def _point(metric: Metric, kind: str, one: Any, room: Room) -> Point:
    """Read a point; those of the five kinds have little in common, and their names are what they share."""
    is_number = kind in {"gauge", "sum"}
    filled = one.WhichOneof("value") if is_number else None
    return Point(
        name=cut(metric.name, 256),
        kind=_KINDS.get(kind, kind),
        unit=cut(metric.unit, 64),
        started_ns=one.start_time_unix_nano,
        time_ns=one.time_unix_nano,
        value=float(getattr(one, filled)) if filled else None,
        details=_details(getattr(metric, kind), kind, one, room),
        attributes=_attributes(one.attributes, room),
    )


def _details(whole: Any, kind: str, one: Any, room: Room) -> dict[str, Any]:
    found: dict[str, Any] = {
        "temporality": _TEMPORALITIES.get(getattr(whole, "aggregation_temporality", 0)),
        "isMonotonic": getattr(whole, "is_monotonic", False) or None,
    }
    if kind not in {"gauge", "sum"}:
        found["count"] = one.count
    if kind == "summary":
        found["sum"] = one.sum
        found["quantiles"] = [[q.quantile, q.value] for q in room.values(one.quantile_values)]
    if kind in {"histogram", "exponential_histogram"}:
        found |= {name: getattr(one, name) for name in ("sum", "min", "max") if one.HasField(name)}
    if kind == "histogram":
        found["bounds"] = list(room.values(one.explicit_bounds))
        found["counts"] = list(room.values(one.bucket_counts))
    if kind == "exponential_histogram":
        found |= {"scale": one.scale, "zeroCount": one.zero_count}
        for side in ("positive", "negative"):
            buckets = getattr(one, side)
            if counts := list(room.values(buckets.bucket_counts)):
                found[side] = {"offset": buckets.offset, "counts": counts}
    return {name: value for name, value in found.items() if value is not None and value != []}


def _span(one: trace_pb2.Span, room: Room) -> Span:
    return Span(
        trace_id=one.trace_id.hex(),
        span_id=one.span_id.hex(),
        parent_id=one.parent_span_id.hex() or None,
        name=cut(one.name, 1024),
        started_ns=one.start_time_unix_nano,
        ended_ns=one.end_time_unix_nano or None,
        is_error=one.status.code == _ERROR,
        message=cut(one.status.message) or None,
        attributes=_attributes(one.attributes, room),
        events=[
            {
                "name": cut(event.name, 1024),
                "time": event.time_unix_nano,
                "properties": _attributes(event.attributes, room),
            }
            for event in one.events[:_EVENTS]
        ],
        links=[
            {
                "traceId": link.trace_id.hex()[:32],
                "spanId": link.span_id.hex()[:16],
                "properties": _attributes(link.attributes, room),
            }
            for link in one.links[:_LINKS]
        ],
    )


def _line(one: LogRecord, room: Room) -> Line:
    return Line(
        time_ns=one.time_unix_nano or one.observed_time_unix_nano,
        severity=one.severity_number,
        body=_value(one.body, room),
        attributes=_attributes(one.attributes, room),
        trace_id=one.trace_id.hex(),
        span_id=one.span_id.hex(),
    )


def _attributes(pairs: Sequence[KeyValue], room: Room) -> dict[str, Any]:
    return kept({pair.key: _value(pair.value, room) for pair in room.values(pairs)})


def _value(one: AnyValue, room: Room, depth: int = 0) -> Any:
    kind = one.WhichOneof("value")
    if kind is None or depth == _DEEPEST:
        return None
    if kind == "array_value":
        return [_value(item, room, depth + 1) for item in room.values(one.array_value.values)]
    if kind == "kvlist_value":
        pairs = room.values(one.kvlist_value.values)
        return {pair.key: _value(pair.value, room, depth + 1) for pair in pairs}
    if kind == "bytes_value":
        return b64encode(one.bytes_value).decode()
    return getattr(one, kind)
