"""Spans of the user's code: those of the SDK's logger, and OpenTelemetry's in projects that use it.

A project uses it if its code has imported the API (``opentelemetry.trace``) and its environment has the SDK.
Its spans then hang below the attempt, whatever provider it has set. In other projects nothing of it costs
anything. Spans go to the platform through the worker: the process needs no exporter, no connection and no
thread for it. They go when they are over; those that are open when the code waits are announced.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from math import isfinite
from typing import TYPE_CHECKING, Any

from trigger_core import trace_context
from trigger_sdk import _span
from trigger_sdk._span import Recording
from trigger_worker.ipc import Message

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

__all__ = ["Spans", "current_span_id", "preload"]

_API = "opentelemetry.trace"
_AT_ONCE = 50
_EVERY_S = 1.0
_LONGEST = 128 * 1024
_STATUS = {"UNSET": 0, "OK": 1, "ERROR": 2}


def preload() -> None:
    """Import the SDK ahead, if the project uses it; it starts no thread."""
    if _API in sys.modules and find_spec("opentelemetry.sdk") is not None:
        import opentelemetry.sdk.trace  # noqa: F401, PLC0415 - only where it is used


def current_span_id() -> str | None:
    """Return the span that is open where this is called, if there is one."""
    mine = _span.active()
    if mine is not None:
        return mine.place.span_id
    api = sys.modules.get(_API)
    if api is None:
        return None
    context = api.get_current_span().get_span_context()
    return format(context.span_id, "016x") if context.is_valid else None


class Spans:
    """Collects what ends in the attempts of one process, and sends it from time to time."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        self._send = send
        self._ended: list[Message] = []
        self._open: dict[str, Callable[[], Message]] = {}
        self._announced: set[str] = set()
        self._sent_at = 0.0
        self._is_installed = False

    def begin(self, traceparent: str | None) -> None:
        """Let what the current context does from here on belong to an attempt."""
        self._open.clear()
        self._announced.clear()
        parent = trace_context.parse(traceparent or "")
        if parent is None or _API not in sys.modules or not self._install():
            return
        from opentelemetry import context, trace  # noqa: PLC0415 - only where it is used

        span_context = trace.SpanContext(
            int(parent.trace_id, 16),
            int(parent.span_id, 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED),
        )
        context.attach(trace.set_span_in_context(trace.NonRecordingSpan(span_context)))

    def began(self, span: Recording) -> None:
        """Know of a span that is open."""
        self._open[span.place.span_id] = lambda: _of_recording(span)

    def over(self, span: Recording) -> None:
        """Take a span that has ended."""
        self._take(span.place.span_id, _of_recording(span))

    def announce(self) -> None:
        """Send what has ended, and what is open: the code will wait, and somebody may look meanwhile."""
        for span_id, read in list(self._open.items()):
            if span_id not in self._announced:
                self._announced.add(span_id)
                self._ended.append(read())
        self.flush()

    def flush(self) -> None:
        """Send what has ended."""
        ended, self._ended = self._ended, []
        self._sent_at = time.monotonic()
        if ended:
            self._send({"t": "spans", "spans": ended})

    def _install(self) -> bool:
        """Listen to the project's tracer provider; if it has set none, set one."""
        if self._is_installed:
            return True
        if find_spec("opentelemetry.sdk") is None:
            return False
        from opentelemetry import trace  # noqa: PLC0415 - only where it is used
        from opentelemetry.sdk.trace import SpanProcessor, TracerProvider  # noqa: PLC0415 - likewise

        spans = self

        class Listener(SpanProcessor):
            """Hands over what has ended."""

            def on_start(self, span: Span, parent_context: Context | None = None) -> None:
                del parent_context
                if span.context is not None:
                    spans._open[_id(span)] = lambda: _of_opentelemetry(span)

            def on_end(self, span: ReadableSpan) -> None:
                spans._take(_id(span), _of_opentelemetry(span))

            def force_flush(self, timeout_millis: int = 30_000) -> bool:
                del timeout_millis
                spans.flush()
                return True

        provider = trace.get_tracer_provider()
        if not isinstance(provider, TracerProvider):
            provider = TracerProvider(shutdown_on_exit=False)
            trace.set_tracer_provider(provider)
        provider.add_span_processor(Listener())
        self._is_installed = True
        return True

    def _take(self, span_id: str, span: Message) -> None:
        self._open.pop(span_id, None)
        self._announced.discard(span_id)
        self._ended.append(span)
        if len(self._ended) >= _AT_ONCE or time.monotonic() - self._sent_at > _EVERY_S:
            self.flush()


def _of_recording(span: Recording) -> Message:
    """Return a span of ours as OTLP writes it in JSON."""
    return {
        "traceId": span.place.trace_id,
        "spanId": span.place.span_id,
        "parentSpanId": span.parent_id,
        "name": span.name,
        "kind": 1,
        "startTimeUnixNano": str(span.started_ns),
        "endTimeUnixNano": str(span.ended_ns or 0),
        "attributes": _attributes(span.attributes),
        "events": [
            {
                "name": event.name,
                "timeUnixNano": str(event.time_ns),
                "attributes": _attributes(event.attributes),
            }
            for event in span.events
        ],
        "status": {"code": 0 if span.error is None else 2, "message": span.error or ""},
    }


def _id(span: ReadableSpan) -> str:
    return format(span.context.span_id, "016x")


def _of_opentelemetry(span: ReadableSpan) -> Message:
    """Return a span of OpenTelemetry likewise."""
    context, parent = span.context, span.parent
    return {
        "traceId": format(context.trace_id, "032x"),
        "spanId": format(context.span_id, "016x"),
        "parentSpanId": format(parent.span_id, "016x") if parent is not None else "",
        "name": span.name,
        "kind": span.kind.value + 1,
        "startTimeUnixNano": str(span.start_time or 0),
        "endTimeUnixNano": str(span.end_time or 0),
        "attributes": _attributes(span.attributes),
        "events": [
            {
                "name": event.name,
                "timeUnixNano": str(event.timestamp),
                "attributes": _attributes(event.attributes),
            }
            for event in span.events
        ],
        "links": [
            {
                "traceId": format(link.context.trace_id, "032x"),
                "spanId": format(link.context.span_id, "016x"),
                "attributes": _attributes(link.attributes),
            }
            for link in span.links
        ],
        "status": {
            "code": _STATUS[span.status.status_code.name],
            "message": span.status.description or "",
        },
    }


def _attributes(attributes: Mapping[str, Any] | None) -> list[Message]:
    return [{"key": key, "value": _value(value)} for key, value in (attributes or {}).items()]


def _value(value: Any) -> Message:
    """Return a value as OTLP writes it; what it has no form for is written as text."""
    for kind, write in _FORMS.items():
        if isinstance(value, kind):
            return write(value)
    return {"stringValue": str(value)[:_LONGEST]}


_FORMS: Mapping[type, Callable[[Any], Message]] = {
    bool: lambda value: {"boolValue": value},
    int: lambda value: {"intValue": str(value)},
    float: lambda value: {"doubleValue": value if isfinite(value) else str(value)},
    str: lambda value: {"stringValue": value[:_LONGEST]},
    Mapping: lambda value: {"kvlistValue": {"values": _attributes(value)}},
    tuple: lambda value: {"arrayValue": {"values": [_value(one) for one in value]}},
    list: lambda value: {"arrayValue": {"values": [_value(one) for one in value]}},
}
"""In this order: a truth value is a number too."""
