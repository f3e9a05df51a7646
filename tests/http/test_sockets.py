"""Workers that read snapshots are told of new ones over Socket.IO."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from support import postgres
from support.deploying import deploy
from support.http import Platform
from support.live import listening
from support.session import over_http
from support.socket_client import SocketClient, connected
from support.supervising import Supervisor, supervisor_of
from trigger_platform.engine import environment

WRONG_SECRET = {"x_trigger_worker_managed_secret": "guessed"}


def _names(*run_ids: str) -> dict[str, Any]:
    return {"version": "1", "runFriendlyIds": list(run_ids)}


def _note(run_id: str) -> tuple[str, Any]:
    return "run:notify", {"version": "1", "run": {"friendlyId": run_id}}


async def _wait(platform: Platform, run_id: str) -> str:
    token = (await platform.http.post("/api/v1/waitpoints/tokens", json={})).json()["id"]
    path = f"/engine/v1/runs/{run_id}/waitpoints/tokens/{token}/wait"
    assert (await platform.http.post(path)).status_code == 200
    return str(token)


async def _complete(platform: Platform, token: str) -> None:
    path = f"/api/v1/waitpoints/tokens/{token}/complete"
    assert (await platform.http.post(path, json={"data": 1})).status_code == 200


@pytest.mark.parametrize("key", ["x", "tr_dev_wrong", "no.good.token"])
async def test_who_has_no_key_is_not_let_in(key: str) -> None:
    async with listening() as platform, connected(platform.server.url, key) as client:
        assert (await client.frame()).startswith("44/dev-worker,")


async def test_a_namespace_that_is_not_there_is_refused() -> None:
    async with (
        listening() as platform,
        connected(platform.server.url, platform.key, "/nobody") as client,
    ):
        assert (await client.frame()).startswith("44/nobody,")


async def test_a_worker_is_told_that_a_wait_is_over_and_that_a_run_is_canceled() -> None:
    """Once for each, when it can be read."""
    async with (
        listening() as platform,
        connected(platform.server.url, platform.key) as client,
    ):
        assert (await client.frame()).startswith("40/dev-worker,")
        run_id = await over_http(platform)
        await client.ask("run:subscribe", _names(run_id, "run_nothing"))
        token = await _wait(platform, run_id)
        await _complete(platform, token)
        assert await client.event() == _note(run_id)
        await platform.http.post(f"/api/v2/runs/{run_id}/cancel")

        assert await client.event() == _note(run_id)


async def test_a_worker_that_no_longer_watches_is_not_told() -> None:
    """And neither is one that watches something else."""
    async with (
        listening() as platform,
        connected(platform.server.url, platform.key) as client,
    ):
        await client.frame()
        first, second = await over_http(platform), await over_http(platform)
        await client.ask("run:subscribe", _names(first, second))
        await client.ask("run:unsubscribe", _names(first))
        for run_id in (first, second):
            await platform.http.post(f"/api/v2/runs/{run_id}/cancel")

        assert await client.event() == _note(second)


async def test_runs_of_others_cannot_be_watched() -> None:
    """A key of another environment hears nothing of them."""
    async with listening() as platform:
        server = platform.server

        foreign_one = await server.units.write(environment.shared, server.local.project, "staging")
        key = server.secret_key_of(foreign_one)
        mine = await over_http(platform)
        async with (
            connected(server.url, key) as foreign,
            connected(server.url, platform.key) as own,
        ):
            for client in (foreign, own):
                await client.frame()
                await client.ask("run:subscribe", _names(mine))
            await platform.http.post(f"/api/v2/runs/{mine}/cancel")
            assert await own.event() == _note(mine)
            await foreign.ask("run:subscribe", _names())


async def test_runs_of_a_branch_are_watched_with_the_key_of_its_parent() -> None:
    """The command line does not say here which branch it is for."""
    async with listening() as platform:
        parent = platform.server.local.environment
        await platform.server.units.write(environment.create_branch, parent, "b")
        platform.http.headers["x-trigger-branch"] = "b"
        run_id = await over_http(platform)
        async with connected(platform.server.url, platform.key) as client:
            await client.frame()
            await client.ask("run:subscribe", _names(run_id))
            await platform.http.post(f"/api/v2/runs/{run_id}/cancel")

            assert await client.event() == _note(run_id)


async def test_what_makes_no_sense_is_left_alone() -> None:
    """The connection stays."""
    async with (
        listening() as platform,
        connected(platform.server.url, platform.key) as client,
    ):
        await client.frame()
        for data in (None, 7, [], {"runFriendlyIds": "x"}, {"runFriendlyIds": [None, {}]}):
            await client.ask("run:subscribe", data)
        run_id = await over_http(platform)
        await client.ask("run:subscribe", _names(run_id))
        await platform.http.post(f"/api/v2/runs/{run_id}/cancel")

        assert await client.event() == _note(run_id)


async def test_a_commit_of_another_platform_is_told_too() -> None:
    """On PostgreSQL several serve one database."""
    address = postgres.emptied_database()
    async with listening(address) as one, listening(address) as other:
        run_id = await over_http(one)
        async with connected(one.server.url, one.key) as client:
            await client.frame()
            await client.ask("run:subscribe", _names(run_id))
            await other.http.post(f"/api/v2/runs/{run_id}/cancel")

            assert await client.event() == _note(run_id)


@asynccontextmanager
async def _managed(
    platform: Platform, group: str = "default", **headers: str
) -> AsyncIterator[tuple[Supervisor, SocketClient]]:
    """A supervisor of a new group, and its connection."""
    supervisor = await supervisor_of(platform, group)
    said = {"x_trigger_worker_instance_name": "one"} | headers
    url, token = platform.server.url, supervisor.token
    async with supervisor.http, connected(url, token, "/worker", **said) as client:
        yield supervisor, client


async def _taken(platform: Platform, supervisor: Supervisor) -> str:
    """Deploy a task and trigger a run of it, which the supervisor begins."""
    prod = await platform.elsewhere("prod")
    async with prod.http:
        await deploy(prod, "task")
        run_id = await prod.trigger("task")
        [message] = await supervisor.take()
        await supervisor.start(message)
    return run_id


async def _cancel(platform: Platform, run_id: str) -> None:
    prod = await platform.elsewhere("prod")
    async with prod.http:
        assert (await prod.http.post(f"/api/v2/runs/{run_id}/cancel")).status_code == 200


@pytest.mark.parametrize(
    ("token", "headers"),
    [
        ("tr_wgt_wrong", {"x_trigger_worker_instance_name": "one"}),
        ("the key of an environment", {"x_trigger_worker_instance_name": "one"}),
        ("right", {}),
        ("right", {"x_trigger_worker_instance_name": "one", **WRONG_SECRET}),
    ],
)
async def test_a_supervisor_needs_its_token_its_name_and_the_secret(
    token: str, headers: dict[str, str]
) -> None:
    async with listening(managed_worker_secret="shared") as platform:
        tokens = {
            "right": (await supervisor_of(platform)).token,
            "the key of an environment": platform.key,
        }
        shown = tokens.get(token, token)
        async with connected(platform.server.url, shown, "/worker", **headers) as client:
            assert (await client.frame()).startswith("44/worker,")
        right = {"x_trigger_worker_instance_name": "one"}
        right["x_trigger_worker_managed_secret"] = "shared"
        async with connected(platform.server.url, tokens["right"], "/worker", **right) as client:
            assert (await client.frame()).startswith("40/worker,")


async def test_a_supervisor_is_told_of_the_runs_of_its_group_alone() -> None:
    """Another group asks for them in vain."""
    async with (
        listening() as platform,
        _managed(platform) as (supervisor, mine),
        _managed(platform, "other") as (_, others),
    ):
        run_id = await _taken(platform, supervisor)
        for client in (mine, others):
            assert (await client.frame()).startswith("40/worker,")
            await client.ask("run:subscribe", _names(run_id))
        await _cancel(platform, run_id)

        assert await mine.event() == _note(run_id)
        await others.ask("run:subscribe", _names())


async def test_a_supervisor_is_told_what_another_platform_commits() -> None:
    """The one that canceled the run need not be the one that the supervisor is connected to."""
    address = postgres.emptied_database()
    async with (
        listening(address) as one,
        listening(address) as other,
        _managed(one) as (supervisor, client),
    ):
        run_id = await _taken(one, supervisor)
        await client.frame()
        await client.ask("run:subscribe", _names(run_id))
        await _cancel(other, run_id)

        assert await client.event() == _note(run_id)


def test_the_library_is_not_loaded_before_somebody_comes() -> None:
    """A server that no such worker uses does not pay for it."""
    code = "import sys, trigger_platform.serving; sys.exit('socketio' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
