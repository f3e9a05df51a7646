"""Reading feeds and events without a network: what is asked next, and what answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trigger_core.api.events import Event, events_sync
from trigger_core.api.live_run import detail
from trigger_core.api.shape import ShapeReader, array
from trigger_core.errors import TriggerError

SCHEMA = {
    "n": {"type": "int4"},
    "is": {"type": "bool"},
    "at": {"type": "timestamp"},
    "tags": {"type": "text", "dims": 1},
    "error": {"type": "jsonb"},
    "cost": {"type": "float8"},
}
UP_TO_DATE = {"headers": {"control": "up-to-date"}}


def _headers(offset: str = "1_1", **more: str) -> dict[str, str]:
    return {"electric-handle": "h", "electric-offset": offset} | {
        f"electric-{name}": value for name, value in more.items()
    }


def _body(*messages: dict[str, Any]) -> bytes:
    return json.dumps(list(messages)).encode()


def _change(key: str, operation: str = "insert", **values: Any) -> dict[str, Any]:
    return {"key": key, "value": values, "headers": {"operation": operation}}


def test_texts_become_values_as_the_schema_says() -> None:
    """Null stays null, columns the schema does not know are texts."""
    reader = ShapeReader()
    assert reader.params() == {"log": "full", "offset": "-1"}
    texts = {
        "n": "7",
        "is": "t",
        "at": "2026-01-31T09:00:00.000",
        "tags": '{"a","b \\"c\\" \\\\,"}',
        "error": '{"type":"X"}',
        "cost": "0.5",
        "other": "text",
        "nothing": None,
    }
    headers = _headers(schema=json.dumps(SCHEMA))
    [row] = reader.read(200, headers, _body(_change("k", **texts), UP_TO_DATE))

    assert row == {
        "n": 7,
        "is": True,
        "at": "2026-01-31T09:00:00.000Z",
        "tags": ["a", 'b "c" \\,'],
        "error": {"type": "X"},
        "cost": 0.5,
        "other": "text",
        "nothing": None,
    }


def test_rows_are_told_once_the_shape_is_complete() -> None:
    """Then requests wait for changes, and a change is merged into the row."""
    reader = ShapeReader()
    assert reader.read(200, _headers(schema="{}"), _body(_change("k", a="1", b="1"))) == []
    assert reader.params() == {"handle": "h", "log": "full", "offset": "1_1"}
    assert reader.read(200, _headers("2_2"), _body(UP_TO_DATE)) == [{"a": "1", "b": "1"}]
    assert reader.params()["live"] == "true"
    update = _body(_change("k", "update", b="2"), UP_TO_DATE)
    assert reader.read(200, _headers("3_3", cursor="c"), update) == [{"a": "1", "b": "2"}]
    assert reader.params() == {
        "cursor": "c",
        "handle": "h",
        "live": "true",
        "log": "full",
        "offset": "3_3",
    }
    assert reader.read(200, _headers("4_4"), _body(_change("k", "delete"), UP_TO_DATE)) == []


def test_a_conflict_means_to_begin_anew() -> None:
    """With the handle the platform gives."""
    reader = ShapeReader()
    reader.read(200, _headers(), _body(_change("k", a="1"), UP_TO_DATE))
    assert reader.read(409, {"electric-handle": "new"}, b"[]") == []

    assert reader.params() == {"handle": "new", "log": "full", "offset": "-1"}
    assert reader.read(200, _headers(), _body(_change("k", b="2"), UP_TO_DATE)) == [{"b": "2"}]


def test_an_answer_of_another_kind_is_refused() -> None:
    """A proxy may have taken the headers away."""
    with pytest.raises(TriggerError) as caught:
        ShapeReader().read(200, {}, b"[]")

    assert caught.value.code == "SHAPE_UNREADABLE"


def test_an_empty_array_has_no_texts() -> None:
    """Not one that is empty."""
    assert array("{}") == []
    assert array('{""}') == [""]


def test_events_are_put_together_from_lines() -> None:
    """Comments say nothing, the id stays until there is another."""
    lines = ["id: 1-0", 'data: "a"', "", ": ping", "", "event: batch", "data: x", "data:y", ""]

    assert list(events_sync(iter(lines))) == [
        Event("message", '"a"', "1-0"),
        Event("batch", "x\ny", "1-0"),
    ]


@pytest.mark.parametrize(
    ("status", "public", "is_completed"),
    [
        ("PENDING", "QUEUED", False),
        ("WAITING_TO_RESUME", "WAITING", False),
        ("COMPLETED_SUCCESSFULLY", "COMPLETED", True),
        ("COMPLETED_WITH_ERRORS", "FAILED", True),
        ("CANCELED", "CANCELED", True),
        ("EXPIRED", "EXPIRED", True),
    ],
)
def test_a_row_becomes_a_run(status: str, public: str, is_completed: bool) -> None:
    """With the public status, and values instead of packets."""
    row = {
        "friendlyId": "run_1",
        "taskIdentifier": "t",
        "status": status,
        "createdAt": "2026-01-31T09:00:00.000Z",
        "updatedAt": "2026-01-31T09:00:00.000Z",
        "payload": '{"json":1}',
        "payloadType": "application/super+json",
        "error": {"type": "BUILT_IN_ERROR", "name": "E", "message": "m", "stackTrace": ""},
    }
    run = detail(row)

    assert (run.status, run.is_completed) == (public, is_completed)
    assert run.payload == 1
    assert run.error is not None
    assert (run.error.name, run.error.message) == ("E", "m")
