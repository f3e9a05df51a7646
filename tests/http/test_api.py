"""The API as clients of the protocol see it."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import jwt
import pytest

from support.http import PROJECT, Platform

REQUIRED = {
    "id",
    "status",
    "taskIdentifier",
    "isQueued",
    "isExecuting",
    "isWaiting",
    "isCompleted",
    "isSuccess",
    "isFailed",
    "isCancelled",
    "isTest",
    "createdAt",
    "updatedAt",
    "tags",
    "costInCents",
    "baseCostInCents",
    "durationMs",
    "depth",
    "triggerFunction",
    "relatedRuns",
}


async def test_a_trigger_answers_with_the_id_and_both_token_headers(platform: Platform) -> None:
    """Protocol A.2."""
    answer = await platform.http.post("/api/v1/tasks/hello/trigger", json={"payload": {"n": 1}})

    assert answer.status_code == 200
    body = answer.json()
    assert body == {"id": body["id"], "isCached": False}
    claims = json.loads(answer.headers["x-trigger-jwt-claims"])
    token = jwt.decode(
        answer.headers["x-trigger-jwt"],
        platform.key,
        algorithms=["HS256"],
        audience="https://api.trigger.dev",
        issuer="https://id.trigger.dev",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert token["sub"] == claims["sub"] == platform.server.local.environment.id
    scopes = [f"read:runs:{body['id']}", f"write:inputStreams:{body['id']}"]
    assert token["scopes"] == claims["scopes"] == scopes
    assert token["exp"] - token["iat"] == 3600


@pytest.mark.parametrize(
    ("payload", "kind", "read"),
    [
        ({"n": None, "s": "x"}, None, {"n": None, "s": "x"}),
        ("text", "application/json", "text"),
        ("raw text", "text/plain", "raw text"),
        (
            '{"json":{"at":"2026-01-31T09:00:00.000Z"},"meta":{"values":{"at":["Date"]}}}',
            "application/super+json",
            {"at": "2026-01-31T09:00:00.000Z"},
        ),
    ],
)
async def test_every_kind_of_payload_is_read_back_as_plain_json(
    platform: Platform, payload: Any, kind: str | None, read: Any
) -> None:
    """Protocol 0.10."""
    options = {"payloadType": kind} if kind else {}
    run_id = await platform.trigger("x", payload, **options)

    run = (await platform.http.get(f"/api/v3/runs/{run_id}")).json()
    assert run["payload"] == read


async def test_a_run_has_every_required_field_and_no_null(platform: Platform) -> None:
    """Absent is not null."""
    run_id = await platform.trigger("x", {"a": 1}, tags=["t"])
    run = (await platform.http.get(f"/api/v3/runs/{run_id}")).json()

    assert set(run) >= REQUIRED
    assert [key for key, value in run.items() if value is None] == []
    assert (run["status"], run["isQueued"], run["tags"]) == ("QUEUED", True, ["t"])


async def test_the_public_token_reads_its_run_only(platform: Platform) -> None:
    """It is signed with the environment's key."""
    platform.clock.advance(10 * 365 * 86_400_000)  # the token must not be expired by the real clock
    answer = await platform.http.post("/api/v1/tasks/x/trigger", json={})
    own, other = answer.json()["id"], await platform.trigger()
    headers = {"authorization": f"Bearer {answer.headers['x-trigger-jwt']}"}

    claims = jwt.decode(answer.headers["x-trigger-jwt"], options={"verify_signature": False})
    token = jwt.encode(claims | {"iat": 0, "exp": 2**40}, platform.key, algorithm="HS256")
    forged = jwt.encode(claims | {"iat": 0, "exp": 2**40}, "x" * 40, algorithm="HS256")
    headers = {"authorization": f"Bearer {token}"}
    assert (await platform.http.get(f"/api/v3/runs/{own}", headers=headers)).status_code == 200
    assert (await platform.http.get(f"/api/v3/runs/{other}", headers=headers)).status_code == 403
    assert (await platform.http.get("/api/v1/runs", headers=headers)).status_code == 403
    wrong = {"authorization": f"Bearer {forged}"}
    assert (await platform.http.get(f"/api/v3/runs/{own}", headers=wrong)).status_code == 401


async def test_a_repeated_request_is_one_run(platform: Platform) -> None:
    """By the client's request token."""
    headers = {"x-trigger-request-idempotency-key": "abc"}
    path = "/api/v1/tasks/x/trigger"
    first = await platform.http.post(path, json={}, headers=headers)
    second = await platform.http.post(path, json={}, headers=headers)

    assert first.json() == second.json()


async def test_runs_are_listed_newest_first_and_paged_both_ways(platform: Platform) -> None:
    """By cursors."""
    made = []
    for n in range(7):
        platform.clock.advance(1)
        made.append(await platform.trigger("even" if n % 2 == 0 else "odd"))
    newest = made[::-1]

    async def page(**query: Any) -> Any:
        params = {key.replace("_", "[", 1) + "]": value for key, value in query.items()}
        return (await platform.http.get("/api/v1/runs", params=params)).json()

    first = await page(page_size=3)
    assert [run["id"] for run in first["data"]] == newest[:3]
    second = await page(page_size=3, page_after=first["pagination"]["next"])
    assert [run["id"] for run in second["data"]] == newest[3:6]
    back = await page(page_size=3, page_before=second["pagination"]["previous"])
    assert [run["id"] for run in back["data"]] == newest[:3]
    odd = await page(filter_taskIdentifier="odd")
    assert [run["id"] for run in odd["data"]] == [made[5], made[3], made[1]]
    assert (await page(filter_status="COMPLETED"))["data"] == []


async def test_a_run_goes_through_the_channel_to_its_end(platform: Platform) -> None:
    """Register, connect, poll, report; logs and output are there with the end."""
    run_id = await platform.trigger("x", 5)
    [run] = await platform.work("x")
    assert (run["runId"], run["payload"], run["attempt"]) == (run_id, "5", 1)
    line = {"attempt": 1, "time": "2026-01-01T00:00:00.000Z", "level": "INFO"}
    record = line | {"source": "stdout", "message": "hi"}
    done = {"ok": True, "runId": run_id, "lease": run["lease"], "output": '{"a":null}'}
    reported = await platform.report(completions=[done], logs=[{"runId": run_id, "record": record}])

    assert reported["verdicts"][0]["kind"] == "finished"
    read = (await platform.http.get(f"/api/v3/runs/{run_id}")).json()
    assert (read["status"], read["output"], read["attemptCount"]) == ("COMPLETED", {"a": None}, 1)
    assert [attempt["status"] for attempt in read["attempts"]] == ["COMPLETED"]
    logs = (await platform.http.get(f"/api/v1/runs/{run_id}/logs")).json()
    assert [one["message"] for one in logs["data"]] == ["hi"]
    after = {"after": logs["next"]}
    assert (await platform.http.get(f"/api/v1/runs/{run_id}/logs", params=after)).json()[
        "data"
    ] == []
    steps = (await platform.http.get(f"/api/v1/runs/{run_id}/snapshots")).json()["data"]
    assert [step["executionStatus"] for step in steps][-1] == "FINISHED"


@pytest.mark.behaviour(181)
async def test_the_snapshots_of_a_run_come_in_order(platform: Platform) -> None:
    """All of them; an unknown run has none."""
    run_id = await platform.trigger("x", delay="1h")
    assert (await platform.http.post(f"/api/v2/runs/{run_id}/cancel")).status_code == 200
    steps = (await platform.http.get(f"/api/v1/runs/{run_id}/snapshots")).json()["data"]
    unknown = await platform.http.get("/api/v1/runs/run_unknown/snapshots")

    assert [step["executionStatus"] for step in steps] == ["DELAYED", "FINISHED"]
    assert unknown.status_code == 404


async def test_a_waiting_poll_is_woken_by_a_trigger(platform: Platform) -> None:
    """Not by its own patience."""
    await platform.work("x")
    worker = platform.server.local
    assert worker is not None
    registered = await platform.http.post(
        "/api/v1/projects/proj_abcdefghijklmnopqrst/background-workers",
        json={
            "localOnly": True,
            "metadata": {
                "packageVersion": "0",
                "contentHash": "x",
                "tasks": [{"id": "x", "filePath": "a.py"}],
            },
        },
    )
    poll = {"bootId": "b1", "workers": [registered.json()["id"]], "limit": 1, "waitMs": 30_000}
    waiting = asyncio.create_task(platform.http.post("/engine/v1/worker/poll", json=poll))
    await asyncio.sleep(0)
    run_id = await platform.trigger("x")

    polled = await asyncio.wait_for(waiting, 5)
    assert [run["runId"] for run in polled.json()["runs"]] == [run_id]


async def test_a_followed_run_ends_the_stream(platform: Platform) -> None:
    """The last event is the final run."""
    run_id = await platform.trigger("x")
    await platform.http.post(f"/api/v2/runs/{run_id}/cancel")
    answer = await platform.http.get(f"/api/v1/runs/{run_id}/follow")

    assert answer.headers["content-type"].startswith("text/event-stream")
    assert '"status":"CANCELED"' in answer.text


async def test_cancel_and_replay_answer_with_ids(platform: Platform) -> None:
    """A new one for the replay."""
    run_id = await platform.trigger("x", {"n": 1})
    canceled = await platform.http.post(f"/api/v2/runs/{run_id}/cancel")
    replayed = await platform.http.post(f"/api/v1/runs/{run_id}/replay")

    assert canceled.json() == {"id": run_id}
    read = (await platform.http.get(f"/api/v3/runs/{replayed.json()['id']}")).json()
    assert (read["status"], read["payload"]) == ("QUEUED", {"n": 1})


async def test_why_explains_a_queued_run(platform: Platform) -> None:
    """Nobody is there to take it."""
    run_id = await platform.trigger("x")

    why = (await platform.http.get(f"/api/v1/runs/{run_id}/why")).json()
    assert why["blockedBy"] == ["no worker is connected; start `trigger dev`"]


async def test_every_attempt_is_told_with_an_id_and_its_moments(platform: Platform) -> None:
    """Generated clients insist on them."""
    run_id = await platform.trigger("x")
    [run] = await platform.work("x")
    started = {"runId": run_id, "lease": run["lease"], "at": platform.clock.now()}
    await platform.report(started=[started])
    platform.clock.advance(1_000)
    error = {"type": "STRING_ERROR", "raw": "no"}
    failed = {"ok": False, "runId": run_id, "lease": run["lease"], "error": error}
    await platform.report(completions=[failed | {"skippedRetrying": True}])

    [attempt] = (await platform.http.get(f"/api/v3/runs/{run_id}")).json()["attempts"]
    assert (attempt["id"], attempt["number"], attempt["status"]) == ("attempt_1", 1, "FAILED")
    assert attempt["createdAt"] == attempt["startedAt"] == "2025-11-24T16:00:00.000Z"
    assert attempt["updatedAt"] == attempt["completedAt"] == "2025-11-24T16:00:01.000Z"
    result = (await platform.http.get(f"/api/v1/runs/{run_id}/result")).json()
    assert (result["ok"], result["usage"]) == (False, {"durationMs": 0})


SLASHED = "billing/send invoice"


async def test_a_name_in_a_path_may_contain_slashes(platform: Platform) -> None:
    """Clients encode it once."""
    name = quote(SLASHED, safe="")
    made = await platform.http.post(f"/api/v1/tasks/{name}/trigger", json={})
    assert made.status_code == 200, made.text
    batch = await platform.http.post(f"/api/v1/tasks/{name}/batch", json={"items": [{}]})
    assert batch.status_code == 200, batch.text
    listed = (await platform.http.get("/api/v1/runs")).json()["data"]
    assert [run["taskIdentifier"] for run in listed] == [SLASHED] * 2

    await platform.work(SLASHED)
    queue, of = f"/api/v1/queues/{name}", {"type": "task"}
    found = await platform.http.get(queue, params=of)
    assert (found.status_code, found.json()["name"]) == (200, SLASHED)
    keys = (await platform.http.get(f"{queue}/keys", params=of)).json()
    assert "data" in keys
    paused = await platform.http.post(f"{queue}/pause", json=of | {"action": "pause"})
    assert paused.json()["paused"] is True
    twice = await platform.http.get(f"/api/v1/queues/{quote(name, safe='')}", params=of)
    assert twice.json()["id"] == found.json()["id"]


async def test_a_schedule_is_found_by_a_key_with_slashes(platform: Platform) -> None:
    """Also where the path goes on."""
    path = f"/api/v1/projects/{PROJECT}/background-workers"
    nightly = {"id": "nightly", "filePath": "a.py", "triggerSource": "schedule"}
    metadata = {"packageVersion": "0", "contentHash": "x", "tasks": [nightly]}
    await platform.http.post(path, json={"localOnly": True, "metadata": metadata})
    body = {"task": "nightly", "cron": "0 3 * * *", "deduplicationKey": "user/1"}
    await platform.http.post("/api/v1/schedules", json=body)

    one = f"/api/v1/schedules/{quote('user/1', safe='')}"
    assert (await platform.http.get(one)).json()["deduplicationKey"] == "user/1"
    assert (await platform.http.post(f"{one}/deactivate")).json()["active"] is False
    assert "data" in (await platform.http.get(f"{one}/next")).json()
    assert (await platform.http.delete(one)).status_code == 200
