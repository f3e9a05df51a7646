"""Reading OTLP in protobuf. The generated classes are imported with the first such body, and not before."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
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

from trigger_platform.otlp.exported import Exported, Line, MalformedError, Span, cut, kept

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics
    from opentelemetry.proto.trace.v1 import trace_pb2

__all__ = ["answer", "read"]

_ERROR = 2
_DEEPEST = 16
_EVENTS = 128
_LINKS = 32


def read(body: bytes, signal: str) -> list[Exported]:
    """Read a body.

    Raises:
        MalformedError: it is no such message.
    """
    try:
        match signal:
            case "traces":
                traces = ExportTraceServiceRequest.FromString(body)
                return [_spans(one) for one in traces.resource_spans]
            case "logs":
                logs = ExportLogsServiceRequest.FromString(body)
                return [_lines(one) for one in logs.resource_logs]
            case _:
                metrics = ExportMetricsServiceRequest.FromString(body)
                return [_points(one) for one in metrics.resource_metrics]
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


def _spans(one: trace_pb2.ResourceSpans) -> Exported:
    spans = [_span(span) for scope in one.scope_spans for span in scope.spans]
    return Exported(_attributes(one.resource.attributes), spans=spans)


def _lines(one: ResourceLogs) -> Exported:
    lines = [_line(line) for scope in one.scope_logs for line in scope.log_records]
    return Exported(_attributes(one.resource.attributes), lines=lines)


def _points(one: ResourceMetrics) -> Exported:
    points = sum(_count(metric) for scope in one.scope_metrics for metric in scope.metrics)
    return Exported(_attributes(one.resource.attributes), points=points)


def _count(metric: Metric) -> int:
    kind = metric.WhichOneof("data")
    return 0 if kind is None else len(getattr(metric, kind).data_points)


def _span(one: trace_pb2.Span) -> Span:
    return Span(
        trace_id=one.trace_id.hex(),
        span_id=one.span_id.hex(),
        parent_id=one.parent_span_id.hex() or None,
        name=cut(one.name, 1024),
        started_ns=one.start_time_unix_nano,
        ended_ns=one.end_time_unix_nano or None,
        is_error=one.status.code == _ERROR,
        message=cut(one.status.message) or None,
        attributes=_attributes(one.attributes),
        events=[
            {
                "name": cut(event.name, 1024),
                "time": event.time_unix_nano,
                "properties": _attributes(event.attributes),
            }
            for event in one.events[:_EVENTS]
        ],
        links=[
            {
                "traceId": link.trace_id.hex()[:32],
                "spanId": link.span_id.hex()[:16],
                "properties": _attributes(link.attributes),
            }
            for link in one.links[:_LINKS]
        ],
    )


def _line(one: LogRecord) -> Line:
    return Line(
        time_ns=one.time_unix_nano or one.observed_time_unix_nano,
        severity=one.severity_number,
        body=_value(one.body),
        attributes=_attributes(one.attributes),
        trace_id=one.trace_id.hex(),
        span_id=one.span_id.hex(),
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return kept({pair.key: _value(pair.value) for pair in pairs})


def _value(one: AnyValue, depth: int = 0) -> Any:
    kind = one.WhichOneof("value")
    if kind is None or depth == _DEEPEST:
        return None
    if kind == "array_value":
        return [_value(item, depth + 1) for item in one.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _value(pair.value, depth + 1) for pair in one.kvlist_value.values}
    if kind == "bytes_value":
        return b64encode(one.bytes_value).decode()
    return getattr(one, kind)
