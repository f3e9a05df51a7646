"""What the headers of a request say about the trace it belongs to (protocol 0.2)."""

from __future__ import annotations

from starlette.requests import Request

from trigger_platform.engine.trace import Caller

__all__ = ["caller_of"]


def caller_of(request: Request) -> Caller | None:
    """Return the caller's place in a trace, if it names one."""
    headers = request.headers
    traceparent = headers.get("traceparent")
    if traceparent is None:
        return None
    return Caller(
        traceparent,
        tracestate=headers.get("tracestate", ""),
        is_worker=headers.get("x-trigger-worker") == "true",
        as_link=headers.get("x-trigger-span-parent-as-link") == "1",
    )
