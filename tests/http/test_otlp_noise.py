"""Whatever is sent to the OTLP routes, the mistake is the sender's, and it costs us little."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from support import otlp
from trigger_core.errors import UsageError
from trigger_platform.otlp import body, from_json, from_protobuf
from trigger_platform.otlp.offered import Offered, offered
from trigger_platform.otlp.room import Room

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
MANY = settings(max_examples=300)


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


def _offered(reader: Any, content: bytes, signal: str) -> Offered:
    room = Room()
    return offered(reader.read(content, signal, room), room.surplus, NOW)


def _read(content: bytes, signal: str) -> None:
    _try(lambda: _offered(from_json, content, signal))


@MANY
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


@MANY
@given(st.binary(max_size=200), SIGNALS)
def test_noise_is_refused(content: bytes, signal: str) -> None:
    """As JSON, as protobuf, as gzip."""
    _read(content, signal)
    _try(lambda: _offered(from_protobuf, content, signal))
    _try(lambda: body.unpack(content, "gzip", body.LIMIT))


@MANY
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
    _try(lambda: _offered(from_protobuf, bytes(content), "traces"))


def _field(number: int, content: bytes) -> bytes:
    """Return a field of protobuf that has a length."""
    length, size = len(content), b""
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


def _filled(head: str, unit: str, tail: str) -> bytes:
    count = (body.LIMIT - len(head) - len(tail)) // (len(unit) + 1)
    return (head + ",".join([unit] * count) + tail).encode()


_MANY = (body.LIMIT - 100) // 2
_SPANS = '{"resourceSpans":[{"scopeSpans":[{"spans":['
_ATTRIBUTES = _SPANS + '{"attributes":['
_ARRAY = _ATTRIBUTES + '{"key":"a","value":{"arrayValue":{"values":['
BOMBS: dict[str, tuple[Any, str, bytes]] = {
    "spans": (from_json, "traces", _filled(_SPANS, "{}", "]}]}]}")),
    "resources": (from_json, "traces", _filled('{"resourceSpans":[', "{}", "]}")),
    "attributes": (from_json, "traces", _filled(_ATTRIBUTES, "{}", "]}]}]}]}")),
    "values": (from_json, "traces", _filled(_ARRAY, "{}", "]}}}]}]}]}]}")),
    "numbers": (from_json, "traces", _filled(_ARRAY, "1", "]}}}]}]}]}]}")),
    "unknown": (from_json, "logs", _filled('{"x":[', "[]", "]}")),
    "metrics": (
        from_json,
        "metrics",
        _filled('{"resourceMetrics":[{"scopeMetrics":[{"metrics":[', "{}", "]}]}]}"),
    ),
    "protobuf spans": (from_protobuf, "traces", _field(1, _field(2, b"\x12\x00" * _MANY))),
    "protobuf resources": (from_protobuf, "traces", b"\x0a\x00" * _MANY),
    "protobuf attributes": (
        from_protobuf,
        "traces",
        _field(1, _field(2, _field(2, b"\x4a\x00" * _MANY))),
    ),
    "protobuf logs": (from_protobuf, "logs", _field(1, _field(2, b"\x12\x00" * _MANY))),
    "protobuf metrics": (from_protobuf, "metrics", _field(1, _field(2, b"\x12\x00" * _MANY))),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_packed_body_cannot_make_much_work(name: str) -> None:
    """Eight mebibytes of nothing pack into 36 kilobytes; whether read or refused, they cost a moment."""
    reader, signal, content = BOMBS[name]
    assert len(content) <= body.LIMIT
    began = time.process_time()
    with suppress(UsageError):
        _offered(reader, content, signal)

    assert time.process_time() - began < 5


def test_records_that_are_too_many_are_counted_without_being_read() -> None:
    """The first five thousand are looked at."""
    found = _offered(*_swapped("protobuf spans"))
    assert (found.offers, found.invalid, found.surplus) == ([], 5_000, _MANY - 5_000)


def _swapped(name: str) -> tuple[Any, bytes, str]:
    reader, signal, content = BOMBS[name]
    return reader, content, signal
