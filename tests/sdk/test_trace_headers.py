"""A program that uses OpenTelemetry hands its trace on with what it triggers."""

from __future__ import annotations

import subprocess
import sys

from opentelemetry import context, trace

from trigger_sdk._trace_headers import trace_headers


def test_the_active_span_is_named() -> None:
    """As W3C Trace Context writes it, with the state."""
    state = trace.TraceState([("vendor", "1")])
    span_context = trace.SpanContext(
        0x4BF92F3577B34DA6A3CE929D0E0E4736, 0xF067AA0BA902B7, False, trace.TraceFlags(1), state
    )
    token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(span_context)))
    try:
        found = trace_headers()
    finally:
        context.detach(token)

    assert found == {
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "tracestate": "vendor=1",
    }


def test_without_a_span_nothing_is_sent() -> None:
    """Nor without the library, which is not imported for that."""
    assert trace_headers() == {}
    code = (
        "import sys; from trigger_sdk._trace_headers import trace_headers; assert trace_headers() == {};"
        "print(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
