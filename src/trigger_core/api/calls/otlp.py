"""Exporting to the platform's OpenTelemetry routes (protocol D.10)."""

from __future__ import annotations

from typing import Any

from trigger_core.api.call import Call

__all__ = ["export_traces"]


def export_traces(resource_spans: list[dict[str, Any]]) -> Call[None]:
    """Send spans, by resource."""
    return Call(
        "POST", "/otel/v1/traces", lambda _answer: None, body={"resourceSpans": resource_spans}
    )
