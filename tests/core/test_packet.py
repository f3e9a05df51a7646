"""Packets: what is written can be read, by us and by the other clients."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from trigger_core import packet, superjson
from trigger_core.packet import UnserializableError

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.datetimes(timezones=st.just(UTC)).map(lambda d: d.replace(microsecond=0))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.sets(st.integers()),
    max_leaves=15,
)


@given(VALUES)
def test_a_value_survives(value: Any) -> None:
    """Whatever it is made of."""
    written = packet.encode(value)

    assert packet.decode(written.data, written.type) == value


@pytest.mark.parametrize(
    ("document", "value"),
    [
        ({"json": {"a": 1}}, {"a": 1}),
        ({"json": "2026-01-01T00:00:00.000Z", "meta": {"values": ["Date"]}}, MOMENT),
        (
            {
                "json": {"items": ["2026-01-01T00:00:00.000Z"]},
                "meta": {"values": {"items": [["set"], {"0": ["Date"]}]}},
            },
            {"items": {MOMENT}},
        ),
        (
            {
                "json": {"items": ["2026-01-01T00:00:00.000Z"]},
                "meta": {"values": {"items": ["set", {"0": ["Date"]}]}},
            },
            {"items": {MOMENT}},
        ),
        ({"json": [[1, "a"]], "meta": {"values": ["map"]}}, {1: "a"}),
        ({"json": {"n": "12345678901234567890"}, "meta": {"values": {"n": ["bigint"]}}}, {"n": 12345678901234567890}),
        ({"json": {"u": None}, "meta": {"values": {"u": ["undefined"]}}}, {"u": None}),
        ({"json": {"i": "-Infinity"}, "meta": {"values": {"i": ["number"]}}}, {"i": -math.inf}),
        ({"json": {"r": "/a+/i"}, "meta": {"values": {"r": ["regexp"]}}}, {"r": re.compile("a+", re.IGNORECASE)}),
        ({"json": {"u": "https://a.b/"}, "meta": {"values": {"u": ["URL"]}}}, {"u": "https://a.b/"}),
        ({"json": {"a.b": "2026-01-01T00:00:00.000Z"}, "meta": {"values": {"a\\.b": ["Date"]}}}, {"a.b": MOMENT}),
    ],
)  # fmt: skip
def test_what_other_clients_write_is_read(document: Any, value: Any) -> None:
    """Fixed texts in the form the protocol gives."""
    assert superjson.decode(json.dumps(document)) == value


def test_shared_references_are_shared_again() -> None:
    """By path."""
    text = '{"json":{"a":{"x":1},"b":null},"meta":{"referentialEqualities":{"a":["b"]}}}'
    value = superjson.decode(text)

    assert value["a"] is value["b"]


def test_text_stays_text_and_plain_values_stay_plain_json() -> None:
    """Only what needs it is superjson."""
    assert packet.encode("x") == packet.Packet("x", "text/plain")
    assert packet.encode(None) == packet.Packet(None, "application/json")
    assert packet.encode({"a": [1, None]}).type == "application/json"
    assert packet.encode({"a": MOMENT}).type == "application/super+json"
    assert packet.to_plain(*_pair({"a": MOMENT})) == {"a": "2026-01-01T00:00:00.000Z"}


def test_common_objects_are_written_as_what_they_mean() -> None:
    """Models, dataclasses, UUIDs, decimals, dates."""

    class Model(BaseModel):
        at: date

    @dataclass
    class Point:
        x: Decimal

    value = {"m": Model(at=date(2026, 1, 1)), "p": Point(Decimal("1.50")), "u": UUID(int=1)}

    assert packet.to_plain(*_pair(value)) == {
        "m": {"at": "2026-01-01"},
        "p": {"x": "1.50"},
        "u": "00000000-0000-0000-0000-000000000001",
    }


def test_what_cannot_be_written_is_named_with_its_place() -> None:
    """Deep inside, and a structure that contains itself."""
    with pytest.raises(UnserializableError, match=re.escape("output.a[1].b")):
        packet.encode({"a": [1, {"b": open}]}, name="output")
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(UnserializableError, match="contains itself"):
        packet.encode(ring)


def _pair(value: Any) -> tuple[str | None, str]:
    written = packet.encode(value)
    return written.data, written.type
