"""What the development session of the TypeScript command line asks and is answered (protocol D)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from support import otlp
from support.http import PROJECT, Platform
from support.live import listening
from trigger_core import trace_context
from trigger_platform.engine import environment

DEV = "/engine/v1/dev"


async def _register(platform: Platform, *tasks: dict[str, Any], content_hash: str = "a") -> str:
    """Register a version as the command line does; keys we do not know are ignored."""
    metadata = {
        "packageVersion": "4.5.12",
        "cliPackageVersion": "4.5.12",
        "contentHash": content_hash,
        "runtime": "node-22",
        "runtimeVersion": "22.13.0",
        "tasks": [
            {"filePath": "src/trigger/tasks.ts", "entryPoint": "x", **task} for task in tasks
        ],
        "queues": [{"name": "narrow", "concurrencyLimit": 1}],
        "prompts": [],
        "sourceFiles": [{"filePath": "a.ts", "contents": "eJw=", "contentHash": "b"}],
    }
    body = {"localOnly": True, "engine": "V2", "supportsLazyAttempts": True, "metadata": metadata}
    answer = await platform.http.post(f"/api/v1/projects/{PROJECT}/background-workers", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def _dequeue(platform: Platform, worker: str) -> list[dict[str, Any]]:
    """Ask for a run; the body comes as text, as the command line sends it."""
    content = json.dumps({"currentWorker": worker, "oldWorkers": []})
    headers = {"content-type": "text/plain;charset=UTF-8"}
    answer = await platform.http.post(f"{DEV}/dequeue", content=content, headers=headers)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["dequeuedMessages"])


async def _post(platform: Platform, path: str, body: Any = None) -> httpx.Response:
    return await platform.http.post(f"{DEV}/runs/{path}", json={} if body is None else body)


async def _started(platform: Platform, task: str = "task", **options: Any) -> dict[str, Any]:
    worker = await _register(platform, {"id": "task"}, {"id": "retried", "retry": _RETRY})
    await platform.trigger(task, **options)
    [message] = await _dequeue(platform, worker)
    run, snapshot = message["run"]["friendlyId"], message["snapshot"]["friendlyId"]
    answer = await _post(platform, f"{run}/snapshots/{snapshot}/attempts/start")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _here(state: dict[str, Any]) -> str:
    return f"{state['run']['friendlyId']}/snapshots/{state['snapshot']['friendlyId']}"


_RETRY = {"maxAttempts": 3, "minTimeoutInMs": 100, "maxTimeoutInMs": 100, "randomize": False}
_DONE = {"ok": True, "id": "x", "output": '{"json":2}', "outputType": "application/super+json"}


async def _until_held(platform: Platform) -> None:
    while not platform.server.hub._waiters:  # noqa: ASYNC110 - the hub tells nobody of who comes
        await asyncio.sleep(0)


def _nulls(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_nulls(one) for one in value.values())
    return any(_nulls(one) for one in value) if isinstance(value, list) else value is None


async def test_the_session_is_told_how_to_ask(platform: Platform) -> None:
    """Whole numbers of milliseconds, and the address for what follows: the one by which it came."""
    answer = await platform.http.get(f"{DEV}/config")
    elsewhere = await platform.http.get(f"{DEV}/config", headers={"host": "localhost:99"})

    config = answer.json()
    assert elsewhere.json()["engineUrl"] == "http://localhost:99"
    assert config["environmentId"] == platform.server.local.environment.id
    assert config["engineUrl"] == "http://127.0.0.1:8030"
    assert config["maxConcurrentRuns"] > 100
    assert config["dequeueIntervalWithRun"] < config["dequeueIntervalWithoutRun"]


async def test_a_run_is_handed_out_with_all_that_is_required(platform: Platform) -> None:
    worker = await _register(platform, {"id": "task"})
    run_id = await platform.trigger(payload={"n": 1}, machine="medium-1x", test=True)
    [message] = await _dequeue(platform, worker)

    assert message["version"] == "1"
    assert message["backgroundWorker"]["friendlyId"] == worker
    assert message["snapshot"]["executionStatus"] == "PENDING_EXECUTING"
    assert message["run"].pop("traceContext")["traceparent"].startswith("00-")
    assert message["run"] == {
        "id": run_id.removeprefix("run_"),
        "friendlyId": run_id,
        "isTest": True,
        "isReplay": False,
        "machine": {"name": "medium-1x", "cpu": 1.0, "memory": 2.0, "centsPerMs": 0.0},
        "attemptNumber": 1,
        "masterQueue": "main",
    }
    assert message["completedWaitpoints"] == []
    assert message["deployment"] == {}
    assert not _nulls(message)


async def test_an_attempt_is_given_everything_it_needs(platform: Platform) -> None:
    """The payload as the packet that came in, the metadata as an object, no key with nothing in it."""
    packet = '{"json":{"at":"2026-01-01T00:00:00.000Z"},"meta":{"values":{"at":["Date"]}}}'
    worker = await _register(
        platform, {"id": "task", "maxDuration": 60, "machine": {"preset": "micro"}}
    )
    body = {
        "payload": packet,
        "options": {
            "payloadType": "application/super+json",
            "tags": ["a"],
            "metadata": {"n": 1},
            "idempotencyKey": "f" * 64,
            "idempotencyKeyOptions": {"key": "mine", "scope": "global"},
        },
    }
    await platform.http.post("/api/v1/tasks/task/trigger", json=body)
    [message] = await _dequeue(platform, worker)
    started = (await _post(platform, f"{_here(message)}/attempts/start")).json()
    execution = started["execution"]

    assert started["snapshot"]["executionStatus"] == "EXECUTING"
    assert started["run"]["attemptNumber"] == execution["attempt"]["number"] == 1
    run = execution["run"]
    assert run["id"] == started["run"]["friendlyId"]
    assert (run["payload"], run["payloadType"]) == (packet, "application/super+json")
    assert (run["tags"], run["metadata"], run["maxDuration"]) == (["a"], {"n": 1}, 60)
    assert (run["idempotencyKey"], run["idempotencyKeyScope"]) == ("mine", "global")
    assert execution["task"] == {"id": "task", "filePath": "src/trigger/tasks.ts"}
    assert execution["queue"]["name"] == "task/task"
    assert run["traceContext"]["traceparent"].startswith("00-")
    assert execution["machine"]["name"] == "micro"
    assert execution["project"]["ref"] == PROJECT
    assert started["envVars"]["TRIGGER_OTEL_EXPORTER_OTLP_ENDPOINT"].endswith("/otel")
    assert not _nulls(started)


async def test_what_an_attempt_exports_hangs_below_its_run(platform: Platform) -> None:
    """The official worker names the run's span as the parent of its attempt, and sends no key."""
    execution = (await _started(platform))["execution"]
    run_id, environment_id = execution["run"]["id"], execution["environment"]["id"]
    parent = trace_context.parse(execution["run"]["traceContext"]["traceparent"])
    assert parent is not None
    who = {"ctx.environment.id": environment_id, "ctx.run.id": run_id}
    attempt = otlp.span("a" * 16, "Attempt 1", parent=parent.span_id, traceId=parent.trace_id)
    inner = otlp.span("b" * 16, "run()", parent="a" * 16, traceId=parent.trace_id)
    exported = await platform.http.post(
        "/otel/v1/traces", json=otlp.traces(who, attempt, inner), headers={"authorization": ""}
    )
    trace = (await platform.http.get(f"/api/v1/runs/{run_id}/trace")).json()["trace"]
    [shown] = trace["rootSpan"]["children"]

    assert exported.json() == {}
    assert (trace["traceId"], trace["rootSpan"]["id"]) == (parent.trace_id, parent.span_id)
    assert (shown["id"], shown["data"]["message"]) == ("a" * 16, "Attempt 1")
    assert [one["data"]["message"] for one in shown["children"]] == ["run()"]


async def test_a_run_without_payload_is_given_an_empty_text(platform: Platform) -> None:
    """The key must be there; clients read an empty text as nothing."""
    assert (await _started(platform))["execution"]["run"]["payload"] == ""


async def test_an_attempt_that_returns_finishes_the_run(platform: Platform) -> None:
    """With the metadata that were not sent before."""
    state = await _started(platform)
    change = {"json": {"operations": [{"type": "set", "key": "n", "value": 1}]}}
    flushed = {"data": json.dumps(change), "dataType": "application/super+json"}
    body = {"completion": _DONE | {"usage": {"durationMs": 7.4}, "flushedMetadata": flushed}}
    answer = (await _post(platform, f"{_here(state)}/attempts/complete", body)).json()["result"]

    assert answer["attemptStatus"] == "RUN_FINISHED"
    assert answer["run"]["status"] == "COMPLETED_SUCCESSFULLY"
    assert answer["run"]["attemptNumber"] == 1
    found = (await platform.http.get(f"/api/v3/runs/{state['run']['friendlyId']}")).json()
    assert (found["status"], found["output"], found["metadata"]) == ("COMPLETED", 2, {"n": 1})


async def test_metadata_that_cannot_be_read_do_not_keep_a_run_from_ending(
    platform: Platform,
) -> None:
    state = await _started(platform)
    body = {
        "completion": _DONE | {"flushedMetadata": {"data": "{", "dataType": "application/json"}}
    }
    answer = await _post(platform, f"{_here(state)}/attempts/complete", body)

    assert answer.json()["result"]["attemptStatus"] == "RUN_FINISHED"


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (
            {"type": "BUILT_IN_ERROR", "name": "TypeError", "message": "no", "stackTrace": ""},
            {"name": "TypeError", "message": "no", "stackTrace": ""},
        ),
        ({"type": "STRING_ERROR", "raw": "text"}, {"message": "text"}),
        ({"type": "CUSTOM_ERROR", "raw": '{"a":1}'}, {"message": '{"a":1}'}),
    ],
)
async def test_every_kind_of_error_arrives(
    platform: Platform, error: dict[str, str], shown: dict[str, str]
) -> None:
    state = await _started(platform)
    body = {"completion": {"ok": False, "id": "x", "error": error}}
    answer = await _post(platform, f"{_here(state)}/attempts/complete", body)

    assert answer.json()["result"]["attemptStatus"] == "RUN_FINISHED"
    found = (await platform.http.get(f"/api/v3/runs/{state['run']['friendlyId']}")).json()
    assert (found["status"], found["error"]) == ("FAILED", shown)


async def test_a_retry_starts_from_the_snapshot_of_the_answer(platform: Platform) -> None:
    """At once if it is near, else through the queue; the number of the attempt changes with the start."""
    state = await _started(platform, "retried")
    for delay, expected in ((100, "RETRY_IMMEDIATELY"), (60_000, "RETRY_QUEUED")):
        failed = {
            "ok": False,
            "id": "x",
            "error": {"type": "STRING_ERROR", "raw": "no"},
            "retry": {"timestamp": 0, "delay": delay},
        }
        answer = await _post(platform, f"{_here(state)}/attempts/complete", {"completion": failed})
        result = answer.json()["result"]
        assert result["attemptStatus"] == expected
        assert result["run"]["attemptNumber"] == state["run"]["attemptNumber"]
        if expected == "RETRY_IMMEDIATELY":
            state = (await _post(platform, f"{_here(result)}/attempts/start")).json()
            assert state["execution"]["attempt"]["number"] == 2


async def test_a_batch_is_told_by_the_places_of_its_runs(platform: Platform) -> None:
    """Each with its batch and its index, an error as JSON, in the snapshot that ends the wait."""
    state = await _started(platform)
    parent = state["run"]["friendlyId"]
    asked = {"runCount": 2, "parentRunId": parent, "resumeParentOnCompletion": True}
    batch = (await platform.http.post("/api/v3/batches", json=asked)).json()
    lines = "".join(json.dumps({"index": n, "task": "task"}) + "\n" for n in range(2))
    await platform.http.post(
        f"/api/v3/batches/{batch['id']}/items",
        content=lines,
        headers={"content-type": "application/x-ndjson"},
    )
    waiting = (await platform.http.get(f"{DEV}/runs/{parent}/snapshots/latest")).json()["execution"]
    assert waiting["snapshot"]["executionStatus"] == "EXECUTING_WITH_WAITPOINTS"
    worker = await _register(platform, {"id": "task"}, {"id": "retried", "retry": _RETRY})
    ends: list[dict[str, Any]] = [
        _DONE,
        {"ok": False, "id": "x", "error": {"type": "STRING_ERROR", "raw": "no"}},
    ]
    for end in ends:
        [message] = await _dequeue(platform, worker)
        child = (await _post(platform, f"{_here(message)}/attempts/start")).json()
        await _post(platform, f"{_here(child)}/attempts/complete", {"completion": end})
    told = (await platform.http.get(f"{DEV}/runs/{parent}/snapshots/latest")).json()["execution"]

    assert told["snapshot"]["executionStatus"] == "EXECUTING"
    assert told["run"]["attemptNumber"] == 1
    by_index = {one["index"]: one for one in told["completedWaitpoints"] if one["type"] == "RUN"}
    assert sorted(by_index) == [0, 1]
    for one in by_index.values():
        assert one["completedByTaskRun"]["batch"]["friendlyId"] == batch["id"]
    ok, failed = sorted(by_index.values(), key=lambda one: bool(one["outputIsError"]))
    assert (ok["output"], ok["outputType"]) == ('{"json":2}', "application/super+json")
    assert json.loads(failed["output"]) == {"type": "STRING_ERROR", "raw": "no"}
    assert not _nulls(told)


async def test_what_happened_since_a_snapshot_comes_in_order(platform: Platform) -> None:
    """All steps; the waits that ended meanwhile come with the last one."""
    state = await _started(platform)
    run_id, begun = state["run"]["friendlyId"], state["snapshot"]["friendlyId"]
    for _ in range(2):
        token = (await platform.http.post("/api/v1/waitpoints/tokens", json={})).json()["id"]
        await platform.http.post(f"/engine/v1/runs/{run_id}/waitpoints/tokens/{token}/wait")
        path = f"/api/v1/waitpoints/tokens/{token}/complete"
        await platform.http.post(path, json={"data": 1})
    path = f"{DEV}/runs/{run_id}/snapshots/since/"
    steps = (await platform.http.get(path + begun)).json()["snapshots"]
    assert [one["snapshot"]["executionStatus"] for one in steps] == 2 * [
        "EXECUTING_WITH_WAITPOINTS",
        "QUEUED_EXECUTING",
        "EXECUTING",
    ]
    assert [len(one["completedWaitpoints"]) for one in steps] == [0, 0, 0, 0, 0, 2]
    assert {one["run"]["attemptNumber"] for one in steps} == {1}
    last = steps[-1]["snapshot"]["friendlyId"]
    assert (await platform.http.get(path + last)).json() == {"snapshots": []}

    for unknown in ("snapshot_x", last[:-8] + "00000099"):
        assert (await platform.http.get(path + unknown)).status_code == 404


async def test_a_stale_snapshot_is_refused_for_good(platform: Platform) -> None:
    """With a status that no client repeats; a heartbeat of it is not refused."""
    state = await _started(platform, "retried")
    failed = {
        "ok": False,
        "id": "x",
        "error": {"type": "STRING_ERROR", "raw": "no"},
        "retry": {"timestamp": 0, "delay": 100},
    }
    answer = await _post(platform, f"{_here(state)}/attempts/complete", {"completion": failed})
    await _post(platform, f"{_here(answer.json()['result'])}/attempts/start")
    late = await _post(platform, f"{_here(state)}/attempts/complete", {"completion": _DONE})
    assert (late.status_code, late.json()["code"]) == (422, "STALE_SNAPSHOT")
    beat = await _post(platform, f"{_here(state)}/heartbeat", {"cpu": 0, "memory": 0})

    assert beat.json() == {"ok": True}


async def test_reading_the_snapshot_keeps_the_run(platform: Platform) -> None:
    """The command line reads it every five seconds; its heartbeats come too seldom for a lease."""
    state = await _started(platform)
    run_id = state["run"]["friendlyId"]
    for _ in range(8):
        platform.clock.advance(5_000)
        await platform.http.get(f"{DEV}/runs/{run_id}/snapshots/latest")
        await platform.sweep()
    found = (await platform.http.get(f"{DEV}/runs/{run_id}/snapshots/latest")).json()

    assert found["execution"]["snapshot"] == state["snapshot"]


async def test_a_session_waits_for_work(platform: Platform) -> None:
    """The call is held until there is some."""
    worker = await _register(platform, {"id": "task"})
    asking = asyncio.create_task(_dequeue(platform, worker))
    await _until_held(platform)
    run_id = await platform.trigger()

    assert [message["run"]["friendlyId"] for message in await asking] == [run_id]


async def test_a_call_that_waits_ends_when_a_new_version_comes(platform: Platform) -> None:
    """It asks for runs of a version that is past."""
    worker = await _register(platform, {"id": "task"})
    asking = asyncio.create_task(_dequeue(platform, worker))
    await _until_held(platform)
    await _register(platform, {"id": "task"}, content_hash="b")

    assert await asking == []


async def test_a_session_that_has_gone_is_given_nothing() -> None:
    """Its call is still held when there is a run again: that would be lost until its lease runs out."""
    async with listening() as platform:
        worker = await _register(platform, {"id": "task"})
        gone = asyncio.create_task(_dequeue(platform, worker))
        await _until_held(platform)
        gone.cancel()
        await asyncio.wait([gone])
        run_id = await platform.trigger()

        assert [one["run"]["friendlyId"] for one in await _dequeue(platform, worker)] == [run_id]


async def test_the_runs_of_a_killed_session_are_taken_from_it(platform: Platform) -> None:
    state = await _started(platform, "retried")
    body = {"runFriendlyIds": [state["run"]["friendlyId"], "run_nothing"]}
    answer = await platform.http.post(f"{DEV}/disconnect", json=body)
    assert answer.json() == {"cancelled": 1}
    found = (await platform.http.get(f"/api/v3/runs/{state['run']['friendlyId']}")).json()

    assert found["status"] == "QUEUED"


async def test_the_runs_of_a_branch_are_taken_from_it_too(platform: Platform) -> None:
    """The watchdog that says so does not say which branch the session was for."""
    parent = platform.server.local.environment
    await platform.server.units.write(environment.create_branch, parent, "b")
    platform.http.headers["x-trigger-branch"] = "b"
    state = await _started(platform, "retried")
    del platform.http.headers["x-trigger-branch"]
    body = {"runFriendlyIds": [state["run"]["friendlyId"]]}

    assert (await platform.http.post(f"{DEV}/disconnect", json=body)).json() == {"cancelled": 1}


async def test_whether_a_session_is_there_can_be_asked(platform: Platform) -> None:
    """It is, until nothing was heard of it for a while."""
    token = {"authorization": f"Bearer {platform.server.local.access_token}"}
    path = f"/api/v1/projects/{PROJECT}/dev-status"
    assert (await platform.http.get(path, headers=token)).json() == {"isConnected": False}
    worker = await _register(platform, {"id": "task"})
    await platform.trigger()
    await _dequeue(platform, worker)
    assert (await platform.http.get(path, headers=token)).json() == {"isConnected": True}
    platform.clock.advance(20_000)

    assert (await platform.http.get(path, headers=token)).json() == {"isConnected": False}


async def test_remarks_of_a_worker_are_heard(platform: Platform) -> None:
    state = await _started(platform)
    body = {"time": "2026-01-01T00:00:00Z", "message": "hm", "properties": {"a": None}}
    answer = await _post(platform, f"{state['run']['friendlyId']}/logs/debug", body)

    assert (answer.status_code, answer.content) == (204, b"")


async def test_a_queue_without_a_name_is_the_tasks_own(platform: Platform) -> None:
    """With the limit that stands there."""
    await _register(platform, {"id": "task", "queue": {"concurrencyLimit": 3}})
    found = (await platform.http.get("/api/v1/queues/task", params={"type": "task"})).json()

    assert found["concurrencyLimit"] == 3
