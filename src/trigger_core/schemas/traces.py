"""Reading the trace of a run (protocol A.8): the tree, one span, everything in its order; and its metrics."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from trigger_core.schemas.base import WireModel

__all__ = [
    "AiCall",
    "DataPoint",
    "RunEvent",
    "RunEvents",
    "RunMetrics",
    "RunTrace",
    "SpanData",
    "SpanDetail",
    "Trace",
    "TraceLevel",
    "TraceSpan",
    "TriggeredRun",
]

TraceLevel: TypeAlias = Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR"]


class SpanData(WireModel):
    """What a span says; ``duration`` in ms, up to now while the span is partial."""

    message: str
    task_slug: str | None = None
    events: list[dict[str, Any]] | None = None
    start_time: str
    duration: float
    is_error: bool
    is_partial: bool
    is_cancelled: bool
    level: TraceLevel
    attempt_number: int | None = None
    worker_version: str | None = None
    queue_name: str | None = None
    machine_preset: str | None = None
    properties: dict[str, Any] | None = None


class TraceSpan(WireModel):
    """A span with what is below it."""

    id: str
    parent_id: str | None = None
    run_id: str
    data: SpanData
    children: list[TraceSpan]


class Trace(WireModel):
    """A trace, from one run down; ``truncated`` says that there is more than is shown."""

    trace_id: str
    root_span: TraceSpan
    truncated: bool | None = None


class RunTrace(WireModel):
    """The answer of ``GET /api/v1/runs/{id}/trace``."""

    trace: Trace


class RunEvent(WireModel):
    """A span of a run, or a line it wrote (``kind`` is ``LOG``, and there is no duration).

    ``entityType``, an addition of ours, says what a span stands for.
    """

    kind: Literal["SERVER", "INTERNAL", "LOG"]
    entity_type: Literal["run", "attempt", "phase", "span", "log"]
    run_id: str
    task_slug: str
    span_id: str | None = None
    parent_id: str | None = None
    message: str
    start_time: str = Field(description="Nanoseconds since the epoch, as a text.")
    duration: int | None = Field(default=None, description="In nanoseconds.")
    is_error: bool
    is_partial: bool
    is_cancelled: bool
    level: TraceLevel
    attempt_number: int | None = None
    properties: dict[str, Any] | None = None
    events: list[dict[str, Any]] | None = None


class RunEvents(WireModel):
    """The answer of ``GET /api/v1/runs/{id}/events``, oldest first."""

    events: list[RunEvent]
    truncated: bool | None = None


class TriggeredRun(WireModel):
    """A run that was triggered from a span."""

    run_id: str
    task_identifier: str
    status: str
    created_at: str


class AiCall(WireModel):
    """A call to a language model."""

    model: str
    provider: str
    operation_name: str
    input_tokens: int
    output_tokens: int
    total_tokens: int
    cached_tokens: int | None = None
    tokens_per_second: float | None = None
    duration_ms: float
    finish_reason: str | None = None
    response_text: str | None = None


class SpanDetail(WireModel):
    """The answer of ``GET /api/v1/runs/{id}/spans/{spanId}``; ``parentId`` is always sent."""

    span_id: str
    parent_id: str | None = Field(description="Null for the run's own span.")
    run_id: str
    message: str
    is_error: bool
    is_partial: bool
    is_cancelled: bool
    level: TraceLevel
    start_time: str
    duration_ms: float
    properties: dict[str, Any] | None = None
    events: list[dict[str, Any]] | None = None
    links: list[dict[str, Any]] | None = None
    entity_type: str | None = None
    ai: AiCall | None = Field(default=None, description="There for spans that name a model.")
    triggered_runs: list[TriggeredRun] | None = None

    @model_serializer(mode="wrap")
    def _with_parent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        given: dict[str, Any] = handler(self)
        return {"parentId": None} | given


class DataPoint(WireModel):
    """A data point of a metric: one number, or in ``details`` a distribution of many."""

    name: str
    kind: Literal["gauge", "sum", "histogram", "exponentialHistogram", "summary"]
    unit: str | None = None
    start_time: str | None = None
    time: str
    value: float | None = None
    details: dict[str, Any] | None = None
    attributes: dict[str, Any] | None = None


class RunMetrics(WireModel):
    """Data points that the code of a run exported, by name and in the order of their moments.

    ``hasMore`` says that there are more than one answer holds: ask for one metric by its ``name``.
    """

    data: list[DataPoint]
    has_more: bool
