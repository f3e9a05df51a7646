"""Which version a run executes on, from a deploy to the worker, over HTTP alone and on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from support.deploying import ALL, Worker, begin, deploy, finalize, held, index
from support.http import Platform

pytestmark = pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)

HOUR_MS = 3_600_000


@pytest.fixture
async def prod(platform: Platform) -> AsyncIterator[Platform]:
    """The production environment of the project."""
    prod = await platform.elsewhere("prod")
    async with prod.http:
        yield prod


async def _run(prod: Platform, run_id: str) -> dict[str, Any]:
    return dict((await prod.http.get(f"/api/v3/runs/{run_id}")).json())


async def _status(prod: Platform, run_id: str) -> str:
    return str((await _run(prod, run_id))["status"])


async def _promote(prod: Platform, version: str, **params: str) -> None:
    answer = await prod.http.post(f"{ALL}/{version}/promote", params=params)
    assert answer.status_code == 200, answer.text


async def _has_looked(prod: Platform, boot: str) -> None:
    """Let a poll look once and begin to wait; what it wrote stands before what is written next."""
    async with asyncio.timeout(3):
        while boot not in {waiter.boot_id for waiter in prod.server.hub._waiters}:  # noqa: ASYNC110
            await asyncio.sleep(0)
    await prod.server.units.write(lambda _u: None)


async def test_a_run_waits_for_the_first_deployment_and_starts_on_it(prod: Platform) -> None:
    """Indexed is not enough; finalized it is current."""
    made = await begin(prod)
    worker_id = (await index(prod, made["id"], "task"))["id"]
    worker = await Worker.of(prod, made | {"worker": worker_id})
    run_id = await prod.trigger("task")
    assert await worker.poll() == []
    assert await _status(prod, run_id) == "PENDING_VERSION"

    await finalize(prod, made["id"])
    assert await _status(prod, run_id) == "QUEUED"
    [run] = await worker.poll()
    assert (run["runId"], run["version"], run["workerId"]) == (run_id, made["version"], worker_id)
    await worker.begin(run)
    assert (await worker.succeed(run, "done"))["status"] == "COMPLETED_SUCCESSFULLY"
    done = await _run(prod, run_id)
    assert (done["output"], done["version"]) == ("done", made["version"])


async def test_a_run_keeps_the_version_it_started_with(prod: Platform) -> None:
    """Its retry goes past the workers of what was deployed meanwhile."""
    old = await deploy(prod, "task")
    of_old = await Worker.of(prod, old)
    run_id = await prod.trigger("task")
    [run] = await of_old.poll()
    await of_old.begin(run)
    new = await deploy(prod, "task")
    of_new = await Worker.of(prod, new)
    error = {"type": "STRING_ERROR", "raw": "broken"}
    failed = held(run) | {"ok": False, "error": error, "retry": {"delay": 60_000}}
    await of_old.report(completions=[failed])
    fresh = await prod.trigger("task")
    prod.clock.advance(60_000)
    await prod.sweep()

    assert [one["runId"] for one in await of_new.poll()] == [fresh]
    [again] = await of_old.poll()
    assert (again["runId"], again["attempt"], again["version"]) == (run_id, 2, old["version"])


async def test_runs_of_an_old_version_in_front_hold_up_no_worker(prod: Platform) -> None:
    """Though there are five hundred of them, and nobody serves them."""
    old = await deploy(prod, "task")
    new = await deploy(prod, "task")
    item = {"task": "task", "options": {"lockToVersion": old["version"]}}
    batch = await prod.http.post("/api/v2/tasks/batch", json={"items": [item] * 500})
    assert batch.status_code == 202, batch.text
    prod.clock.advance(1)
    run_id = await prod.trigger("task")

    assert [one["runId"] for one in await (await Worker.of(prod, new)).poll(1)] == [run_id]
    assert len(await (await Worker.of(prod, old)).poll(50)) == 50


async def test_children_that_are_waited_for_run_on_their_parents_version(prod: Platform) -> None:
    """Others on the current one."""
    old = await deploy(prod, "task")
    of_old = await Worker.of(prod, old)
    await prod.trigger("task")
    [parent] = await of_old.poll()
    await of_old.begin(parent)
    of_new = await Worker.of(prod, await deploy(prod, "task"))

    waited = {"ref": "w", "items": [{"task": "task", "options": {}}]}
    [started] = (await of_old.report(triggers=[held(parent) | waited]))["waits"]
    other = await prod.trigger("task", parentRunId=parent["runId"])
    child = started["awaited"][0]["runId"]

    assert [one["runId"] for one in await of_new.poll()] == [other]
    [found] = await of_old.poll()
    assert (found["runId"], found["version"]) == (child, old["version"])
    await of_old.begin(found)
    told = await of_old.report(completions=[held(found) | {"ok": True, "output": '"child"'}])
    [signal] = told["signals"]
    assert (signal["kind"], signal["runId"]) == ("resume", parent["runId"])


async def test_a_task_that_no_version_has_waits_for_one_that_has_it(prod: Platform) -> None:
    """Parked when a worker would have taken it; other runs go on."""
    worker = await Worker.of(prod, await deploy(prod, "task"))
    missing, run_id = await prod.trigger("later"), await prod.trigger("task")
    assert [one["runId"] for one in await worker.poll()] == [run_id]
    assert await _status(prod, missing) == "PENDING_VERSION"

    later = await Worker.of(prod, await deploy(prod, "task", "later"))
    assert [one["runId"] for one in await later.poll()] == [missing]


async def test_a_run_that_names_a_deployment_waits_for_it_and_for_no_other(
    prod: Platform,
) -> None:
    """Skew protection: whoever was deployed with a commit triggers runs of that commit."""
    current = await deploy(prod, "task", externalId="sha-1")
    of_current = await Worker.of(prod, current)
    waiting = await prod.trigger("task", externalDeploymentId="sha-2")
    there = await prod.trigger("task", externalDeploymentId="sha-1")
    assert await _status(prod, waiting) == "PENDING_VERSION"
    assert [one["runId"] for one in await of_current.poll()] == [there]

    staged = await deploy(prod, "task", externalId="sha-2", promoted=False)
    assert await _status(prod, waiting) == "QUEUED"
    assert await of_current.poll() == []
    [run] = await (await Worker.of(prod, staged)).poll()
    assert (run["runId"], run["version"]) == (waiting, staged["version"])
    assert (await prod.http.get(f"{ALL}/current")).json()["version"] == current["version"]


async def test_a_run_whose_deployment_does_not_come_expires(prod: Platform) -> None:
    """After an hour; the version it names wins over the deployment it names."""
    made = await deploy(prod, "task")
    options = {"externalDeploymentId": "sha-x", "lockToVersion": made["version"]}
    locked = await prod.trigger("task", **options)
    waiting = await prod.trigger("task", externalDeploymentId="sha-x")
    assert await _status(prod, locked) == "QUEUED"

    prod.clock.advance(HOUR_MS)
    await prod.sweep()
    assert await _status(prod, waiting) == "EXPIRED"


async def test_a_rollback_takes_the_runs_that_have_not_started(prod: Platform) -> None:
    """A worker of the older version that waits for work hears of it at once."""
    old = await deploy(prod, "task")
    of_old = await Worker.of(prod, old)
    new = await deploy(prod, "task")
    of_new = await Worker.of(prod, new)
    started, waiting = await prod.trigger("task"), await prod.trigger("task")
    assert [one["runId"] for one in await of_new.poll(1)] == [started]

    asked = asyncio.create_task(of_old.poll(wait_ms=20_000))
    await _has_looked(prod, of_old.boot)
    await _promote(prod, old["version"], allowRollbacks="true")

    async with asyncio.timeout(3):
        [run] = await asked
    assert (run["runId"], run["version"]) == (waiting, old["version"])
    assert await of_new.poll() == []
    await _promote(prod, new["version"])
    run_id = await prod.trigger("task")
    assert await of_old.poll() == []
    assert [one["runId"] for one in await of_new.poll()] == [run_id]


async def test_what_is_not_promoted_serves_those_who_lock_to_it(prod: Platform) -> None:
    """Atomic deploys: the new program triggers its own version before it is current."""
    current = await deploy(prod, "task")
    staged = await deploy(prod, "task", "new", promoted=False)
    refused = await prod.http.post(
        "/api/v1/tasks/new/trigger", json={"options": {"lockToVersion": current["version"]}}
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "TASK_NOT_IN_VERSION")
    run_id = await prod.trigger("new", lockToVersion=staged["version"])
    plain = await prod.trigger("task")

    assert [one["runId"] for one in await (await Worker.of(prod, staged)).poll()] == [run_id]
    assert [one["runId"] for one in await (await Worker.of(prod, current)).poll()] == [plain]


async def test_a_frozen_run_goes_on_where_its_version_is_served(prod: Platform) -> None:
    """A checkpoint that is no longer wanted is refused, a lost one is retried."""
    made = await deploy(prod, "task")
    worker = await Worker.of(prod, made)
    run_id = await prod.trigger("task")
    [run] = await worker.poll()
    await worker.begin(run)
    until = prod.clock.now() + 60_000
    [wait] = (await worker.report(waits=[held(run) | {"ref": "w", "until": until}]))["waits"]
    offer = held(run) | {
        "sequence": wait["sequence"], "kind": "PROCESS", "location": "/frozen/1",
    }  # fmt: skip
    [verdict] = (await worker.report(suspended=[offer]))["suspensions"]
    assert verdict["ok"] is True
    assert await _status(prod, run_id) == "WAITING"
    snapshots = (await prod.http.get(f"/api/v1/runs/{run_id}/snapshots")).json()["data"]
    assert snapshots[-1]["executionStatus"] == "SUSPENDED"

    await deploy(prod, "task")
    prod.clock.advance(60_000)
    await prod.sweep()
    [again] = await worker.poll()
    assert (again["attempt"], again["version"]) == (1, made["version"])
    assert again["checkpoint"]["location"] == "/frozen/1"
    assert [one["ref"] for one in again["waits"]] == ["w"]

    late = held(run) | {"sequence": wait["sequence"], "kind": "PROCESS", "location": "/frozen/2"}
    [refused] = (await worker.report(suspended=[late]))["suspensions"]
    assert (refused["ok"], refused["reason"]) == (False, "the lease is gone")
    await worker.report(lost=[held(again) | {"reason": "no such file"}])
    prod.clock.advance(60_000)
    await prod.sweep()
    [retry] = await worker.poll()
    assert (retry["attempt"], "checkpoint" in retry) == (2, False)
