"""What runners ask of their supervisor (protocol F.2): it passes on, and lets no runner reach too far."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from support.deploying import deploy
from support.socket_client import connected
from support.supervised import Supervised, eventually, supervised
from trigger_supervisor import workload_token
from trigger_supervisor.upstream import Speaker

RUNS = "/api/v1/workload-actions/runs"
SNAPSHOT = RUNS + "/{run}/snapshots/{snapshot}"


def _token(one: Supervised) -> str:
    """Return what a runner of the production environment shows."""
    return workload_token.sign(Speaker("runner_1", "deployment_1", one.environment), one.token)


async def _ask(one: Supervised, *calls: list[Any]) -> list[Any]:
    """Let a runner make calls; return the answers as (status, text)."""
    run = await one.run("call", calls=[list(call) for call in calls])
    assert run["status"] == "COMPLETED", run
    return list(run["output"])


async def test_what_a_runner_asks_is_passed_on(tmp_path: Path) -> None:
    """And a checkpoint is refused in the words that make it wait where it is."""
    async with supervised(tmp_path) as one:
        beat, since, unknown, suspended, debug, none, health = await _ask(
            one,
            ["POST", f"{SNAPSHOT}/heartbeat", {"cpu": 0.1}],
            ["GET", f"{RUNS}/{{run}}/snapshots/since/{{snapshot}}"],
            ["GET", f"{RUNS}/{{run}}/snapshots/since/snapshot_none"],
            ["GET", f"{SNAPSHOT}/suspend"],
            ["POST", f"{RUNS}/{{run}}/logs/debug", {"message": "hello", "time": "now"}],
            ["GET", "/api/v1/workload-actions/deployments/x/dequeue"],
            ["GET", "/health"],
        )

    assert [beat[0], json.loads(beat[1])] == [200, {"ok": True}]
    assert [since[0], json.loads(since[1])] == [200, {"snapshots": []}]
    assert unknown[0] == 404
    assert suspended[0] == 400
    assert json.loads(suspended[1]) == {"ok": False, "error": "Checkpoints disabled"}
    assert debug == [204, ""]
    assert none == [200, "[]"]
    assert health == [200, "OK"]


async def test_a_refusal_that_concerns_the_run_reaches_the_runner(tmp_path: Path) -> None:
    """So that it lets go of the run instead of asking again and again."""
    async with supervised(tmp_path) as one:
        run = await one.run("return")
        snapshot = run["output"]["env"]["TRIGGER_SNAPSHOT_ID"]
        path = SNAPSHOT.format(run=run["id"], snapshot=snapshot)
        headers = {"x-trigger-workload-deployment-id": _token(one)}
        async with httpx.AsyncClient(base_url=one.url, headers=headers) as http:
            begun = await http.post(f"{path}/attempts/start", json={})
            continued = await http.get(f"{path}/continue")

    assert (begun.status_code, begun.json()["code"]) == (422, "STALE_SNAPSHOT")
    assert (continued.status_code, continued.json()["code"]) == (422, "NOT_CONTINUABLE")


@pytest.mark.parametrize("token", ["", "x", "x.y", "e30.", "of another group"])
async def test_who_was_not_started_here_is_refused_without_a_word(
    tmp_path: Path, token: str
) -> None:
    async with supervised(tmp_path) as one:
        if token == "of another group":
            speaker = Speaker("runner_1", "deployment_1", one.environment)
            token = workload_token.sign(speaker, "tr_wgt_other")
        headers = {"x-trigger-workload-deployment-id": token}
        async with httpx.AsyncClient(base_url=one.url, headers=headers) as http:
            for method, action in (("POST", "attempts/start"), ("GET", "suspend")):
                path = SNAPSHOT.format(run="run_1", snapshot="snapshot_1")
                refused = await http.request(method, f"{path}/{action}")
                assert (refused.status_code, refused.content) == (401, b"")
        async with connected(
            one.url, "none", "/workload", x_trigger_workload_deployment_id=token
        ) as client:
            assert (await client.frame()).startswith("44/workload,")


async def test_a_runner_reaches_no_run_of_another_environment(tmp_path: Path) -> None:
    """Nor does a path lead it anywhere else."""
    async with supervised(tmp_path) as one:
        staging = await one.prod.elsewhere("staging")
        async with staging.http:
            await deploy(staging, "task")
            foreign = await staging.trigger("task", {"do": "wait", "until": str(tmp_path / "go")})

            async def is_taken() -> bool:
                found = await staging.http.get(f"/api/v3/runs/{foreign}")
                return bool(found.json()["status"] in {"SYSTEM_FAILURE", "EXECUTING"})

            await eventually(is_taken)
        headers = {"x-trigger-workload-deployment-id": _token(one)}
        async with httpx.AsyncClient(base_url=one.url, headers=headers) as http:
            snapshot = foreign.replace("run_", "snapshot_") + "00000001"
            found = await http.get(f"{RUNS}/{foreign}/snapshots/since/{snapshot}")
            assert (found.status_code, found.json()["code"]) == (404, "RUN_NOT_FOUND")
            astray = await http.get(f"{RUNS}/..%2f..%2fconnect/snapshots/since/x")
            assert astray.status_code == 404
        for dots in ("..", "%2e%2e", "."):
            path = f"{RUNS}/{dots}/snapshots/{dots}/heartbeat"
            assert await asyncio.to_thread(_post_as_it_is, one.url, path, headers) == 404, dots


def _post_as_it_is(url: str, path: str, headers: dict[str, str]) -> int:
    """Send a path that other clients would simplify."""
    place = urlsplit(url)
    with closing(HTTPConnection(place.hostname or "", place.port, timeout=20)) as connection:
        connection.request("POST", path, b"{}", headers)
        return connection.getresponse().status


async def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    """The end of an attempt may be large, nothing else."""
    async with supervised(tmp_path) as one:
        large = {"cpu": 1, "more": "x" * 70_000}
        [refused] = await _ask(one, ["POST", f"{SNAPSHOT}/heartbeat", large])
        assert refused == [413, ""]
        headers = {"x-trigger-workload-deployment-id": _token(one)}
        async with httpx.AsyncClient(base_url=one.url, headers=headers, timeout=30) as http:
            path = SNAPSHOT.format(run="run_1", snapshot="snapshot_1")
            body = b" " * (32 * 1024 * 1024 + 1)
            refused = await http.post(f"{path}/attempts/complete", content=body)
            assert (refused.status_code, refused.content) == (413, b"")


async def test_what_the_platform_cannot_answer_is_an_empty_500(tmp_path: Path) -> None:
    """Runners try again then. What it says of the supervisor is not for them."""
    mark = tmp_path / "mark"
    async with supervised(tmp_path, max_runs=1) as one:
        await one.trigger("wait", until=str(tmp_path / "go"), file=str(mark))
        await one.mark(mark)  # without room it has no reason to show its token itself
        await one.lock_out()
        headers = {"x-trigger-workload-deployment-id": _token(one)}
        async with httpx.AsyncClient(base_url=one.url, headers=headers, timeout=30) as http:
            path = SNAPSHOT.format(run="run_1", snapshot="snapshot_1")
            failed = await http.post(f"{path}/heartbeat", json={})
            assert (failed.status_code, failed.content) == (500, b"")


async def test_a_runner_is_told_to_look_at_once(tmp_path: Path) -> None:
    """That its run was canceled goes platform, supervisor, runner; also when it comes before the runner."""
    mark = tmp_path / "mark"
    async with supervised(tmp_path) as one:
        run_id = await one.trigger("wait", until=str(tmp_path / "go"), file=str(mark))
        await one.mark(mark)
        said = {"x_trigger_workload_deployment_id": _token(one)}
        message = {"version": "1", "run": {"friendlyId": run_id}}
        async with connected(one.url, "none", "/workload", **said) as client:
            assert (await client.frame()).startswith("40/workload,")
            await client.ask("run:start", message | {"snapshot": {"friendlyId": "snapshot_1"}})
            await one.prod.http.post(f"/api/v2/runs/{run_id}/cancel")
            assert await client.event() == ("run:notify", message)
            await client.ask("run:stop", message)
        second = tmp_path / "second"
        run_id = await one.trigger("wait", until=str(tmp_path / "go"), file=str(second))
        await one.mark(second)
        await one.prod.http.post(f"/api/v2/runs/{run_id}/cancel")
        message = {"version": "1", "run": {"friendlyId": run_id}}
        async with asyncio.timeout(20), connected(one.url, "none", "/workload", **said) as client:
            await client.frame()
            await client.emit("run:start", message)
            assert await client.event() == ("run:notify", message)
