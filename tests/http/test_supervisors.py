"""Supervisors over HTTP: they take runs of deployments, and runners execute them (protocol F.1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from support.deploying import begin, deploy, index
from support.http import Platform, serving
from support.supervising import ACTIONS, Supervisor, named, supervisor_of
from trigger_core import clock
from trigger_platform.engine import environment as environments
from trigger_platform.engine import organization, project, user, variable, worker_group
from trigger_platform.engine.supervisor import START_MS
from trigger_platform.engine.unit import Unit

pytestmark = pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)

CHECKPOINT = {"type": "DOCKER", "location": "/c/1", "imageRef": "image"}
OFFER = {"success": True, "checkpoint": CHECKPOINT}


def _statuses(steps: list[dict[str, Any]]) -> list[str]:
    return [step["snapshot"]["executionStatus"] for step in steps]


@pytest.fixture
async def prod(platform: Platform) -> AsyncIterator[Platform]:
    """The production environment of the project."""
    prod = await platform.elsewhere("prod")
    async with prod.http:
        yield prod


@pytest.fixture
async def supervisor(prod: Platform) -> AsyncIterator[Supervisor]:
    """A supervisor of the only group."""
    supervisor = await supervisor_of(prod)
    async with supervisor.http:
        yield supervisor


async def _status(prod: Platform, run_id: str) -> str:
    return str((await prod.http.get(f"/api/v3/runs/{run_id}")).json()["status"])


async def test_a_supervisor_learns_its_group_and_is_seen(
    prod: Platform, supervisor: Supervisor
) -> None:
    """Its token and its name are needed."""
    metadata = {"metadata": {"workerVersion": "1"}}
    answer = await supervisor.http.post(f"{ACTIONS}/connect", json=metadata)
    assert answer.json() == {"ok": True, "workerGroup": {"type": "MANAGED", "name": "default"}}
    load = {"cpu": {"used": 0.5, "available": 0.5}, "tasks": []}
    assert (await supervisor.http.post(f"{ACTIONS}/heartbeat", json=load)).json() == {"ok": True}
    [group] = await prod.server.units.read(worker_group.listed)
    assert group.last_heartbeat_at == prod.clock.now()
    assert (await supervisor.http.get(f"{ACTIONS}/deployments/x/dequeue")).json() == []

    nameless = {"x-trigger-worker-instance-name": ""}
    refused = await supervisor.http.post(f"{ACTIONS}/connect", json=metadata, headers=nameless)
    assert refused.status_code == 400
    for token in ("tr_wgt_wrong", prod.http.headers["authorization"].removeprefix("Bearer ")):
        headers = {"authorization": f"Bearer {token}"}
        refused = await supervisor.http.post(f"{ACTIONS}/connect", json=metadata, headers=headers)
        assert (refused.status_code, refused.json()["error"]) == (
            401, "Invalid or missing worker token",
        )  # fmt: skip


async def test_a_run_is_taken_started_and_completed(prod: Platform, supervisor: Supervisor) -> None:
    """The message names the image; the start hands over the payload and the environment's variables."""

    def set_variable(u: Unit) -> None:
        here = environments.shared(u, prod.server.local.project, "prod")
        variable.create(u, here, "GREETING", "hello", is_secret=True)

    await prod.server.units.write(set_variable)
    made = await deploy(prod, "task", gitMeta={"commitSha": "abc"})
    run_id = await prod.trigger("task", {"n": 1})

    [message] = await supervisor.take(maxRunCount=5)
    assert message["version"] == "1"
    assert message["image"] == made["imageTag"]
    assert message["deployment"]["friendlyId"] == made["id"]
    assert message["deployment"]["imagePlatform"] == "linux/amd64"
    assert message["backgroundWorker"]["friendlyId"] == made["worker"]
    assert message["environment"]["type"] == "PRODUCTION"
    assert (message["snapshot"]["executionStatus"], "checkpoint" in message) == (
        "PENDING_EXECUTING", False,
    )  # fmt: skip
    assert await supervisor.take() == []

    begun = await supervisor.start(message)
    assert begun == await supervisor.start(message)  # asked again
    execution, given = begun["execution"], begun["envVars"]
    assert (execution["run"]["id"], execution["attempt"]["number"]) == (run_id, 1)
    assert (execution["run"]["payload"], execution["environment"]["slug"]) == ('{"n":1}', "prod")
    assert execution["deployment"]["git"] == {"commitSha": "abc"}
    assert (given["GREETING"], given["TRIGGER_RUN_ID"]) == ("hello", run_id)
    assert f"Bearer {given['TRIGGER_SECRET_KEY']}" == prod.http.headers["authorization"]

    result = await supervisor.complete(begun)
    assert result["attemptStatus"] == "RUN_FINISHED"
    assert (await supervisor.complete(begun))["attemptStatus"] == "RUN_FINISHED"
    assert await _status(prod, run_id) == "COMPLETED"


async def test_a_supervisor_serves_every_project_by_turns(
    prod: Platform, supervisor: Supervisor
) -> None:
    """A hundred runs of one do not hold up the one of another."""

    def settle(u: Unit) -> str:
        person = user.create(u, "bob@example.com")
        home = organization.create(u, "Bob's", person.id)
        there = environments.shared(u, project.create(u, home.id, "shop"), "prod")
        return prod.server.secret_key_of(there)

    key = await prod.server.units.write(settle)
    headers = {"authorization": f"Bearer {key}"}
    transport, base_url = prod.http._transport, prod.http.base_url
    http = httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers)
    other = Platform(prod.server, prod.clock, http)
    await deploy(prod, "task")
    await deploy(other, "task")
    for _ in range(20):
        await prod.trigger("task")
    run_id = await other.trigger("task")

    taken = await supervisor.take(maxRunCount=4)
    assert len(taken) == 4
    assert run_id in {message["run"]["friendlyId"] for message in taken}
    await http.aclose()


async def test_what_is_not_for_supervisors_is_left_alone(
    platform: Platform, prod: Platform, supervisor: Supervisor
) -> None:
    """Runs of development, of unmanaged deployments, of a version without any, of a paused environment."""
    await platform.work("task")
    await platform.trigger("task")
    staging = await platform.elsewhere("staging")
    made = await begin(staging, type="UNMANAGED")
    await index(staging, made["id"], "task")
    await staging.http.post(f"/api/v2/deployments/{made['id']}/finalize")
    await staging.trigger("task")
    assert await supervisor.take() == []

    await deploy(prod, "task")
    await prod.trigger("task")
    path = f"/api/v1/projects/{prod.server.local.project.ref}/prod"
    assert (await prod.http.post(f"{path}/pause")).status_code == 200
    assert await supervisor.take() == []
    assert (await prod.http.post(f"{path}/resume")).status_code == 200
    assert len(await supervisor.take()) == 1


async def test_a_supervisor_that_waits_hears_of_work_at_once(
    prod: Platform, supervisor: Supervisor
) -> None:
    """In whichever environment."""
    await deploy(prod, "task")
    asked = asyncio.create_task(supervisor.take())
    async with asyncio.timeout(3):
        while not prod.server.hub._waiters:  # noqa: ASYNC110
            await asyncio.sleep(0)
    await prod.server.units.write(lambda _u: None)
    run_id = await prod.trigger("task")

    async with asyncio.timeout(1):
        assert [message["run"]["friendlyId"] for message in await asked] == [run_id]


async def test_a_failed_attempt_is_tried_again(prod: Platform, supervisor: Supervisor) -> None:
    """By the same runner after a short pause, through the queue after a long one."""
    made = await deploy(prod, "task")
    run_id = await prod.trigger("task", maxAttempts=3)
    [message] = await supervisor.take()
    error = {"type": "STRING_ERROR", "raw": "broken"}

    failed = await supervisor.complete(
        await supervisor.start(message), ok=False, error=error, retry={"delay": 100}
    )
    assert failed["attemptStatus"] == "RETRY_IMMEDIATELY"
    prod.clock.advance(100)
    again = await supervisor.start(failed)
    assert again["execution"]["attempt"]["number"] == 2
    failed = await supervisor.complete(again, ok=False, error=error, retry={"delay": 60_000})
    assert failed["attemptStatus"] == "RETRY_QUEUED"
    await deploy(prod, "task")
    prod.clock.advance(60_000)
    await prod.sweep()
    [message] = await supervisor.take()
    assert message["backgroundWorker"]["version"] == made["version"]
    last = await supervisor.start(message)
    done = await supervisor.complete(last, ok=False, error=error)
    assert (done["attemptStatus"], await _status(prod, run_id)) == ("RUN_FINISHED", "FAILED")


async def _waiting(prod: Platform, supervisor: Supervisor, ms: int, **options: Any) -> Any:
    """Trigger a run that waits for a moment; return its snapshot."""
    run_id = await prod.trigger("task", **options)
    [message] = await supervisor.take()
    begun = await supervisor.start(message)
    soon = {"date": clock.to_iso(prod.clock.now() + ms)}
    waits = await prod.http.post(f"/engine/v1/runs/{run_id}/wait/duration", json=soon)
    assert waits.status_code == 200, waits.text
    [waiting] = await supervisor.since(begun)
    assert waiting["snapshot"]["executionStatus"] == "EXECUTING_WITH_WAITPOINTS"
    return waiting


async def test_a_waiting_run_is_put_away_under_a_checkpoint(
    prod: Platform, supervisor: Supervisor
) -> None:
    """A supervisor that could not make one says so, and the runner waits on."""
    await deploy(prod, "task")
    waiting = await _waiting(prod, supervisor, 60_000)
    run_id, _ = named(waiting)
    failed = {"success": False, "error": "no disk"}
    assert (await supervisor.call(*named(waiting), "suspend", failed)).json() == {"ok": True}
    assert _statuses([await supervisor.latest(run_id)]) == ["EXECUTING_WITH_WAITPOINTS"]

    for _ in range(2):  # an answer may be lost
        assert (await supervisor.call(*named(waiting), "suspend", OFFER)).json() == {"ok": True}
    assert _statuses([await supervisor.latest(run_id)]) == ["SUSPENDED"]
    assert await _status(prod, run_id) == "WAITING"
    assert await supervisor.take() == []


async def test_a_suspended_run_goes_on_from_its_checkpoint(
    prod: Platform, supervisor: Supervisor
) -> None:
    """Its runner is told of the wait that ended meanwhile, once."""
    await deploy(prod, "task")
    waiting = await _waiting(prod, supervisor, 60_000)
    assert (await supervisor.call(*named(waiting), "suspend", OFFER)).json() == {"ok": True}
    prod.clock.advance(60_000)
    await prod.sweep()
    [restored] = await supervisor.take()
    kept = restored["checkpoint"]
    assert (kept["type"], kept["location"], kept["imageRef"]) == ("DOCKER", "/c/1", "image")
    assert restored["run"]["attemptNumber"] == 1
    steps = await supervisor.since(waiting)
    assert _statuses(steps) == ["SUSPENDED", "QUEUED", "PENDING_EXECUTING"]

    for _ in range(2):
        continued = await supervisor.call(*named(restored), "continue")
        assert continued.json()["snapshot"]["executionStatus"] == "EXECUTING"
    steps = await supervisor.since(waiting)
    assert _statuses(steps)[-1] == "EXECUTING"
    assert [len(step["completedWaitpoints"]) for step in steps] == [0, 0, 0, 1]
    assert await supervisor.since(steps[-1]) == []
    assert (await supervisor.complete(steps[-1]))["attemptStatus"] == "RUN_FINISHED"
    assert await _status(prod, named(waiting)[0]) == "COMPLETED"


async def test_a_checkpoint_that_is_no_longer_wanted_is_refused(
    prod: Platform, supervisor: Supervisor
) -> None:
    """The wait was over first: the process lives on and goes on."""
    await deploy(prod, "task")
    waiting = await _waiting(prod, supervisor, 6_000)
    prod.clock.advance(6_000)
    await prod.sweep()

    refused = await supervisor.call(*named(waiting), "suspend", OFFER)
    assert (refused.status_code, refused.json()["code"]) == (422, "NOT_SUSPENDABLE")
    assert (await supervisor.call(*named(waiting), "continue")).status_code == 422
    *_, executing = await supervisor.since(waiting)
    assert len(executing["completedWaitpoints"]) == 1
    assert (await supervisor.complete(executing))["attemptStatus"] == "RUN_FINISHED"
    empty = await supervisor.call(*named(waiting), "suspend", {"success": True})
    assert (empty.status_code, empty.json()["code"]) == (400, "CHECKPOINT_MISSING")


async def test_a_checkpoint_that_cannot_be_restored_costs_an_attempt(
    prod: Platform, supervisor: Supervisor
) -> None:
    """The runner starts anew instead of continuing; without an attempt left the run has failed."""
    await deploy(prod, "task")

    async def restored(**options: Any) -> dict[str, Any]:
        waiting = await _waiting(prod, supervisor, 60_000, **options)
        assert (await supervisor.call(*named(waiting), "suspend", OFFER)).status_code == 200
        prod.clock.advance(60_000)
        await prod.sweep()
        [again] = await supervisor.take()
        assert "checkpoint" in again
        return again

    anew = await supervisor.start(await restored(maxAttempts=2))
    assert anew["execution"]["attempt"]["number"] == 2
    assert (await supervisor.complete(anew))["attemptStatus"] == "RUN_FINISHED"

    last = await restored(maxAttempts=1)
    refused = await supervisor.call(*named(last), "attempts/start", {})
    assert refused.status_code == 422
    assert await _status(prod, named(last)[0]) == "FAILED"


async def test_a_runner_may_take_its_time_to_begin_but_not_for_ever(
    prod: Platform, supervisor: Supervisor
) -> None:
    """An image is fetched in peace; a run that nobody begins goes back to the queue."""
    await deploy(prod, "task")
    run_id = await prod.trigger("task")
    [message] = await supervisor.take()
    await supervisor.call(*named(message), "heartbeat", {})
    prod.clock.advance(START_MS - 1)
    await prod.sweep()
    assert await _status(prod, run_id) == "DEQUEUED"
    prod.clock.advance(1)
    await prod.sweep()
    [again] = await supervisor.take()
    assert again["run"]["friendlyId"] == run_id
    assert (await supervisor.call(*named(message), "attempts/start", {})).status_code == 422

    begun = await supervisor.start(again)
    for _ in range(4):
        prod.clock.advance(20_000)
        kept = await supervisor.call(*named(begun), "heartbeat", {"cpu": 0, "memory": 0})
        assert kept.json() == {"ok": True}
        await prod.sweep()
    assert await _status(prod, run_id) == "EXECUTING"
    prod.clock.advance(31_000)
    await prod.sweep()
    assert await _status(prod, run_id) != "EXECUTING"


async def test_a_canceled_run_is_told_to_its_runner(prod: Platform, supervisor: Supervisor) -> None:
    """By the next snapshot; what it returns then changes nothing."""
    await deploy(prod, "task")
    run_id = await prod.trigger("task")
    [message] = await supervisor.take()
    begun = await supervisor.start(message)
    await prod.http.post(f"/api/v2/runs/{run_id}/cancel")
    [canceling] = await supervisor.since(begun)
    assert canceling["snapshot"]["executionStatus"] == "PENDING_CANCEL"

    assert (await supervisor.complete(canceling))["attemptStatus"] == "RUN_FINISHED"
    assert await _status(prod, run_id) == "CANCELED"
    log = {"time": "2026-01-01T00:00:00Z", "message": "gone"}
    remark = await supervisor.http.post(f"{ACTIONS}/runs/{run_id}/logs/debug", json=log)
    assert remark.status_code == 204


async def test_a_group_speaks_for_its_own_runs_only(
    platform: Platform, prod: Platform, supervisor: Supervisor
) -> None:
    """Those of other groups and of development are not there, nor those outside of the scope it names."""
    await deploy(prod, "task")
    run_id = await prod.trigger("task")
    [message] = await supervisor.take()
    [mine] = await platform.work("task") or [{"runId": await platform.trigger("task")}]
    other = await supervisor_of(prod, "other")
    run_id, snapshot = named(message)
    completion = {"completion": {"ok": True, "id": run_id}}
    calls = [
        ("POST", f"runs/{run_id}/snapshots/{snapshot}/attempts/start", {}),
        ("POST", f"runs/{run_id}/snapshots/{snapshot}/attempts/complete", completion),
        ("POST", f"runs/{run_id}/snapshots/{snapshot}/heartbeat", {}),
        ("POST", f"runs/{run_id}/snapshots/{snapshot}/suspend", OFFER),
        ("GET", f"runs/{run_id}/snapshots/{snapshot}/continue", None),
        ("GET", f"runs/{run_id}/snapshots/latest", None),
        ("GET", f"runs/{run_id}/snapshots/since/{snapshot}", None),
    ]
    for method, path, body in calls:
        refused = await other.http.request(method, f"{ACTIONS}/{path}", json=body)
        assert refused.status_code == 404, path
    scope = {"x-trigger-worker-environment-id": "elsewhere"}
    path = f"{ACTIONS}/runs/{run_id}/snapshots/latest"
    assert (await supervisor.http.get(path, headers=scope)).status_code == 404
    path = f"{ACTIONS}/runs/{mine['runId']}/snapshots/latest"
    assert (await supervisor.http.get(path)).status_code == 404
    assert (await supervisor.latest(run_id))["snapshot"]["friendlyId"] == snapshot
    unknown = await supervisor.http.get(f"{ACTIONS}/runs/{run_id}/snapshots/since/snapshot_x")
    assert unknown.status_code == 404
    await other.http.aclose()


async def test_the_secret_of_the_supervisors_is_asked_for_where_there_is_one(address: str) -> None:
    """Beside the token."""
    async with serving(address, managed_worker_secret="s3cret") as platform:
        supervisor = await supervisor_of(platform)
        assert (await supervisor.http.post(f"{ACTIONS}/connect", json={})).status_code == 401
        supervisor.http.headers["x-trigger-worker-managed-secret"] = "s3cret"
        assert (await supervisor.http.post(f"{ACTIONS}/connect", json={})).status_code == 200
        await supervisor.http.aclose()
