"""Whatever is sent to the OTLP routes, the mistake is the sender's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support import otlp
from trigger_core.errors import UsageError
from trigger_platform.otlp import body, from_json, from_protobuf
from trigger_platform.otlp.offered import offered

NOW = 1_764_000_000_000
SIGNALS = st.sampled_from(["traces", "logs", "metrics"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
WHOLE = {
    "traces": otlp.traces(
        {"ctx.run.id": "run_1", "n": 1, "list": [1.5, {"a": True}]},
        otlp.span(
            "a" * 16,
            attributes=otlp.attributes({"k": "v"}),
            events=[{"name": "e", "timeUnixNano": "1", "attributes": []}],
            links=[{"traceId": otlp.TRACE, "spanId": "b" * 16}],
            status={"code": 2},
        ),
    ),
    "logs": otlp.logs({"ctx.run.id": "run_1"}, otlp.line("hello")),
    "metrics": {
        "resourceMetrics": [
            {"scopeMetrics": [{"metrics": [{"gauge": {"dataPoints": [{"asInt": "1"}]}}]}]}
        ]
    },
}
CALM = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return found + [place for key, inner in items for place in _places(inner, (*path, key))]


def _try(work: Callable[[], Any]) -> None:
    """Do it; only the sender's mistakes are allowed."""
    try:
        work()
    except UsageError as error:
        event(error.code)


def _read(content: bytes, signal: str) -> None:
    _try(lambda: offered(from_json.read(content, signal), NOW))


@CALM
@given(st.data(), SIGNALS, VALUES)
def test_a_good_export_with_anything_in_one_place_is_read_or_refused(
    data: st.DataObject, signal: str, value: Any
) -> None:
    """Every place, every kind of value."""
    whole = json.loads(json.dumps(WHOLE[signal]))
    *path, last = data.draw(st.sampled_from(_places(whole)))
    target = whole
    for key in path:
        target = target[key]
    target[last] = value

    _read(json.dumps(whole).encode(errors="surrogatepass"), signal)


@CALM
@given(st.binary(max_size=200), SIGNALS)
def test_noise_is_refused(content: bytes, signal: str) -> None:
    """As JSON, as protobuf, as gzip."""
    _read(content, signal)
    _try(lambda: offered(from_protobuf.read(content, signal), NOW))
    _try(lambda: body.unpack(content, "gzip"))


@CALM
@given(st.integers(0, 200), st.binary(min_size=1, max_size=3))
def test_a_good_message_with_noise_in_it_is_read_or_refused(place: int, noise: bytes) -> None:
    """Protobuf has few ways to be wrong, and each must be ours to name."""
    message = ExportTraceServiceRequest()
    one = message.resource_spans.add()
    one.resource.attributes.add(key="ctx.run.id").value.string_value = "run_1"
    one.scope_spans.add().spans.add(
        name="work", trace_id=b"\1" * 16, span_id=b"\1" * 8, start_time_unix_nano=1
    )
    content = bytearray(message.SerializeToString())
    content[place : place + len(noise)] = noise
    _try(lambda: offered(from_protobuf.read(bytes(content), "traces"), NOW))
