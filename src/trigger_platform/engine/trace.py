"""The trace of a run: its own, or that of whoever triggered it and is its parent.

A caller inside a task (``x-trigger-worker``) is a real parent: the run belongs to its trace. With
``x-trigger-span-parent-as-link`` it is only linked. A caller from outside is kept as the external context. A
run that is waited for belongs to its parent's trace even if no header says so. What does not follow from the
run's id stands in its annotations, so that no statement is spent on it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from trigger_core import trace_context
from trigger_core.trace_context import SpanContext
from trigger_platform.store.rows import RunRow, TraceRunRow

__all__ = ["Caller", "Trace", "attempt_context", "kept", "notes", "of_run", "recalled"]

_LONGEST_STATE = 512
_PARENT = 55
"""What later versions of the header may append to this is not kept."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What a request says about the trace it belongs to.

    Attributes:
        traceparent: the header.
        tracestate: the header that may come with it.
        is_worker: whether the caller is code of a task.
        as_link: whether it wants to be linked to rather than be the parent.
    """

    traceparent: str
    tracestate: str = ""
    is_worker: bool = False
    as_link: bool = False


@dataclass(frozen=True, slots=True)
class Trace:
    """Where a run stands in a trace.

    Attributes:
        trace_id: the trace.
        span_id: the span that stands for the run.
        parent: the span above it in the same trace, if there is one.
        link: a span elsewhere that triggered it.
        external: the caller's headers, if the caller is no task.
    """

    trace_id: str
    span_id: str
    parent: str | None = None
    link: SpanContext | None = None
    external: dict[str, str] | None = None

    @property
    def context(self) -> dict[str, Any]:
        """What a worker is given as ``traceContext`` of the run (protocol D.6)."""
        mine = {"traceparent": SpanContext(self.trace_id, self.span_id).traceparent}
        return mine | ({"external": self.external} if self.external else {})


def of_run(run: RunRow | TraceRunRow) -> Trace:
    """Return where a run stands."""
    noted: dict[str, Any] = json.loads(run.annotations) if run.annotations else {}
    mine = trace_context.root_span_id(run.id)
    parent = trace_context.parse(noted.get("traceparent", ""))
    if parent is not None:
        return Trace(parent.trace_id, mine, parent=parent.span_id)
    return Trace(
        trace_context.trace_id(run.id),
        mine,
        link=trace_context.parse(noted.get("link", "")),
        external=noted.get("external"),
    )


def kept(caller: Caller | None) -> str | None:
    """Return what is kept of a caller until it is known what it triggers; none that names no span."""
    if caller is None or trace_context.parse(caller.traceparent) is None:
        return None
    state = caller.tracestate[:_LONGEST_STATE]
    return json.dumps(asdict(replace(caller, traceparent=_header(caller), tracestate=state)))


def recalled(text: str | None) -> Caller | None:
    """Return the caller of whom that was kept."""
    return None if text is None else Caller(**json.loads(text))


def attempt_context(run: RunRow, attempt: int) -> SpanContext:
    """Return the span of an attempt; what its code does belongs below it."""
    inherits = run.annotations is not None and '"traceparent"' in run.annotations
    trace_id = of_run(run).trace_id if inherits else trace_context.trace_id(run.id)
    return SpanContext(trace_id, trace_context.attempt_span_id(run.id, attempt))


def notes(caller: Caller | None, parent: RunRow | None, *, waits: bool) -> dict[str, Any]:
    """Return what has to be kept of the trace of a new run; a header that names no span does not count."""
    context = trace_context.parse(caller.traceparent) if caller is not None else None
    if caller is not None and context is not None:
        return _from_caller(caller, context)
    if parent is not None and waits:
        return {"traceparent": attempt_context(parent, parent.attempt).traceparent}
    return {}


def _from_caller(caller: Caller, context: SpanContext) -> dict[str, Any]:
    if caller.is_worker:
        return {"link" if caller.as_link else "traceparent": context.traceparent}
    state = caller.tracestate[:_LONGEST_STATE]
    return {"external": {"traceparent": _header(caller)} | ({"tracestate": state} if state else {})}


def _header(caller: Caller) -> str:
    return caller.traceparent.strip()[:_PARENT]
