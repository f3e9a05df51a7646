"""Steering runs over HTTP: metadata, tags, delays, keys."""

from __future__ import annotations

from typing import Any

import pytest

from support.http import Platform


async def test_metadata_is_changed_by_operations_and_read_as_an_object(platform: Platform) -> None:
    """Also when there is none."""
    run_id = await platform.trigger()
    path = f"/api/v1/runs/{run_id}/metadata"
    assert (await platform.http.get(path)).json()["metadata"] == {}
    operations = [
        {"type": "set", "key": "$.a.b", "value": None},
        {"type": "append", "key": "log", "value": "x"},
    ]
    answer = await platform.http.put(path, json={"operations": operations})

    assert answer.status_code == 200, answer.text
    assert answer.json()["metadata"] == {"a": {"b": None}, "log": ["x"]}
    assert (await platform.http.get(path)).json()["metadata"] == answer.json()["metadata"]
    read = (await platform.http.get(f"/api/v3/runs/{run_id}")).json()
    assert read["metadata"] == answer.json()["metadata"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"metadata": {"a": "x" * 300_000}}, 413, "METADATA_TOO_LARGE"),
        ({"metadata": [1]}, 400, "INVALID_BODY"),
        ({"operations": [{"type": "increment", "key": "a", "value": "1"}]}, 400, "INVALID_BODY"),
        ({"operations": [{"type": "drop", "key": "a"}]}, 400, "INVALID_BODY"),
        ({"operations": [{"type": "set", "key": "__proto__"}]}, 400, "INVALID_METADATA"),
    ],
)
async def test_bad_metadata_is_refused(
    platform: Platform, body: dict[str, object], status: int, code: str
) -> None:
    """And nothing changes."""
    path = f"/api/v1/runs/{await platform.trigger()}/metadata"
    answer = await platform.http.put(path, json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await platform.http.get(path)).json()["metadata"] == {}


async def test_tags_are_added_and_counted(platform: Platform) -> None:
    """The sentence says how many were new."""
    run_id = await platform.trigger(tags=["a"])
    path = f"/api/v1/runs/{run_id}/tags"
    added = await platform.http.post(path, json={"tags": ["a", "b", "c"]})
    again = await platform.http.post(path, json={"tags": "b"})
    many = await platform.http.post(path, json={"tags": [str(n) for n in range(8)]})

    assert added.json() == {"message": "Successfully set 2 new tags."}
    assert again.json() == {"message": "No new tags to add"}
    assert (many.status_code, many.json()["code"]) == (422, "TOO_MANY_TAGS")
    read = (await platform.http.get(f"/api/v3/runs/{run_id}")).json()
    assert read["tags"] == ["a", "b", "c"]


async def test_a_rescheduled_run_is_answered_in_full(platform: Platform) -> None:
    """With its new moment."""
    run_id = await platform.trigger(delay="1h")
    path = f"/api/v1/runs/{run_id}/reschedule"
    before = (await platform.http.get(f"/api/v3/runs/{run_id}")).json()["delayedUntil"]
    answer = await platform.http.post(path, json={"delay": "2h"})

    assert answer.status_code == 200
    assert answer.json()["status"] == "DELAYED"
    assert answer.json()["delayedUntil"] > before
    queued = await platform.trigger()
    refused = await platform.http.post(f"/api/v1/runs/{queued}/reschedule", json={"delay": "1h"})
    assert (refused.status_code, refused.json()["code"]) == (400, "RUN_NOT_DELAYED")


async def test_a_key_is_reset_by_its_hash(platform: Platform) -> None:
    """Once; reads show the key as it was written."""
    options = {"idempotencyKey": "h-1", "idempotencyKeyOptions": {"key": "mine", "scope": "global"}}
    first = await platform.trigger(**options)
    read = (await platform.http.get(f"/api/v3/runs/{first}")).json()
    assert read["idempotencyKey"] == "mine"
    assert read["idempotencyKeyOptions"] == {"key": "mine", "scope": "global"}
    path = "/api/v1/idempotencyKeys/h-1/reset"
    reset = await platform.http.post(path, json={"taskIdentifier": "task"})
    again = await platform.http.post(path, json={"taskIdentifier": "task"})

    assert (reset.status_code, reset.json()) == (200, {"id": "h-1"})
    assert (again.status_code, again.json()["code"]) == (404, "IDEMPOTENCY_KEY_UNKNOWN")
    assert await platform.trigger(**options) != first


@pytest.mark.parametrize("delay", ["soonish", "2020-01-01T00:00:00Z"])
async def test_a_delay_that_cannot_be_is_no_valid_request(platform: Platform, delay: str) -> None:
    """The run keeps the one it has."""
    run_id = await platform.trigger(delay="1h")
    answer = await platform.http.post(f"/api/v1/runs/{run_id}/reschedule", json={"delay": delay})

    assert answer.status_code == 400, answer.text


async def test_an_idempotency_key_may_come_in_a_header(platform: Platform) -> None:
    """The body's goes first; a header lives as long as it says."""
    path, key = "/api/v1/tasks/a/trigger", {"idempotency-key": "k"}

    async def made(options: dict[str, Any], **headers: str) -> tuple[str, bool]:
        answer = await platform.http.post(path, json={"options": options}, headers=key | headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["id"], answer.json()["isCached"]

    first, _ = await made({}, **{"idempotency-key-ttl": "1h"})
    assert await made({}) == (first, True)
    assert (await made({"idempotencyKey": "other"}))[0] != first
    assert (await platform.http.get(f"/api/v3/runs/{first}")).json()["idempotencyKey"] == "k"
    platform.clock.advance(3_600_000)
    assert (await made({}))[1] is False


@pytest.mark.parametrize(
    "headers", [{"idempotency-key": "k" * 2049}, {"x-trigger-engine-version": "V3"}]
)
async def test_a_header_that_cannot_be_is_refused(
    platform: Platform, headers: dict[str, str]
) -> None:
    """And nothing is triggered."""
    answer = await platform.http.post("/api/v1/tasks/a/trigger", json={}, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_HEADER")
    assert (await platform.http.get("/api/v1/runs")).json()["data"] == []


async def test_a_negative_time_to_live_is_refused(platform: Platform) -> None:
    """It would have passed before the run began."""
    body = {"options": {"ttl": -1}}
    answer = await platform.http.post("/api/v1/tasks/a/trigger", json=body)

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_BODY")
