"""What OpenTelemetry exporters send: taken as JSON and as protobuf, within limits, from those who may."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from support import otlp
from support.http import Platform
from trigger_platform.engine.unit import Unit

PROTOBUF = {"content-type": "application/x-protobuf"}
NOBODY = {"authorization": ""}

both = pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)


async def _started(platform: Platform) -> dict[str, Any]:
    """Begin a run; return the attributes that its worker exports with."""
    await platform.trigger("task")
    [run] = await platform.work("task")
    begun = {"runId": run["runId"], "lease": run["lease"], "at": platform.clock.now()}
    await platform.report(started=[begun])
    environment_id = platform.server.local.environment.id
    return {"$trigger": True, "ctx.environment.id": environment_id, "ctx.run.id": run["runId"]}


async def _export(platform: Platform, signal: str, body: Any, **headers: str) -> dict[str, Any]:
    answer = await platform.http.post(f"/otel/v1/{signal}", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _rows(platform: Platform, columns: str, table: str = "span") -> list[tuple[Any, ...]]:
    def select(u: Unit) -> list[tuple[Any, ...]]:
        text = f"select {columns} from {table} order by id"  # noqa: S608 - a test's own words
        if hasattr(u.tx, "plain"):
            return list(u.tx.plain(text))
        return list(u.tx._connection.execute(text))  # type: ignore[attr-defined]

    return await platform.server.units.read(select)


def _anonymous(platform: Platform) -> None:
    del platform.http.headers["authorization"]


@both
async def test_spans_are_taken_with_a_key(platform: Platform) -> None:
    """As they are, with the moments, the status and what belongs to them."""
    who = await _started(platform)
    failed = otlp.span(
        "b" * 16,
        "charge",
        parent="a" * 16,
        status={"code": 2, "message": "declined"},
        attributes=otlp.attributes({"amount": 9.5, "tags": ["x", 1], "ctx.task.id": "task"}),
        events=[{"name": "retry", "timeUnixNano": "1764000000001000000"}],
    )

    assert await _export(platform, "traces", otlp.traces(who, failed)) == {}

    columns = "run_id, trace_id, span_id, parent_id, name, started_ns, ended_ns, is_error, message"
    assert await _rows(platform, columns) == [
        (
            who["ctx.run.id"],
            otlp.TRACE,
            "b" * 16,
            "a" * 16,
            "charge",
            1_764_000_000_000_000_000,
            1_764_000_000_010_000_000,
            1,
            "declined",
        )
    ]
    [(attributes, events)] = await _rows(platform, "attributes, events")
    assert json.loads(attributes) == {"amount": 9.5, "tags": ["x", 1]}
    assert json.loads(events) == [
        {"name": "retry", "time": 1_764_000_000_001_000_000, "properties": {}}
    ]


@both
async def test_log_records_become_lines_of_the_run(platform: Platform) -> None:
    """With their level and their span."""
    who = await _started(platform)
    record = otlp.line(
        "hello",
        span_id="a" * 16,
        severityNumber=17,
        attributes=otlp.attributes({"n": 1, "ctx.attempt.number": 1}),
    )
    assert await _export(platform, "logs", otlp.logs(who, record)) == {}

    [line] = (await platform.http.get(f"/api/v1/runs/{who['ctx.run.id']}/logs")).json()["data"]
    assert line | {"id": 0} == {
        "id": 0,
        "attempt": 1,
        "time": "2025-11-24T16:00:00.000Z",
        "level": "ERROR",
        "source": "otel",
        "message": "hello",
        "attributes": {"n": 1},
        "spanId": "a" * 16,
    }


@both
async def test_what_is_exported_again_is_there_once(platform: Platform) -> None:
    """An exporter whose answer was lost sends the batch again."""
    who = await _started(platform)
    for _ in range(2):
        await _export(platform, "traces", otlp.traces(who, otlp.span("a" * 16)))
        await _export(platform, "logs", otlp.logs(who, otlp.line("a"), otlp.line("b")))

    assert await _rows(platform, "span_id") == [("a" * 16,)]
    assert await _rows(platform, "message", "run_log") == [("a",), ("b",)]
    told = "(select 1 as id, * from telemetry) as t"
    assert await _rows(platform, "records", told) == [(3,)]


async def test_the_official_worker_says_whose_a_record_is_in_words_of_its_own(
    platform: Platform,
) -> None:
    """``$metadata.`` stands before the run's id; what announces a span has an id of its own."""
    who = await _started(platform)
    run_id = who["ctx.run.id"]
    resource = {"$trigger": True, "ctx.environment.id": who["ctx.environment.id"]}
    about = {"$metadata.ctx.run.id": run_id, "$metadata.ctx.attempt.number": 1}
    announcing = about | {"$span.partial": True, "$span.span_id": "b" * 16}
    _anonymous(platform)
    announced = otlp.span("e" * 16, "step", attributes=otlp.attributes(announcing))
    ended = otlp.span("b" * 16, "step", attributes=otlp.attributes(about | {"n": 1}))
    line = otlp.line("hello", span_id="b" * 16, attributes=otlp.attributes(about))

    assert await _export(platform, "traces", otlp.traces(resource, announced)) == {}
    assert await _rows(platform, "span_id, name, ended_ns") == [("b" * 16, "step", None)]
    assert await _export(platform, "traces", otlp.traces(resource, ended)) == {}
    assert await _export(platform, "logs", otlp.logs(resource, line)) == {}
    assert await _rows(platform, "span_id, ended_ns is null, attributes") == [
        ("b" * 16, 0, '{"n":1}')
    ]
    found = await _rows(platform, "run_id, attempt, message, attributes", "run_log")
    assert found == [(run_id, 1, "hello", None)]


@both
async def test_the_end_of_a_span_replaces_its_announcement_and_never_the_other_way(
    platform: Platform,
) -> None:
    """As a line, as a partial span; whatever comes first."""
    who = await _started(platform)
    partial = otlp.attributes({"$span.partial": True})
    announced = otlp.line(
        "step",
        span_id="a" * 16,
        attributes=otlp.attributes({"$span.partial": True, "$span.span_id": "b" * 16}),
    )
    await _export(platform, "logs", otlp.logs(who, announced))
    assert await _rows(platform, "span_id, parent_id, name, ended_ns") == [
        ("b" * 16, "a" * 16, "step", None)
    ]

    ended = otlp.span("b" * 16, "step", parent="a" * 16)
    again = otlp.span("b" * 16, "too late", attributes=partial)
    await _export(platform, "traces", otlp.traces(who, again, ended, again))
    await _export(platform, "traces", otlp.traces(who, again))
    await _export(platform, "logs", otlp.logs(who, announced))

    assert await _rows(platform, "name, ended_ns") == [("step", 1_764_000_000_010_000_000)]
    assert await _rows(platform, "message", "run_log") == []


async def test_protobuf_is_taken_and_answered_in_kind(platform: Platform) -> None:
    """Packed or not."""
    who = await _started(platform)
    traces, logs = ExportTraceServiceRequest(), ExportLogsServiceRequest()
    one = traces.resource_spans.add()
    line = logs.resource_logs.add()
    for resource in (one.resource, line.resource):
        for key, value in who.items():
            if isinstance(value, str):
                resource.attributes.add(key=key).value.string_value = value
    span = one.scope_spans.add().spans.add(
        name="work",
        trace_id=bytes.fromhex(otlp.TRACE),
        span_id=b"\1" * 8,
        start_time_unix_nano=1,
        end_time_unix_nano=2,
    )
    span.attributes.add(key="list").value.array_value.values.add(int_value=-1)
    span.attributes.add(key="raw").value.bytes_value = b"\0"
    nested = span.attributes.add(key="map").value.kvlist_value.values.add(key="k")
    nested.value.bool_value = True
    record = line.scope_logs.add().log_records.add(severity_number=5)
    record.body.string_value = "hello"

    for signal, message in (("traces", traces), ("logs", logs)):
        packed = gzip.compress(message.SerializeToString())
        headers = PROTOBUF | {"content-encoding": "gzip"}
        answer = await platform.http.post(f"/otel/v1/{signal}", content=packed, headers=headers)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["content-type"] == "application/x-protobuf"

    [(span_id, ended, attributes)] = await _rows(platform, "span_id, ended_ns, attributes")
    assert (span_id, ended) == ("01" * 8, 2)
    assert json.loads(attributes) == {"list": [-1], "raw": "AA==", "map": {"k": True}}
    assert await _rows(platform, "message, level, attempt", "run_log") == [("hello", "DEBUG", 1)]


async def test_the_part_that_is_refused_is_told(platform: Platform) -> None:
    """A span of nobody's run, and one without an identity; the good one is taken."""
    who = await _started(platform)
    stranger = who | {"ctx.run.id": "run_of_nobody"}
    body = otlp.traces(who, otlp.span("a" * 16), otlp.span("zz"), otlp.span("0" * 16))
    body["resourceSpans"] += otlp.traces(stranger, otlp.span("b" * 16))["resourceSpans"]

    told = (await _export(platform, "traces", body))["partialSuccess"]
    assert told["rejectedSpans"] == "3"
    assert "2 refused: their ids or moments cannot be" in told["errorMessage"]
    assert await _rows(platform, "span_id") == [("a" * 16,)]

    alone = ExportTraceServiceRequest()
    alone.resource_spans.add().scope_spans.add().spans.add(name="no id")
    answer = await platform.http.post(
        "/otel/v1/traces", content=alone.SerializeToString(), headers=PROTOBUF
    )
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_spans == 1


async def _points(platform: Platform, who: dict[str, Any], **query: str) -> list[dict[str, Any]]:
    path = f"/api/v1/runs/{who['ctx.run.id']}/metrics"
    answer = await platform.http.get(path, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["hasMore"] is False
    return list(answer.json()["data"])


@both
async def test_data_points_of_metrics_are_kept_and_read_back(platform: Platform) -> None:
    """One number, or a distribution; sent again they are there once."""
    who = await _started(platform)
    at = {"timeUnixNano": "1764000000000000000"}
    body = otlp.metrics(
        who,
        {
            "name": "orders",
            "unit": "{order}",
            "sum": {
                "aggregationTemporality": 2,
                "isMonotonic": True,
                "dataPoints": [
                    at | {"asInt": "3", "attributes": otlp.attributes({"kind": "vip"})},
                    {"timeUnixNano": "1764000001000000000", "asInt": "5"},
                ],
            },
        },
        {
            "name": "latency",
            "unit": "ms",
            "histogram": {
                "aggregationTemporality": 1,
                "dataPoints": [
                    at
                    | {
                        "startTimeUnixNano": "1763999999000000000",
                        "count": "3",
                        "sum": 7.5,
                        "min": 0.5,
                        "explicitBounds": [1, 5],
                        "bucketCounts": ["1", "1", "1"],
                    }
                ],
            },
        },
        {"name": "load", "gauge": {"dataPoints": [at | {"asDouble": 0.5}]}},
    )
    for _ in range(2):
        assert await _export(platform, "metrics", body) == {}

    sums = {"kind": "sum", "unit": "{order}"}
    details = {"temporality": "cumulative", "isMonotonic": True}
    first = {"name": "orders", "time": "2025-11-24T16:00:00.000Z", "value": 3, "details": details}
    second = {"name": "orders", "time": "2025-11-24T16:00:01.000Z", "value": 5, "details": details}
    latency = {
        "name": "latency",
        "kind": "histogram",
        "unit": "ms",
        "startTime": "2025-11-24T15:59:59.000Z",
        "time": "2025-11-24T16:00:00.000Z",
        "details": {
            "temporality": "delta",
            "count": 3,
            "bounds": [1, 5],
            "counts": [1, 1, 1],
            "sum": 7.5,
            "min": 0.5,
        },
    }
    load = {"name": "load", "kind": "gauge", "time": "2025-11-24T16:00:00.000Z", "value": 0.5}
    orders = [first | sums | {"attributes": {"kind": "vip"}}, second | sums]
    assert await _points(platform, who) == [latency, load, *orders]
    assert await _points(platform, who, name="orders") == orders


@both
async def test_data_points_come_as_protobuf_too(platform: Platform) -> None:
    """Each of the five kinds, with what it says."""
    who = await _started(platform)
    message = ExportMetricsServiceRequest()
    resource = message.resource_metrics.add()
    for name, value in who.items():
        if isinstance(value, str):
            resource.resource.attributes.add(key=name).value.string_value = value
    add = resource.scope_metrics.add().metrics.add
    at = {"time_unix_nano": 1_764_000_000_000_000_000}
    add(name="a").gauge.data_points.add(as_int=-1, **at)
    add(name="b").sum.data_points.add(as_double=2.5, **at)
    add(name="c").histogram.data_points.add(
        count=2, sum=3, explicit_bounds=[1], bucket_counts=[1, 1], **at
    )
    spread = add(name="d").exponential_histogram.data_points.add(count=1, scale=-2, **at)
    spread.positive.offset = 4
    spread.positive.bucket_counts.extend([0, 1])
    last = add(name="e").summary.data_points.add(count=4, sum=9, **at)
    last.quantile_values.add(quantile=0.5, value=2)

    answer = await platform.http.post(
        "/otel/v1/metrics", content=message.SerializeToString(), headers=PROTOBUF
    )
    assert answer.content == b""
    told = {one["name"]: one for one in await _points(platform, who)}
    assert [one["kind"] for one in told.values()] == [
        "gauge",
        "sum",
        "histogram",
        "exponentialHistogram",
        "summary",
    ]
    assert (told["a"]["value"], told["b"]["value"]) == (-1, 2.5)
    assert told["c"]["details"] == {"count": 2, "sum": 3, "bounds": [1], "counts": [1, 1]}
    assert told["d"]["details"]["positive"] == {"offset": 4, "counts": [0, 1]}
    assert told["e"]["details"] == {"count": 4, "sum": 9, "quantiles": [[0.5, 2]]}


async def test_data_points_that_cannot_be_are_refused(platform: Platform) -> None:
    """Without a moment, without a number, of nobody's run."""
    who = await _started(platform)
    at = {"timeUnixNano": "1764000000000000000"}
    points = [{"asInt": "1"}, at, at | {"asDouble": "NaN"}, at | {"asDouble": 1}]
    body = otlp.metrics(who, {"name": "m", "gauge": {"dataPoints": points}})
    stranger = who | {"ctx.run.id": "run_of_nobody"}
    body["resourceMetrics"] += otlp.metrics(
        stranger, {"name": "m", "gauge": {"dataPoints": [at | {"asInt": "1"}]}}
    )["resourceMetrics"]

    told = (await _export(platform, "metrics", body))["partialSuccess"]
    assert told["rejectedDataPoints"] == "4"
    assert [one["value"] for one in await _points(platform, who)] == [1]

    message = ExportMetricsServiceRequest()
    metric = message.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    metric.gauge.data_points.add(as_int=1)
    answer = await platform.http.post(
        "/otel/v1/metrics", content=message.SerializeToString(), headers=PROTOBUF
    )
    partial = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_data_points == 1


async def test_a_worker_without_a_key_tells_about_its_own_run(platform: Platform) -> None:
    """The official one sends none: environment and run are named together, on the record or its resource."""
    who = await _started(platform)
    _anonymous(platform)
    on_record = otlp.span("b" * 16, attributes=otlp.attributes(who))

    assert await _export(platform, "traces", otlp.traces(who, otlp.span("a" * 16))) == {}
    assert await _export(platform, "traces", otlp.traces({}, on_record)) == {}
    assert await _export(platform, "logs", otlp.logs(who, otlp.line("a"))) == {}
    assert await _rows(platform, "span_id") == [("a" * 16,), ("b" * 16,)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"ctx.environment.id": "other"},
        {"ctx.environment.id": ""},
        {"ctx.run.id": "run_other"},
        {"ctx.run.id": ""},
    ],
)
async def test_without_a_key_a_record_must_name_run_and_environment(
    platform: Platform, wrong: dict[str, str]
) -> None:
    """One of them is not enough."""
    who = await _started(platform) | wrong
    _anonymous(platform)
    for signal, body in (
        ("traces", otlp.traces(who, otlp.span("a" * 16))),
        ("logs", otlp.logs(who, otlp.line("a"))),
    ):
        assert "partialSuccess" in await _export(platform, signal, body)

    assert await _rows(platform, "span_id") == []
    assert await _rows(platform, "message", "run_log") == []


async def test_without_a_key_only_a_run_that_has_begun_and_lately_lived_is_told_about(
    platform: Platform,
) -> None:
    """A run nobody executes has no exporter."""
    waiting = await platform.trigger("other")
    who = await _started(platform)
    _anonymous(platform)
    idle = otlp.traces(who | {"ctx.run.id": waiting}, otlp.span("c" * 16))
    assert "partialSuccess" in await _export(platform, "traces", idle)

    platform.http.headers["authorization"] = f"Bearer {platform.key}"
    await platform.http.post(f"/api/v2/runs/{who['ctx.run.id']}/cancel")
    _anonymous(platform)
    platform.clock.advance(60_000)
    await platform.sweep()
    body = otlp.traces(who, otlp.span("a" * 16))
    assert await _export(platform, "traces", body) == {}
    platform.clock.advance(601_000)
    later = otlp.traces(who, otlp.span("b" * 16))
    assert "partialSuccess" in await _export(platform, "traces", later)


async def test_without_a_key_nothing_is_taken_for_an_environment_that_is_deployed(
    platform: Platform,
) -> None:
    """There the run's id alone would be the key."""
    who = await _started(platform)

    def deploy(u: Unit) -> None:
        u.tx._connection.execute("update environment set type = 'PRODUCTION'")  # type: ignore[attr-defined]

    await platform.server.units.write(deploy)
    _anonymous(platform)
    told = await _export(platform, "traces", otlp.traces(who, otlp.span("a" * 16)))

    assert told["partialSuccess"]["rejectedSpans"] == "1"


async def test_a_wrong_key_is_refused_and_not_ignored(platform: Platform) -> None:
    """Though no key at all would do."""
    who = await _started(platform)
    wrong = {"authorization": "Bearer tr_dev_wrong"}
    answer = await platform.http.post(
        "/otel/v1/traces", json=otlp.traces(who, otlp.span("a" * 16)), headers=wrong
    )

    assert answer.status_code == 401
    assert await _rows(platform, "span_id") == []


async def test_the_key_of_another_collector_is_not_looked_at(platform: Platform) -> None:
    """A project that sets ``OTEL_EXPORTER_OTLP_HEADERS`` for its own exporters sends them to us too."""
    who = await _started(platform)
    body = otlp.traces(who, otlp.span("a" * 16))
    for shown in ("Basic dXNlcjpwYXNz", "Bearer a.b.c", "secret"):
        assert await _export(platform, "traces", body, authorization=shown) == {}
    assert await _rows(platform, "span_id") == [("a" * 16,)]


GZIP = {"content-type": "application/json", "content-encoding": "gzip"}
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"", JSON, 400, "OTLP_INVALID"),
        (b"[]", JSON, 400, "OTLP_INVALID"),
        (b"\xff\xfe", JSON, 400, "OTLP_INVALID"),
        (b"[" * 100_000, JSON, 400, "OTLP_INVALID"),
        (b'{"resourceSpans": 1}', JSON, 400, "OTLP_INVALID"),
        (b'{"resourceSpans": [1]}', JSON, 400, "OTLP_INVALID"),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": 1}]}]}]}',
            JSON,
            400,
            "OTLP_INVALID",
        ),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": "x"}]}]}]}',
            JSON,
            400,
            "OTLP_INVALID",
        ),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": 1e400}]}]}]}',
            JSON,
            400,
            "OTLP_INVALID",
        ),
        (
            b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "\\ud800"}]}]}]}',
            JSON,
            400,
            "OTLP_INVALID",
        ),
        (b"no gzip", GZIP, 400, "OTLP_INVALID"),
        (gzip.compress(b"{}", mtime=0)[:-4], GZIP, 400, "OTLP_INVALID"),
        (gzip.compress(b"{}", mtime=0) + b"more", GZIP, 400, "OTLP_INVALID"),
        (gzip.compress(b" " * (9 * 1024 * 1024), mtime=0), GZIP, 413, "PAYLOAD_TOO_LARGE"),
        (b" " * (8 * 1024 * 1024 + 1), JSON, 413, "PAYLOAD_TOO_LARGE"),
        (b"{}", JSON | {"content-encoding": "br"}, 400, "OTLP_ENCODING"),
        (b"{}", {"content-type": "text/plain"}, 400, "OTLP_CONTENT_TYPE"),
    ],
    ids=lambda one: str(one)[:40],
)
async def test_what_cannot_be_read_is_the_senders_mistake(
    platform: Platform, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    """Never ours; sending it again would not help."""
    answer = await platform.http.post("/otel/v1/traces", content=content, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_broken_protobuf_is_refused_in_protobuf(platform: Platform) -> None:
    """The message of a Status."""
    for signal in ("traces", "logs", "metrics"):
        answer = await platform.http.post(
            f"/otel/v1/{signal}", content=b"\x0a\xff", headers=PROTOBUF
        )
        assert (answer.status_code, answer.content) == (400, b"\x12\x10Invalid protobuf")


async def test_values_that_json_cannot_hold_or_that_are_too_large_are_cut(
    platform: Platform,
) -> None:
    """A span is kept with what there is room for."""
    who = await _started(platform)
    deep: Any = "end"
    for _ in range(40):
        deep = [deep]
    many = {f"k{n}": n for n in range(1_000)}
    body = otlp.traces(
        who,
        otlp.span("a" * 16, "n" * 5_000, attributes=otlp.attributes(many)),
        otlp.span("b" * 16, attributes=otlp.attributes({"deep": deep, "text": "x" * 100_000})),
    )
    assert await _export(platform, "traces", body) == {}

    rows = await _rows(platform, "name, attributes")
    assert len(rows[0][0]) == 1024
    assert len(json.loads(rows[0][1])) == 256
    assert len(json.loads(rows[1][1])["text"]) == 16 * 1024


async def test_a_run_can_tell_only_so_much(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is over the limit is refused and counted; other runs are not affected."""
    monkeypatch.setattr("trigger_platform.engine.telemetry._RECORDS", 3)
    who = await _started(platform)
    spans = [otlp.span(f"{n:016x}") for n in range(1, 6)]
    told = await _export(platform, "traces", otlp.traces(who, *spans[:2]))
    assert told == {}
    told = (await _export(platform, "traces", otlp.traces(who, *spans)))["partialSuccess"]

    assert told["rejectedSpans"] == "2"
    assert len(await _rows(platform, "span_id")) == 3
    assert await _rows(platform, "records, refused", "(select 1 as id, * from telemetry) as t") == [
        (3, 2)
    ]


async def test_too_many_records_at_once_are_refused_from_the_limit_on(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first are taken."""
    monkeypatch.setattr("trigger_platform.otlp.room.RECORDS", 2)
    who = await _started(platform)
    spans = [otlp.span(f"{n:016x}") for n in range(1, 6)]
    told = (await _export(platform, "traces", otlp.traces(who, *spans)))["partialSuccess"]

    assert told["rejectedSpans"] == "3"
    assert len(await _rows(platform, "span_id")) == 2


async def test_attributes_that_say_whose_a_span_is_count_beside_the_others(
    platform: Platform,
) -> None:
    """However many of others stand before them."""
    who = await _started(platform)
    many = {f"k{n}": n for n in range(300)} | {"$metadata.ctx.run.id": who["ctx.run.id"]}
    body = otlp.traces({}, otlp.span("a" * 16, attributes=otlp.attributes(many)))
    assert await _export(platform, "traces", body) == {}

    [(attributes,)] = await _rows(platform, "attributes")
    assert len(json.loads(attributes)) == 256


async def test_who_shows_nothing_sends_less(platform: Platform) -> None:
    """Packed or not; a key allows more."""
    large = b" " * (2 * 1024 * 1024) + b"{}"
    small = b" " * (1024 * 1024) + b"{}"
    for content, headers in (
        (large, JSON),
        (gzip.compress(large), GZIP),
        (gzip.compress(small), GZIP),
    ):
        path = "/otel/v1/traces"
        answer = await platform.http.post(path, content=content, headers=headers)
        assert answer.status_code == 200
        answer = await platform.http.post(path, content=content, headers=headers | NOBODY)
        assert answer.status_code == 413


async def test_strangers_who_never_finish_hold_up_nobody_who_shows_something(
    platform: Platform,
) -> None:
    """Sixteen of them are listened to at a time; the next one waits for its turn."""
    who = await _started(platform)
    heard, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"{"
        heard.release()
        await go_on.wait()
        yield b"}"

    def stranger() -> asyncio.Task[httpx.Response]:
        headers = JSON | NOBODY
        asking = platform.http.post("/otel/v1/traces", content=slowly(), headers=headers)
        return asyncio.create_task(asking)

    strangers = [stranger() for _ in range(17)]
    for _ in range(16):
        await heard.acquire()
    assert await _export(platform, "traces", otlp.traces(who, otlp.span("a" * 16))) == {}
    assert heard.locked()
    go_on.set()
    answers = await asyncio.gather(*strangers)
    assert {answer.status_code for answer in answers} == {200}


async def test_a_stranger_who_is_too_slow_is_sent_away(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However steadily he sends; the time of those who wait for their turn does not count."""
    monkeypatch.setattr("trigger_platform.http.routes.otlp._PATIENCE_S", 0.01)

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    answer = await platform.http.post("/otel/v1/traces", content=never(), headers=JSON | NOBODY)

    assert (answer.status_code, answer.json()["code"]) == (408, "OTLP_TOO_SLOW")


async def test_numbers_that_json_does_not_have_are_read_back_as_nothing(platform: Platform) -> None:
    """Not as text that no reader of JSON understands."""
    who = await _started(platform)
    message = ExportTraceServiceRequest()
    one = message.resource_spans.add()
    one.resource.attributes.add(key="ctx.run.id").value.string_value = who["ctx.run.id"]
    span = one.scope_spans.add().spans.add(
        trace_id=b"\1" * 16, span_id=b"\1" * 8, start_time_unix_nano=1, end_time_unix_nano=2
    )
    span.attributes.add(key="a").value.double_value = float("nan")
    span.attributes.add(key="b").value.double_value = float("inf")
    await platform.http.post(
        "/otel/v1/traces", content=message.SerializeToString(), headers=PROTOBUF
    )

    assert await _rows(platform, "attributes") == [('{"a":null,"b":null}',)]


@both
@pytest.mark.parametrize(
    "name", ["run_\0", "run_" + "x" * 10_000, "\ufffe", "run_'; drop table run"]
)
async def test_a_name_that_no_run_can_have_is_a_strangers(platform: Platform, name: str) -> None:
    """Whatever it would do to a database."""
    body = otlp.traces({"ctx.run.id": name}, otlp.span("a" * 16, "\0", message="\0"))
    told = await _export(platform, "traces", body)

    assert told["partialSuccess"]["rejectedSpans"] == "1"


@both
async def test_texts_with_a_nul_are_kept(platform: Platform) -> None:
    """PostgreSQL has none, and shows a mark in its place."""
    who = await _started(platform)
    nul = otlp.attributes({"k\0": "\0"})
    await _export(platform, "traces", otlp.traces(who, otlp.span("a" * 16, "a\0b", attributes=nul)))
    await _export(platform, "logs", otlp.logs(who, otlp.line("a\0b", attributes=nul)))

    run_id = who["ctx.run.id"]
    events = (await platform.http.get(f"/api/v1/runs/{run_id}/events")).json()["events"]
    assert [one["message"].replace("\ufffd", "\0") for one in events][-2:] == ["a\0b", "a\0b"]
