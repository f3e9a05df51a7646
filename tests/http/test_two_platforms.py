"""Two platform processes on one PostgreSQL database: what one commits, the other hears."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import psycopg
import pytest

from support import keys, postgres
from support.electric import Follower
from support.http import PROJECT, Platform
from trigger_core.clock import VirtualClock
from trigger_platform.app import build, open_server
from trigger_platform.settings import Settings
from trigger_platform.store.opening import open_database


@pytest.fixture
async def platforms() -> AsyncIterator[tuple[Platform, Platform]]:
    """Both with their loops running, and one clock."""
    url = postgres.emptied_database()
    clock = VirtualClock()
    async with AsyncExitStack() as stack:
        opened = [await _open(url, clock, stack) for _ in range(2)]
        yield opened[0], opened[1]


async def _open(url: str, clock: VirtualClock, stack: AsyncExitStack) -> Platform:
    settings = Settings(data_dir=Path(), project_ref=PROJECT, encryption_key=keys.TEXT)
    server = await open_server(settings, clock=clock, db=open_database(url))
    stack.callback(server.units.db.close)
    app = build(server)
    await stack.enter_async_context(app.router.lifespan_context(app))
    http = httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://127.0.0.1:8030",
        headers={"authorization": f"Bearer {server.secret_key_of(server.local.environment)}"},
    )
    return Platform(server, clock, await stack.enter_async_context(http))


async def test_they_serve_one_project(platforms: tuple[Platform, Platform]) -> None:
    """With one key."""
    one, other = platforms

    assert one.key == other.key


async def test_a_poll_at_one_is_woken_by_a_trigger_at_the_other(
    platforms: tuple[Platform, Platform],
) -> None:
    """By the notice, not by looking."""
    one, other = platforms
    await other.work("task")
    began = time.monotonic()
    polling = asyncio.create_task(_poll(other))
    await asyncio.sleep(0.2)
    run_id = await one.trigger("task")

    assert [run["runId"] for run in await polling] == [run_id]
    assert time.monotonic() - began < 0.9


async def test_a_poll_finds_work_within_a_second_when_nothing_is_heard(
    platforms: tuple[Platform, Platform],
) -> None:
    """Notices are a convenience."""
    one, other = platforms
    await other.work("task")
    other.server.units._listeners.clear()
    polling = asyncio.create_task(_poll(other))
    await asyncio.sleep(0.1)
    run_id = await one.trigger("task")

    async with asyncio.timeout(3):
        assert [run["runId"] for run in await polling] == [run_id]


async def test_who_watches_at_one_hears_of_changes_at_the_other(
    platforms: tuple[Platform, Platform],
) -> None:
    """Whoever takes the event from the outbox."""
    one = platforms[0]
    hubs = [platform.server.hub for platform in platforms]
    environment_id = one.server.local.environment.id
    async with AsyncExitStack() as stack:
        watching = [await stack.enter_async_context(hub.subscribed(environment_id)) for hub in hubs]
        await asyncio.sleep(0.3)
        for subscription in watching:
            subscription.changed.clear()
        await one.trigger("task")

        assert [await subscription.wait(3) for subscription in watching] == [True, True]
    with psycopg.connect(postgres.shared_database()) as connection:
        assert connection.execute("select count(*) from outbox").fetchone() == (0,)


@pytest.mark.parametrize("is_heard", [True, False])
async def test_who_follows_runs_at_one_is_told_of_changes_through_the_other(
    platforms: tuple[Platform, Platform], is_heard: bool
) -> None:
    """Heard by notice; when the notice is lost, found by looking."""
    one, other = platforms
    item = {"task": "task", "options": {"tags": ["a"]}}
    made = (await one.http.post("/api/v1/tasks/batch", json={"items": [item]})).json()
    run_id = made["runs"][0]["id"]
    followers = [
        Follower(other.http, f"/realtime/v1/runs/{run_id}"),
        Follower(other.http, "/realtime/v1/runs", {"tags": "a"}),
        Follower(other.http, f"/realtime/v1/batches/{made['id']}"),
    ]
    for follower in followers:
        assert [row["id"] for row in await follower.rows()] == [run_id]
    waiting = [follower.waits() for follower in followers]
    await asyncio.sleep(0.3)
    if not is_heard:
        other.server.units._listeners.clear()
    await one.http.post(f"/api/v2/runs/{run_id}/cancel")
    if not is_heard:
        _, pending = await asyncio.wait(waiting, timeout=0.3)
        assert len(pending) == len(waiting)
        await other.server.feeds.look()

    async with asyncio.timeout(3):
        for one_waiting in waiting:
            assert [row["status"] for row in await one_waiting] == ["CANCELED"]


async def test_a_client_that_alternates_between_both_misses_and_repeats_nothing(
    platforms: tuple[Platform, Platform],
) -> None:
    """Behind a balancer that gives each request to another process."""
    one, other = platforms
    run_id = await one.trigger("task", tags=["a"])
    for path, params in ((f"/realtime/v1/runs/{run_id}", {}), ("/realtime/v1/runs", {"tags": "a"})):
        follower = Follower(one.http, path, params)
        assert len(await follower.rows()) == 1
        for step in range(4):
            follower.http = (one, other)[step % 2].http
            waiting = follower.waits()
            _, pending = await asyncio.wait([waiting], timeout=0.2)
            assert pending, "it was told again what it knew"
            body = {"metadata": {"step": f"{path} {step}"}}
            await one.http.put(f"/api/v1/runs/{run_id}/metadata", json=body)
            async with asyncio.timeout(3):
                [row] = await waiting
            assert row["metadata"] == f'{{"step":"{path} {step}"}}'


async def _poll(platform: Platform) -> list[dict[str, str]]:
    with psycopg.connect(postgres.shared_database()) as connection:
        workers = [row[0] for row in connection.execute("select id from worker")]
    body = {"bootId": "b1", "workers": workers, "limit": 1, "waitMs": 5_000}
    answer = await platform.http.post("/engine/v1/worker/poll", json=body)
    return list(answer.json()["runs"])


async def test_what_is_asked_for_at_both_is_made_once(
    platforms: tuple[Platform, Platform],
) -> None:
    """A token too, which is shown once: both answers have it."""
    token = platforms[0].server.local.access_token
    headers = {
        "authorization": f"Bearer {token}",
        "x-trigger-request-idempotency-key": "mark",
    }
    answers = await asyncio.gather(
        *(
            one.http.post("/api/v1/access-tokens", json={"name": "laptop"}, headers=headers)
            for one in platforms * 4
        )
    )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["token"] for answer in answers}) == 1
    listed = await platforms[1].http.get("/api/v1/access-tokens", headers=headers)
    assert [one["name"] for one in listed.json()["tokens"]].count("laptop") == 1


async def test_a_token_that_one_revokes_opens_nothing_at_the_other(
    platforms: tuple[Platform, Platform],
) -> None:
    """From the next request on: nothing has to be heard for that."""
    one, other = platforms
    made = await one.http.post("/api/v1/auth/public-tokens", json={"scopes": ["read:runs"]})
    shown = {"authorization": f"Bearer {made.json()['token']}"}
    assert (await other.http.get("/api/v1/runs", headers=shown)).status_code == 200
    await one.http.post("/api/v1/auth/public-tokens/revoke", json=made.json())

    assert (await other.http.get("/api/v1/runs", headers=shown)).status_code == 401


async def test_a_run_may_speak_to_either(platforms: tuple[Platform, Platform]) -> None:
    """What one has signed the other knows, and both know when the attempt has ended."""
    one, other = platforms
    await one.work("task")
    run_id = await one.trigger()
    metadata = {
        "packageVersion": "0",
        "contentHash": "y",
        "tasks": [{"id": "task", "filePath": "a.py"}],
    }
    path = f"/api/v1/projects/{PROJECT}/background-workers"
    worker = (await one.http.post(path, json={"localOnly": True, "metadata": metadata})).json()
    poll = {"bootId": "b1", "workers": [worker["id"]], "limit": 1, "waitMs": 0}
    polled = (await one.http.post("/engine/v1/worker/poll", json=poll)).json()
    shown = {"authorization": f"Bearer {polled['runTokens'][run_id]}"}

    async def statuses() -> list[int]:
        return [
            (await at.http.get(f"/api/v3/runs/{run_id}", headers=shown)).status_code
            for at in platforms
        ]

    assert await statuses() == [200, 200]
    done = {"runId": run_id, "lease": polled["runs"][0]["lease"], "ok": True}
    await other.report(completions=[done])
    assert await statuses() == [401, 401]
