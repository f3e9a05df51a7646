"""Traces over HTTP: whose trace a run belongs to, and how it is read (protocol A.2, A.8)."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest

from support import otlp
from support.http import Platform
from support.traces import outline
from trigger_core import trace_context
from trigger_core.schemas.traces import RunEvents, RunTrace

CALLER = f"00-{otlp.TRACE}-00f067aa0ba902b7-01"
SPAN = {"id", "runId", "data", "children"}
DATA = {"message", "startTime", "duration", "isError", "isPartial", "isCancelled", "level"}

both = pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)


async def _trigger(platform: Platform, **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await platform.http.post("/api/v1/tasks/task/trigger", json={}, headers=named)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def _trace(platform: Platform, run_id: str) -> dict[str, Any]:
    answer = await platform.http.get(f"/api/v1/runs/{run_id}/trace")
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["trace"])


@pytest.fixture
async def told(platform: Platform) -> str:
    """A run whose code exported two spans and a line."""
    run_id = await _trigger(platform)
    [run] = await platform.work("task")
    begun = {"runId": run_id, "lease": run["lease"], "at": platform.clock.now()}
    await platform.report(started=[begun])
    attempt_id = trace_context.attempt_span_id(run_id, 1)
    long = {"text": "x" * 5_000, "n": 1, "$style.icon": "box"}
    outer = otlp.span("a" * 16, "outer", parent=attempt_id, attributes=otlp.attributes(long))
    inner = otlp.span("b" * 16, "inner", parent="a" * 16, attributes=otlp.attributes({"k": "v"}))
    who = {"ctx.run.id": run_id}
    await platform.http.post("/otel/v1/traces", json=otlp.traces(who, outer, inner))
    line = otlp.line("hello", span_id="b" * 16, attributes=otlp.attributes({"n": 1}))
    await platform.http.post("/otel/v1/logs", json=otlp.logs(who, line))
    return run_id


@pytest.mark.parametrize(
    ("headers", "belongs", "above"),
    [
        ({}, False, None),
        ({"traceparent": CALLER}, False, None),
        ({"traceparent": CALLER, "x_trigger_worker": "true"}, True, "00f067aa0ba902b7"),
        (
            {
                "traceparent": CALLER,
                "x_trigger_worker": "true",
                "x_trigger_span_parent_as_link": "1",
            },
            False,
            None,
        ),
        ({"traceparent": "nonsense", "x_trigger_worker": "true"}, False, None),
        ({"traceparent": CALLER.replace("00-", "ff-"), "x_trigger_worker": "true"}, False, None),
        ({"traceparent": f"00-{'0' * 32}-{'0' * 16}-01", "x_trigger_worker": "true"}, False, None),
    ],
)
async def test_only_a_caller_inside_a_task_is_the_parent(
    platform: Platform, headers: dict[str, str], belongs: bool, above: str | None
) -> None:
    """A caller from outside keeps its own trace, and so does one that only wants to be linked to."""
    run_id = await _trigger(platform, **headers)
    trace = await _trace(platform, run_id)

    assert (trace["traceId"] == otlp.TRACE) is belongs
    assert trace["rootSpan"].get("parentId") == above


async def test_the_items_of_a_batch_belong_to_the_trace_of_its_caller(platform: Platform) -> None:
    """In one request, and streamed."""
    headers = {"traceparent": CALLER, "x-trigger-worker": "true"}
    items = [{"task": "task"}]
    whole = await platform.http.post("/api/v1/tasks/batch", json={"items": items}, headers=headers)
    opened = await platform.http.post("/api/v3/batches", json={"runCount": 1}, headers=headers)
    batch_id = opened.json()["id"]
    content = json.dumps({"index": 0, "task": "task", "payload": None}) + "\n"
    await platform.http.post(
        f"/api/v3/batches/{batch_id}/items",
        content=content,
        headers=headers | {"content-type": "application/x-ndjson"},
    )
    streamed = (await platform.http.get(f"/api/v2/batches/{batch_id}")).json()["runs"]

    for run_id in (whole.json()["runs"][0]["id"], *streamed):
        assert (await _trace(platform, run_id))["traceId"] == otlp.TRACE


@both
@pytest.mark.parametrize("waits", [True, False])
async def test_streamed_items_belong_to_the_span_that_opened_their_batch(
    platform: Platform, waits: bool
) -> None:
    """The official SDK sends its place in a trace, and the parent, with the first request alone."""
    parent_id = await _trigger(platform)
    [run] = await platform.work("task")
    begun = {"runId": parent_id, "lease": run["lease"], "at": platform.clock.now()}
    await platform.report(started=[begun])
    own = (await _trace(platform, parent_id))["traceId"]
    await platform.http.post(
        "/otel/v1/traces",
        json=otlp.traces({"ctx.run.id": parent_id}, otlp.span("a" * 16, "batch.trigger()")),
    )
    place = {"traceparent": f"00-{own}-{'a' * 16}-01", "x-trigger-worker": "true"}
    link = {} if waits else {"x-trigger-span-parent-as-link": "1"}
    body = {"runCount": 2, "parentRunId": parent_id, "resumeParentOnCompletion": waits}
    opened = await platform.http.post("/api/v3/batches", json=body, headers=place | link)
    for index in (0, 1):
        content = json.dumps({"index": index, "task": "task"}) + "\n"
        await platform.http.post(
            f"/api/v3/batches/{opened.json()['id']}/items",
            content=content,
            headers={"content-type": "application/x-ndjson", "x-trigger-worker": "true"},
        )

    runs = (await platform.http.get(f"/api/v2/batches/{opened.json()['id']}")).json()["runs"]
    assert len(runs) == 2
    for run_id in runs:
        found = (await platform.http.get(f"/api/v3/runs/{run_id}")).json()
        assert found["relatedRuns"]["parent"]["id"] == parent_id
        assert ((await _trace(platform, run_id))["traceId"] == own) is waits
    tree = (await _trace(platform, parent_id))["rootSpan"]
    assert outline(tree, "Attempt 1", "batch.trigger()", "task") == [
        "task",
        "task > Attempt 1",
        "task > Attempt 1 > batch.trigger()",
        *["task > Attempt 1 > batch.trigger() > task"] * 2,
    ]


async def test_a_batch_of_a_run_that_is_not_there_is_refused(platform: Platform) -> None:
    """As a single run of it is."""
    body = {"runCount": 1, "parentRunId": "run_of_nobody"}
    assert (await platform.http.post("/api/v3/batches", json=body)).status_code == 404


async def test_a_span_whose_end_nobody_told_ends_with_its_run(
    platform: Platform, told: str
) -> None:
    """Its process was killed; until the run is over the span goes on."""
    body = otlp.traces({"ctx.run.id": told}, otlp.span("c" * 16, "open", endTimeUnixNano="0"))
    await platform.http.post("/otel/v1/traces", json=body)
    path = f"/api/v1/runs/{told}/spans/{'c' * 16}"
    going_on = (await platform.http.get(path)).json()
    assert (going_on["isPartial"], going_on["isCancelled"]) == (True, False)

    await platform.http.post(f"/api/v2/runs/{told}/cancel")
    platform.clock.advance(60_000)
    await platform.sweep()
    over = (await platform.http.get(path)).json()
    assert (over["isPartial"], over["isCancelled"]) == (False, True)


async def test_a_span_of_a_call_to_a_model_says_so(platform: Platform, told: str) -> None:
    """In OpenTelemetry's words for it, those of earlier libraries too; another span does not."""
    words = {
        "gen_ai.system": "openai",
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "small",
        "gen_ai.response.model": "small-2",
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.output_tokens": 12,
        "gen_ai.response.finish_reasons": ["stop"],
    }
    span = otlp.span("c" * 16, "chat", attributes=otlp.attributes(words))
    await platform.http.post("/otel/v1/traces", json=otlp.traces({"ctx.run.id": told}, span))

    detail = (await platform.http.get(f"/api/v1/runs/{told}/spans/{'c' * 16}")).json()
    assert detail["ai"] == {
        "model": "small-2",
        "provider": "openai",
        "operationName": "chat",
        "inputTokens": 30,
        "outputTokens": 12,
        "totalTokens": 42,
        "tokensPerSecond": 1200.0,
        "durationMs": 10.0,
        "finishReason": "stop",
    }
    plain = (await platform.http.get(f"/api/v1/runs/{told}/spans/{'b' * 16}")).json()
    assert "ai" not in plain


@both
async def test_a_trace_is_a_tree_with_every_required_key(platform: Platform, told: str) -> None:
    """Absent is not null; what is long is left to whoever asks for the span."""
    trace = await _trace(platform, told)
    assert RunTrace.model_validate({"trace": trace}).to_wire() == {"trace": trace}
    root = trace["rootSpan"]
    [attempt] = root["children"]
    [outer] = attempt["children"]
    [inner] = outer["children"]

    for span in (root, attempt, outer, inner):
        assert set(span) >= SPAN
        assert set(span["data"]) >= DATA
        assert None not in [*span.values(), *span["data"].values()]
    assert "truncated" not in trace
    assert [one["data"]["message"] for one in (root, attempt, outer, inner)] == [
        "task",
        "Attempt 1",
        "outer",
        "inner",
    ]
    assert (inner["id"], inner["parentId"], inner["runId"]) == ("b" * 16, "a" * 16, told)
    assert "properties" not in outer["data"]
    assert inner["data"] == {
        "message": "inner",
        "taskSlug": "task",
        "startTime": "2025-11-24T16:00:00.000Z",
        "duration": 10.0,
        "isError": False,
        "isPartial": False,
        "isCancelled": False,
        "level": "TRACE",
        "properties": {"k": "v"},
        "events": [
            {
                "name": "log",
                "time": "2025-11-24T16:00:00.000Z",
                "properties": {"level": "INFO", "source": "otel", "message": "hello"},
            }
        ],
    }


@both
async def test_events_come_in_the_order_they_began(platform: Platform, told: str) -> None:
    """Spans and lines."""
    answer = await platform.http.get(f"/api/v1/runs/{told}/events")
    events = answer.json()["events"]
    assert RunEvents.model_validate(answer.json()).to_wire() == answer.json()

    assert [(one["kind"], one["entityType"], one["message"]) for one in events] == [
        ("SERVER", "run", "task"),
        ("INTERNAL", "attempt", "Attempt 1"),
        ("INTERNAL", "span", "outer"),
        ("INTERNAL", "span", "inner"),
        ("LOG", "log", "hello"),
    ]
    assert (events[2]["startTime"], events[2]["duration"]) == ("1764000000000000000", 10_000_000)
    assert events[-1] == {
        "kind": "LOG",
        "entityType": "log",
        "runId": told,
        "taskSlug": "task",
        "parentId": "b" * 16,
        "message": "hello",
        "startTime": "1764000000000000000",
        "isError": False,
        "isPartial": False,
        "isCancelled": False,
        "level": "INFO",
        "attemptNumber": 1,
        "properties": {"n": 1},
    }


@both
async def test_one_span_is_read_with_everything(platform: Platform, told: str) -> None:
    """The run's own has no parent, which is said; the original's marks for its pages are left out."""
    outer = (await platform.http.get(f"/api/v1/runs/{told}/spans/{'a' * 16}")).json()
    assert outer["properties"] == {"text": "x" * 5_000, "n": 1}
    assert (outer["durationMs"], outer["isPartial"]) == (10.0, False)

    root_id = trace_context.root_span_id(told)
    root = (await platform.http.get(f"/api/v1/runs/{told}/spans/{root_id}")).json()
    assert root["parentId"] is None
    assert (root["entityType"], root["isPartial"]) == ("run", True)


async def test_runs_that_were_triggered_from_a_span_are_named(platform: Platform) -> None:
    """With their state."""
    parent = await _trigger(platform)
    [run] = await platform.work("task")
    await platform.report(
        started=[{"runId": parent, "lease": run["lease"], "at": platform.clock.now()}]
    )
    child = await platform.trigger("task", parentRunId=parent)
    attempt_id = trace_context.attempt_span_id(parent, 1)
    span = (await platform.http.get(f"/api/v1/runs/{parent}/spans/{attempt_id}")).json()

    assert span["triggeredRuns"] == [
        {
            "runId": child,
            "taskIdentifier": "task",
            "status": "QUEUED",
            "createdAt": "2025-11-24T16:00:00.000Z",
        }
    ]


async def test_what_is_not_there_is_not_found(platform: Platform, told: str) -> None:
    """Neither a run nor a span."""
    for path in ("run_x/trace", "run_x/events", f"run_x/spans/{'a' * 16}", f"{told}/spans/zz"):
        answer = await platform.http.get(f"/api/v1/runs/{path}")
        assert (answer.status_code, answer.headers["x-should-retry"]) == (404, "false")


async def test_a_public_token_reads_the_trace_of_its_run_alone(
    platform: Platform, told: str
) -> None:
    """As it reads the run."""
    answer = await platform.http.post("/api/v1/tasks/task/trigger", json={})
    own = answer.json()["id"]
    claims = jwt.decode(answer.headers["x-trigger-jwt"], options={"verify_signature": False})
    token = jwt.encode(claims | {"iat": 0, "exp": 2**40}, platform.key, algorithm="HS256")
    headers = {"authorization": f"Bearer {token}"}

    for path in ("trace", "events", f"spans/{trace_context.root_span_id(own)}"):
        mine = await platform.http.get(f"/api/v1/runs/{own}/{path}", headers=headers)
        other = await platform.http.get(f"/api/v1/runs/{told}/{path}", headers=headers)
        assert (mine.status_code, other.status_code) == (200, 403)


async def test_the_page_of_a_run_shows_its_trace(platform: Platform, told: str) -> None:
    """Spans and lines with their bars, within what the page's policy allows; a child's name is a link."""
    child = await platform.trigger("task", parentRunId=told)
    platform.clock.advance(20)
    page = (await platform.http.get(f"/runs/{told}", headers={"authorization": ""})).text

    for text in ("Attempt 1", "outer", "inner", "hello"):
        assert f">{text}<" in page.replace("<i></i>", ">")
    assert f'<a href="/runs/{child}">task</a>' in page
    assert '<rect x="0" y="2" width="1000" height="6"/>' in page
    assert "style=" not in page


async def test_names_of_spans_are_shown_and_not_executed(platform: Platform, told: str) -> None:
    """Anybody whose code runs can name one."""
    evil = otlp.span("c" * 16, "<script>alert(1)</script>")
    await platform.http.post("/otel/v1/traces", json=otlp.traces({"ctx.run.id": told}, evil))
    page = (await platform.http.get(f"/runs/{told}", headers={"authorization": ""})).text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


async def test_where_a_run_was_triggered_from_is_told_with_its_span(platform: Platform) -> None:
    """The headers of a program outside, the link to a task."""
    outside = await _trigger(platform, traceparent=CALLER, tracestate="vendor=1")
    linked = await _trigger(
        platform,
        traceparent=CALLER,
        x_trigger_worker="true",
        x_trigger_span_parent_as_link="1",
    )
    root = trace_context.root_span_id
    first = (await platform.http.get(f"/api/v1/runs/{outside}/spans/{root(outside)}")).json()
    second = (await platform.http.get(f"/api/v1/runs/{linked}/spans/{root(linked)}")).json()

    assert first["properties"] == {"trigger.traceparent": CALLER, "trigger.tracestate": "vendor=1"}
    assert second["links"] == [{"traceId": otlp.TRACE, "spanId": "00f067aa0ba902b7"}]
