"""Which trace a call belongs to: that of the span that is open, else that of the run."""

from __future__ import annotations

import sys

from trigger_sdk import _span
from trigger_sdk._host import current_run

__all__ = ["active_span", "trace_headers"]


def trace_headers() -> dict[str, str]:
    """Return the headers of W3C Trace Context; inside a task the runs that are made are linked to it."""
    active = current_run.get()
    headers = active_span()
    if active is None:
        return headers
    if not headers and active.ctx.run.traceparent is not None:
        headers = {"traceparent": active.ctx.run.traceparent}
    return headers | {"x-trigger-worker": "true", "x-trigger-span-parent-as-link": "1"}


def active_span() -> dict[str, str]:
    """Return the headers that name the span which is open here, if there is one."""
    mine = _span.active()
    return _of_opentelemetry() if mine is None else {"traceparent": mine.place.traceparent}


def _of_opentelemetry() -> dict[str, str]:
    """Ask it only where it is imported already."""
    api = sys.modules.get("opentelemetry.trace")
    context = api.get_current_span().get_span_context() if api is not None else None
    if context is None or not context.is_valid:
        return {}
    flags = f"{int(context.trace_flags):02x}"
    headers = {"traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-{flags}"}
    state = context.trace_state.to_header()
    return headers | ({"tracestate": state} if state else {})
