"""Batches over HTTP: two steps, lines of JSON, reading what became of them."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from support.http import Platform


async def _open(platform: Platform, count: int, **fields: Any) -> str:
    answer = await platform.http.post("/api/v3/batches", json={"runCount": count} | fields)
    assert answer.status_code == 202, answer.text
    assert "x-trigger-jwt" in answer.headers
    return str(answer.json()["id"])


async def _stream(platform: Platform, batch_id: str, *items: Any) -> httpx.Response:
    lines = "".join((item if isinstance(item, str) else json.dumps(item)) + "\n" for item in items)
    return await platform.http.post(
        f"/api/v3/batches/{batch_id}/items",
        content=lines,
        headers={"content-type": "application/x-ndjson"},
    )


def _item(index: int, payload: Any = None) -> dict[str, Any]:
    return {"index": index, "task": "task", "payload": payload}


async def test_a_batch_is_created_streamed_and_read(platform: Platform) -> None:
    """From its opening to the results of its runs."""
    batch_id = await _open(platform, 2)
    answer = await _stream(platform, batch_id, _item(0, {"n": 0}), _item(1, {"n": 1}))
    assert answer.json() == {
        "id": batch_id,
        "itemsAccepted": 2,
        "itemsDeduplicated": 0,
        "sealed": True,
    }
    runs = await platform.work("task")
    done = [
        {"ok": True, "runId": run["runId"], "lease": run["lease"], "output": run["payload"]}
        for run in runs
    ]
    await platform.report(completions=done)

    detail = (await platform.http.get(f"/api/v2/batches/{batch_id}")).json()
    assert (detail["status"], detail["runCount"], detail["processing"]["errors"]) == (
        "COMPLETED",
        2,
        [],
    )
    results = (await platform.http.get(f"/api/v1/batches/{batch_id}/results")).json()
    assert [item["output"] for item in results["items"]] == ['{"n":0}', '{"n":1}']
    assert [item["id"] for item in results["items"]] == detail["runs"]


@pytest.mark.behaviour(192, 193)
async def test_a_stream_that_is_short_is_not_sealed_and_may_be_repeated(platform: Platform) -> None:
    """The counts say what is missing; what came before is not made again."""
    batch_id = await _open(platform, 2)
    first = (await _stream(platform, batch_id, _item(0))).json()
    assert (first["sealed"], first["enqueuedCount"], first["expectedCount"]) == (False, 1, 2)
    second = (await _stream(platform, batch_id, _item(0), _item(1))).json()
    assert (second["sealed"], second["itemsAccepted"], second["itemsDeduplicated"]) == (True, 1, 1)
    third = (await _stream(platform, batch_id, _item(0), _item(1))).json()

    assert (third["sealed"], third["itemsAccepted"]) == (True, 0)


@pytest.mark.behaviour(194)
async def test_an_item_that_is_too_large_fails_alone(platform: Platform) -> None:
    """As a run that has failed already."""
    batch_id = await _open(platform, 2)
    await _stream(platform, batch_id, _item(0, "x" * 3_200_000), _item(1, "y"))

    detail = (await platform.http.get(f"/api/v2/batches/{batch_id}")).json()
    [error] = detail["processing"]["errors"]
    assert (error["index"], error["errorCode"]) == (0, "PAYLOAD_TOO_LARGE")
    failed = (await platform.http.get(f"/api/v3/runs/{detail['runs'][0]}")).json()
    assert (failed["status"], failed["error"]["code"]) == ("SYSTEM_FAILURE", "PAYLOAD_TOO_LARGE")
    assert len(await platform.work("task")) == 1


@pytest.mark.behaviour(189, 195)
async def test_lines_that_are_no_items_are_refused(platform: Platform) -> None:
    """400 for what is no JSON, 422 for what is no item, 415 for another type, 404 for another batch."""
    batch_id = await _open(platform, 1)
    assert (await _stream(platform, batch_id, "{")).status_code == 400
    assert (await _stream(platform, batch_id, {"index": -1, "task": "t"})).status_code == 422
    assert (await _stream(platform, batch_id, _item(7))).status_code == 422
    assert (await _stream(platform, "batch_unknown", _item(0))).status_code == 404
    plain = await platform.http.post(f"/api/v3/batches/{batch_id}/items", content="{}")
    assert plain.status_code == 415


async def test_a_batch_with_a_key_is_made_once(platform: Platform) -> None:
    """The second answer says that it is cached, once all its items are there."""
    batch_id = await _open(platform, 1, idempotencyKey="k")
    await _stream(platform, batch_id, _item(0))
    again = await platform.http.post("/api/v3/batches", json={"runCount": 1, "idempotencyKey": "k"})

    assert (again.status_code, again.json()["id"], again.json()["isCached"]) == (
        200,
        batch_id,
        True,
    )


async def test_a_batch_whose_maker_died_half_way_is_completed_by_the_next_one_with_its_key(
    platform: Platform,
) -> None:
    """It is asked for the items as if the batch were new; one with another number of items is not."""
    batch_id = await _open(platform, 2, idempotencyKey="k")
    await _stream(platform, batch_id, _item(0))
    body = {"runCount": 2, "idempotencyKey": "k"}
    again = (await platform.http.post("/api/v3/batches", json=body)).json()
    other = (await platform.http.post("/api/v3/batches", json=body | {"runCount": 3})).json()
    added = (await _stream(platform, batch_id, _item(0), _item(1))).json()

    assert (again["id"], again["isCached"]) == (batch_id, False)
    assert (other["id"], other["isCached"]) == (batch_id, True)
    assert (added["sealed"], added["itemsAccepted"], added["itemsDeduplicated"]) == (True, 1, 1)


async def test_a_child_over_http_blocks_its_parent(platform: Platform) -> None:
    """With resumeParentOnCompletion, as every client of the protocol asks for it."""
    parent = await platform.trigger()
    [run] = await platform.work("task")
    await platform.report(started=[{"runId": parent, "lease": run["lease"], "at": 1}])
    child = await platform.trigger(parentRunId=parent, resumeParentOnCompletion=True)
    assert (await platform.http.get(f"/api/v3/runs/{parent}")).json()["status"] == "WAITING"
    await platform.http.post(f"/api/v2/runs/{child}/cancel")

    assert (await platform.http.get(f"/api/v3/runs/{parent}")).json()["status"] == "EXECUTING"


async def test_the_result_of_a_run_is_a_packet(platform: Platform) -> None:
    """And there is none while it goes on."""
    run_id = await platform.trigger()
    assert (await platform.http.get(f"/api/v1/runs/{run_id}/result")).status_code == 404
    [run] = await platform.work("task")
    done = {"ok": True, "runId": run_id, "lease": run["lease"], "output": "[1]"}
    await platform.report(completions=[done])

    result = (await platform.http.get(f"/api/v1/runs/{run_id}/result")).json()
    assert result == {
        "ok": True,
        "id": run_id,
        "taskIdentifier": "task",
        "output": "[1]",
        "outputType": "application/json",
        "usage": {"durationMs": 0},
    }


@pytest.mark.parametrize(
    ("headers", "actions"),
    [({}, ["read"]), ({"x-trigger-client": "browser"}, ["read", "write"])],
    ids=["server", "page"],
)
@pytest.mark.parametrize("path", ["/api/v3/batches", "/api/v2/tasks/batch"])
async def test_a_page_may_write_the_batch_it_made(
    platform: Platform, path: str, headers: dict[str, str], actions: list[str]
) -> None:
    """Others are given a token that reads it."""
    body = {"runCount": 1} if "v3" in path else {"items": [{"task": "a"}]}
    made = await platform.http.post(path, json=body, headers=headers)

    claims = json.loads(made.headers["x-trigger-jwt-claims"])
    assert claims["scopes"] == [f"{action}:batch:{made.json()['id']}" for action in actions]
