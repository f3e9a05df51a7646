"""Spans outside a run: of OpenTelemetry where the program uses it, else nothing at all."""

from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

from trigger_sdk import logger

PLAIN = """
import sys
from trigger_sdk import logger
with logger.span("x", n=1) as span:
    span.set_attribute("a", 1)
    span.add_event("e")
try:
    with logger.span("y"):
        raise ValueError("passes through")
except ValueError as error:
    print(error)
print(any(name.startswith("opentelemetry") for name in sys.modules))
"""


class _Kept(SpanProcessor):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


def test_without_opentelemetry_nothing_is_recorded_and_nothing_is_in_the_way() -> None:
    """Nor is anything imported for it."""
    shown = subprocess.run(
        [sys.executable, "-c", PLAIN], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split("\n")[:2] == ["passes through", "False"]


def test_with_opentelemetry_it_is_one_of_its_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """What that has no form for is written as text."""
    kept, provider = _Kept(), TracerProvider()
    provider.add_span_processor(kept)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    with logger.span("charge", amount=9.5, order={"id": 7}) as span:
        span.set_attribute("done", True)

    [found] = kept.spans
    assert found.name == "charge"
    assert dict(found.attributes or {}) == {"amount": 9.5, "order": "{'id': 7}", "done": True}
