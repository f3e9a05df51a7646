"""Reading what runs told: traces (protocol A.8) and metrics."""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic_core import to_json
from starlette.responses import Response

from trigger_core.errors import NotFoundError
from trigger_core.schemas.traces import RunEvents, RunMetrics, RunTrace, SpanDetail
from trigger_platform.http import present_traces
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint
from trigger_platform.reads import trace_tree, traces

__all__ = ["read_data_points", "read_events", "read_span", "read_trace"]

_POINTS = 1_000


@endpoint("GET", "/api/v1/runs/{run_id}/trace", access=Access.RUN_READER, returns=RunTrace)
async def read_trace(call: Incoming[None]) -> Response:
    """Read the trace of a run as a tree: attempts, waits, child runs, lines, and spans of its code."""
    found = await call.server.read(traces.of_run, call.environment_id, call.path("run_id"))
    return await asyncio.to_thread(lambda: _json(present_traces.tree(found)))


@endpoint("GET", "/api/v1/runs/{run_id}/events", access=Access.RUN_READER, returns=RunEvents)
async def read_events(call: Incoming[None]) -> Response:
    """Read the spans and lines of a run in the order they began."""
    run_id = call.path("run_id")
    found = await call.server.read(traces.of_run, call.environment_id, run_id)
    return await asyncio.to_thread(lambda: _json(present_traces.events(found, run_id)))


@endpoint(
    "GET", "/api/v1/runs/{run_id}/spans/{span_id}", access=Access.RUN_READER, returns=SpanDetail
)
async def read_span(call: Incoming[None]) -> SpanDetail:
    """Read one span of a run's trace with everything."""
    run_id, span_id = call.path("run_id"), call.path("span_id")
    found = await call.server.read(traces.of_run, call.environment_id, run_id)
    node = next((node for _, node in trace_tree.walk(found.root) if node.span_id == span_id), None)
    if node is None:
        raise NotFoundError(
            f"the trace of run {run_id} has no span {span_id}", status=404, code="SPAN_NOT_FOUND"
        )
    stored = None
    if node.kind == "span":
        stored = await call.server.read(
            traces.stored_span, call.environment_id, node.run.id, span_id
        )
    return present_traces.detail(found, node, stored)


@endpoint(
    "GET",
    "/api/v1/runs/{run_id}/metrics",
    access=Access.RUN_READER,
    returns=RunMetrics,
    query=("name",),
)
async def read_data_points(call: Incoming[None]) -> RunMetrics:
    """Read the data points of metrics that the code of a run exported; ``name`` asks for one metric."""
    found = await call.server.read(
        traces.points, call.environment_id, call.path("run_id"), call.query("name"), _POINTS + 1
    )
    shown = [present_traces.point(row) for row in found[:_POINTS]]
    return RunMetrics(data=shown, has_more=len(found) > _POINTS)


def _json(answer: dict[str, Any]) -> Response:
    return Response(to_json(answer), media_type="application/json")
