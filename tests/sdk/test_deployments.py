"""The deployments namespace, and which version the environment of a program asks for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from support.deploying import begin, deploy
from support.http import Platform
from support.live import listening
from trigger_core.clock import to_datetime
from trigger_core.errors import ApiError, NotFoundError
from trigger_sdk import deployments, tasks
from trigger_sdk._skew import discover


@pytest.fixture
async def prod(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Platform]:
    """A production environment that the SDK talks to."""
    async with listening() as platform:
        prod = await platform.elsewhere("prod")
        key = prod.http.headers["authorization"].removeprefix("Bearer ")
        monkeypatch.setenv("TRIGGER_API_URL", platform.server.url)
        monkeypatch.setenv("TRIGGER_SECRET_KEY", key)
        async with prod.http:
            yield prod


async def test_deployments_are_listed_read_and_promoted(prod: Platform) -> None:
    """Page by page, newest first."""
    with pytest.raises(NotFoundError):
        await deployments.retrieve_current()
    old = await deploy(prod, "task")
    prod.clock.advance(1)
    new = await deploy(prod, "task", gitMeta={"commitSha": "abc"})

    assert [one.version async for one in deployments.list()] == [new["version"], old["version"]]
    assert (await deployments.retrieve_current()).version == new["version"]
    found = await deployments.retrieve(new["id"])
    assert found.worker is not None
    assert (found.commit_sha, [one.slug for one in found.worker.tasks]) == ("abc", ["task"])

    with pytest.raises(ApiError, match="older than the current one"):
        await deployments.promote(old["version"])
    assert (await deployments.promote(old["version"], allow_rollback=True)).id == old["id"]
    assert (await deployments.retrieve_current()).id == old["id"]


async def test_blocking_twins_do_the_same(prod: Platform) -> None:
    """With filters by status and time."""
    made = await deploy(prod, "task")
    at = to_datetime(prod.clock.now())
    prod.clock.advance(3_600_000)
    pending = await begin(prod)

    def blocking() -> None:
        everything = [one.id for one in deployments.list_sync()]
        assert everything == [pending["id"], made["id"]]
        assert [one.id for one in deployments.list_sync(status="DEPLOYED")] == [made["id"]]
        assert [one.id for one in deployments.list_sync(period="30m")] == [pending["id"]]
        window = deployments.list_sync(created_from=at, created_to=at + timedelta(minutes=1))
        assert [one.id for one in window] == [made["id"]]
        assert deployments.retrieve_current_sync().id == made["id"]
        assert deployments.retrieve_sync(pending["id"]).status == "PENDING"
        assert deployments.promote_sync(made["version"]).version == made["version"]

    await asyncio.to_thread(blocking)


async def test_more_than_a_page_is_listed(prod: Platform) -> None:
    """Each once."""
    for _ in range(105):
        await begin(prod)
        prod.clock.advance(1)

    listed = [one.id async for one in deployments.list()]
    assert len(listed) == len(set(listed)) == 105


async def test_a_program_triggers_what_it_was_deployed_with(
    prod: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option, else a version of the environment, else an external id of it."""
    made = await deploy(prod, "task", externalId="sha-1")
    later = await deploy(prod, "task")

    async def version(**options: str) -> str | None:
        handle = await tasks.trigger("task", **options)
        run = (await prod.http.get(f"/api/v3/runs/{handle.id}")).json()
        return str(run["version"]) if "version" in run else run["status"]

    assert await version() == "QUEUED"
    assert await version(external_deployment_id="sha-1") == made["version"]
    monkeypatch.setenv("TRIGGER_EXTERNAL_DEPLOYMENT_ID", "sha-1")
    assert await version() == made["version"]
    assert await version(external_deployment_id="sha-2") == "PENDING_VERSION"
    monkeypatch.setenv("TRIGGER_VERSION", later["version"])
    assert await version() == later["version"]
    assert await version(version=made["version"]) == made["version"]


def test_the_commit_of_host_or_ci_counts_where_that_is_wanted() -> None:
    """Hosts before CI systems before common names; what is blank or too long is passed over."""
    environ = {
        "TRIGGER_AUTOMATIC_SKEW_VERSION_PROTECTION": "1",
        "VERCEL_GIT_COMMIT_SHA": " ",
        "RENDER_GIT_COMMIT": "x" * 129,
        "GITHUB_SHA": "ci",
        "GIT_SHA": "common",
    }
    assert discover(environ) == {"externalDeploymentId": "ci"}
    assert discover(environ | {"RAILWAY_GIT_COMMIT_SHA": "host"}) == {
        "externalDeploymentId": "host"
    }
    mine = environ | {"TRIGGER_EXTERNAL_DEPLOYMENT_ID": " mine "}
    assert discover(mine) == {"externalDeploymentId": "mine"}
    assert discover({"GITHUB_SHA": "ci"}) == {}
