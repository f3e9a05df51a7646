"""A request that a client sends again, because it heard no answer, does nothing twice (protocol 0.5)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest

from support.http import Platform
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import Count, EnvironmentRow

HEADER = "x-trigger-request-idempotency-key"
pytestmark = pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)

BATCH = {"items": [{"task": "a"}, {"task": "b", "options": {"idempotencyKey": "k"}}]}
REQUESTS: dict[str, tuple[str, Any]] = {
    "trigger": ("/api/v1/tasks/task/trigger", {}),
    "batch v1": ("/api/v1/tasks/batch", BATCH),
    "batch v2": ("/api/v2/tasks/batch", BATCH),
    "batch v3": ("/api/v3/batches", {"runCount": 3}),
    "token": ("/api/v1/waitpoints/tokens", {}),
    "replay": ("/api/v1/runs/{run}/replay", None),
    "deployment": ("/api/v1/deployments", {"contentHash": "x", "type": "UNMANAGED"}),
    "schedule": ("/api/v1/schedules", {"task": "tick", "cron": "0 * * * *"}),
}


async def _ask(platform: Platform, name: str, mark: str | None = "mark") -> httpx.Response:
    path, body = REQUESTS[name]
    if "{run}" in path:
        path = path.format(run=await platform.trigger("task", idempotencyKey="the one"))
    headers = {} if mark is None else {HEADER: mark}
    answer = await platform.http.post(path, json=body, headers=headers)
    assert answer.is_success, answer.text
    return answer


async def _prepare(platform: Platform) -> None:
    await platform.trigger("task", idempotencyKey="the one")
    task = {"id": "tick", "filePath": "a.py", "triggerSource": "schedule"}
    metadata = {"packageVersion": "0", "contentHash": "x", "tasks": [task]}
    path = f"/api/v1/projects/{platform.server.local.project.ref}/background-workers"
    answer = await platform.http.post(path, json={"localOnly": True, "metadata": metadata})
    assert answer.is_success, answer.text


async def _things(platform: Platform) -> Counter[str]:
    def count(u: Unit, _environment: EnvironmentRow) -> Counter[str]:
        rows = u.tx.all("table_rows", Count)
        passing = {"request_log", "outbox"}
        return Counter({row.name: row.count for row in rows if row.name not in passing})

    return await platform.server.read(count, platform.server.local.environment.id)


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_repeated_request_gets_the_same_answer(platform: Platform, name: str) -> None:
    """And nothing is made a second time."""
    await _prepare(platform)
    first = await _ask(platform, name)
    after = await _things(platform)
    second = await _ask(platform, name)

    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert await _things(platform) == after
    assert not second.json().get("isCached")
    other = await _ask(platform, name, "another mark")
    assert other.json()["id"] != first.json()["id"]
    unmarked = [(await _ask(platform, name, None)).json()["id"] for _ in range(2)]
    assert unmarked[0] != unmarked[1]


async def test_what_is_asked_for_belongs_to_the_request(platform: Platform) -> None:
    """One mark for two tasks, two batches or two routes names different requests."""
    await _prepare(platform)
    ids = [(await _ask(platform, name)).json()["id"] for name in REQUESTS]
    path = "/api/v1/tasks/{}".format
    headers = {HEADER: "mark"}
    other = await platform.http.post(path("other/trigger"), json={}, headers=headers)
    body = {"items": [{"task": "c"}]}
    batch = await platform.http.post(path("batch"), json=body, headers=headers)
    ids += [other.json()["id"], batch.json()["id"]]

    assert len(set(ids)) == len(ids)


async def test_metadata_is_changed_once(platform: Platform) -> None:
    """A number is not incremented again."""
    run_id = await platform.trigger()
    body = {"operations": [{"type": "increment", "key": "n", "value": 1}]}
    path = f"/api/v1/runs/{run_id}/metadata"
    answers = [
        (await platform.http.put(path, json=body, headers={HEADER: mark})).json()
        for mark in ("one", "one", "two")
    ]

    assert [answer["metadata"]["n"] for answer in answers] == [1, 1, 2]


async def test_a_request_that_was_refused_is_not_remembered(platform: Platform) -> None:
    """What was wrong may be right by then."""
    body = {"task": "tick", "cron": "0 * * * *"}
    headers = {HEADER: "mark"}
    refused = await platform.http.post("/api/v1/schedules", json=body, headers=headers)
    assert refused.status_code == 422
    await _prepare(platform)

    again = await platform.http.post("/api/v1/schedules", json=body, headers=headers)
    assert again.is_success


async def test_a_mark_is_short(platform: Platform) -> None:
    """It is a part of a database key."""
    answer = await platform.http.post(
        "/api/v1/tasks/a/trigger", json={}, headers={HEADER: "x" * 256}
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_HEADER")


async def test_a_batch_sent_at_once_can_be_read(platform: Platform) -> None:
    """In the order of its items, those that a key found earlier in their place too."""
    early = await platform.trigger("b", idempotencyKey="k")
    made = (await platform.http.post("/api/v1/tasks/batch", json=BATCH)).json()
    read = (await platform.http.get(f"/api/v2/batches/{made['id']}")).json()

    assert read["runs"] == [run["id"] for run in made["runs"]]
    assert read["runs"][1] == early
