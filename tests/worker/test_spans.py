"""Spans of the user's code: shown below their attempt, and nobody pays who does not use them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.dev import until
from support.traces import outline, spans
from worker.harness import Pair

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("spans")]

TASKS = """
import asyncio, os, sys, threading
from opentelemetry import trace
from trigger_sdk import *

tracer = trace.get_tracer("shop")

@task
async def charge(amount: int, ctx: Context) -> str:
    with tracer.start_as_current_span("charge", attributes={"amount": amount}) as span:
        print("charging")
        with tracer.start_as_current_span("bank"):
            await asyncio.sleep(0)
        span.add_event("done", {"ok": True})
    return ctx.run.traceparent

@task
def fails() -> None:
    with tracer.start_as_current_span("bad"):
        raise ValueError("no")

@task(isolation="reuse")
def again() -> int:
    with tracer.start_as_current_span("work"):
        logger.info("in the span")
    return os.getpid()

@task
def waits() -> None:
    with tracer.start_as_current_span("before"):
        pass
    wait.for_sync(seconds=0.2)
    with tracer.start_as_current_span("after"):
        pass

@task
def triggers() -> str:
    with tracer.start_as_current_span("asks") as span:
        again.trigger_sync()
        return format(span.get_span_context().span_id, "016x")

@task
async def waiting_within() -> None:
    with tracer.start_as_current_span("outer"):
        with logger.span("inner", n=1, order={"id": 7}):
            await again.trigger_and_wait()
        await batch.trigger_and_wait([again.item(), again.item()])
        await batch.trigger([again.item(), again.item()])

@task
def from_a_thread() -> None:
    thread = threading.Thread(target=lambda: tracer.start_span("elsewhere").end())
    thread.start()
    thread.join()
"""

OWN_PROVIDER = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from trigger_sdk import *

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(formatter=lambda s: "EXPORTED\\n")))
trace.set_tracer_provider(provider)

@task
def mine() -> None:
    with trace.get_tracer("x").start_as_current_span("mine"):
        pass
"""

PLAIN = """
import sys
from trigger_sdk import *

@task
def modules() -> list[str]:
    return [name for name in sys.modules if name.startswith("opentelemetry")]
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """One worker for the tests of this module."""
    made = Pair(tmp_path_factory.mktemp("spans") / "project", TASKS)
    made.load()
    yield made
    made.close()


def _get(pair: Pair, path: str) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {pair.ready['secretKey']}"}
    answer = httpx.get(pair.ready["url"] + path, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _events(pair: Pair, run_id: str) -> dict[str, dict[str, Any]]:
    found = _get(pair, f"/api/v1/runs/{run_id}/events")["events"]
    return {one["message"]: one for one in found}


def _with(pair: Pair, run_id: str, *names: str) -> dict[str, dict[str, Any]]:
    """Wait for spans: they come beside the end of the run."""

    def there() -> dict[str, dict[str, Any]] | None:
        found = _events(pair, run_id)
        return found if set(names) <= set(found) else None

    events: dict[str, dict[str, Any]] = until(there, what=f"{names} of {run_id}")
    return events


def test_spans_hang_below_their_attempt(pair: Pair) -> None:
    """With attributes and events; the line that was printed within is in its span."""
    run = pair.run("charge", 7)
    found = _with(pair, run.id, "charge", "bank")
    attempt = found["Attempt 1"]

    assert found["charge"]["parentId"] == attempt["spanId"]
    assert found["bank"]["parentId"] == found["charge"]["spanId"]
    assert found["charging"]["parentId"] == found["charge"]["spanId"]
    assert found["charge"]["properties"] == {"amount": 7}
    assert found["charge"]["duration"] >= found["bank"]["duration"]
    trace_id = _get(pair, f"/api/v1/runs/{run.id}/trace")["trace"]["traceId"]
    assert run.output == f"00-{trace_id}-{attempt['spanId']}-01"
    span = _get(pair, f"/api/v1/runs/{run.id}/spans/{found['charge']['spanId']}")
    assert [one["name"] for one in span["events"]] == ["done", "log"]


def test_an_exception_is_an_event_of_its_span(pair: Pair) -> None:
    """As the SDK of OpenTelemetry records it."""
    run = pair.run("fails", maxAttempts=1)
    found = _with(pair, run.id, "bad")["bad"]
    span = _get(pair, f"/api/v1/runs/{run.id}/spans/{found['spanId']}")

    assert span["isError"]
    assert span["events"][0]["properties"]["exception.type"] == "ValueError"


def test_a_process_that_serves_several_runs_tells_each_ones_spans_apart(pair: Pair) -> None:
    """Each run has its own, and its lines are in them."""
    runs = [pair.run("again") for _ in range(3)]
    for run in runs:
        found = _with(pair, run.id, "work")
        spans = [
            one
            for one in _get(pair, f"/api/v1/runs/{run.id}/events")["events"]
            if one["entityType"] == "span"
        ]
        assert [one["message"] for one in spans] == ["work"]
        assert found["in the span"]["parentId"] == found["work"]["spanId"]


def test_spans_before_and_after_a_wait_and_from_threads_are_kept(pair: Pair) -> None:
    """What a thread begins without a context hangs below its attempt as well."""
    run = pair.run("waits")
    _with(pair, run.id, "before", "after")
    other = pair.run("from-a-thread")
    found = _with(pair, other.id, "elsewhere")
    tree = _get(pair, f"/api/v1/runs/{other.id}/trace")["trace"]["rootSpan"]
    attempt = next(one for one in tree["children"] if one["data"]["message"] == "Attempt 1")
    assert found["elsewhere"]["spanId"] in [one["id"] for one in attempt["children"]]


def test_a_run_that_a_task_triggers_is_linked_to_its_span(pair: Pair) -> None:
    """And has a trace of its own."""
    asker = pair.run("triggers")
    listed = _get(pair, "/api/v1/runs?filter[taskIdentifier]=again&page[size]=1")["data"]
    made = listed[0]["id"]
    root = _get(pair, f"/api/v1/runs/{made}/trace")["trace"]
    span = _get(pair, f"/api/v1/runs/{made}/spans/{root['rootSpan']['id']}")
    trace_id = _get(pair, f"/api/v1/runs/{asker.id}/trace")["trace"]["traceId"]

    assert span["links"] == [{"traceId": trace_id, "spanId": asker.output}]
    assert root["traceId"] != trace_id


def test_what_is_triggered_within_a_span_hangs_below_it(pair: Pair) -> None:
    """Whether OpenTelemetry opened it or the SDK's logger, which is one of its tracers then."""
    run = pair.run("waiting-within")
    assert run.status == "COMPLETED"
    _with(pair, run.id, "outer", "inner")
    root = _get(pair, f"/api/v1/runs/{run.id}/trace")["trace"]["rootSpan"]

    assert sorted(outline(root, "outer", "inner", "again")) == [
        "outer",
        *["outer > again"] * 4,
        "outer > inner",
        "outer > inner > again",
    ]
    [inner] = [one for one in spans(root) if one["data"]["message"] == "inner"]
    assert inner["data"]["properties"] == {"n": 1, "order": "{'id': 7}"}


def test_the_projects_own_provider_keeps_its_exporters(tmp_path: Path) -> None:
    """They get every span, and so does the platform."""
    pair = Pair(tmp_path / "project", OWN_PROVIDER)
    try:
        pair.load()
        run = pair.run("mine")
        _with(pair, run.id, "mine")
        assert "EXPORTED" in pair.messages(run.id)
    finally:
        pair.close()


def test_a_project_without_opentelemetry_imports_nothing_of_it(tmp_path: Path) -> None:
    """Though it is installed."""
    pair = Pair(tmp_path / "project", PLAIN)
    try:
        pair.load()
        assert pair.run("modules").output == []
    finally:
        pair.close()
