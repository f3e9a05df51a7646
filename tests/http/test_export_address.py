"""The address at which a deployed run exports: it proves which run it is, without any header."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from support import otlp
from support.deploying import deploy
from support.http import Platform, serving
from trigger_platform.engine import branch, environment, worker_group
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow

ACTIONS = "/engine/v1/worker-actions"
NAME = "TRIGGER_OTEL_EXPORTER_OTLP_ENDPOINT"
_WEEK_MS = 7 * 24 * 3600 * 1000

both = pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)


class Prod:
    """The production environment, a supervisor that serves it, and exporters without a key."""

    def __init__(self, platform: Platform, supervisor: httpx.AsyncClient) -> None:
        self.platform = platform
        self.supervisor = supervisor
        self.clock = platform.clock

    async def take(self, task: str = "task", **options: Any) -> dict[str, Any]:
        """Trigger a run and take it."""
        run_id = await self.platform.trigger(task, **options)
        [message] = (await self.supervisor.post(f"{ACTIONS}/dequeue", json={})).json()
        assert message["run"]["friendlyId"] == run_id
        return dict(message)

    async def start(self, message: dict[str, Any]) -> dict[str, Any]:
        """Begin its attempt."""
        return dict((await self._say(message, "start", {})).json())

    async def complete(self, begun: dict[str, Any]) -> None:
        """End it."""
        body = {"completion": {"ok": True, "id": begun["run"]["friendlyId"], "output": "1"}}
        await self._say(begun, "complete", body)

    async def begin(self, task: str = "task", **options: Any) -> dict[str, Any]:
        """Trigger a run and begin its attempt."""
        return await self.start(await self.take(task, **options))

    async def _say(self, message: dict[str, Any], what: str, body: Any) -> httpx.Response:
        run_id, snapshot = message["run"]["friendlyId"], message["snapshot"]["friendlyId"]
        path = f"{ACTIONS}/runs/{run_id}/snapshots/{snapshot}/attempts/{what}"
        answer = await self.supervisor.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer

    async def export(self, path: str, begun: dict[str, Any], span_id: str = "a" * 16) -> int:
        """Export a span of a run; return how many were refused."""
        body = otlp.traces(self.who(begun), otlp.span(span_id))
        answer = await self.supervisor.post(f"{path}/v1/traces", json=body, headers=NOBODY)
        assert answer.status_code == 200, answer.text
        return int(answer.json().get("partialSuccess", {}).get("rejectedSpans", 0))

    def who(self, begun: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes that the official worker exports with."""
        execution = begun["execution"]
        return {
            "$trigger": True,
            "ctx.environment.id": execution["environment"]["id"],
            "ctx.run.id": execution["run"]["id"],
        }

    async def spans(self, begun: dict[str, Any]) -> list[str]:
        """Return the names of the spans of a run's code."""
        path = f"/api/v1/runs/{begun['run']['friendlyId']}/events"
        events = (await self.platform.http.get(path)).json()["events"]
        return [one["message"] for one in events if one["message"] == "work"]


NOBODY = {"authorization": ""}


def _path(begun: dict[str, Any]) -> str:
    return urlsplit(begun["envVars"][NAME]).path


async def _prod(platform: Platform) -> Prod:
    made = await platform.server.units.write(worker_group.create, "default")
    headers = {
        "authorization": f"Bearer {made.token}",
        "x-trigger-worker-instance-name": "supervisor-1",
    }
    base, transport = platform.http.base_url, platform.http._transport
    supervisor = httpx.AsyncClient(transport=transport, base_url=base, headers=headers)
    return Prod(await platform.elsewhere("prod"), supervisor)


@pytest.fixture
async def prod(platform: Platform) -> AsyncIterator[Prod]:
    prod = await _prod(platform)
    async with prod.supervisor, prod.platform.http:
        yield prod


@both
async def test_a_deployed_run_exports_to_the_address_it_is_given(prod: Prod) -> None:
    """Spans, lines and metrics, with no header that says who it is."""
    await deploy(prod.platform, "task")
    message = await prod.take()
    begun = await prod.start(message)
    given = begun["envVars"]
    assert given["OTEL_EXPORTER_OTLP_ENDPOINT"] == given[NAME]
    assert (await prod.start(message))["envVars"] == given  # asked again, told the same

    assert await prod.export(_path(begun), begun) == 0
    for signal, body in (
        ("logs", otlp.logs(prod.who(begun), otlp.line("hello"))),
        ("metrics", {}),
    ):
        path = f"{_path(begun)}/v1/{signal}"
        answer = await prod.supervisor.post(path, json=body, headers=NOBODY)
        assert (answer.status_code, answer.json()) == (200, {})

    assert await prod.spans(begun) == ["work"]
    path = f"/api/v1/runs/{begun['run']['friendlyId']}/logs"
    lines = (await prod.platform.http.get(path)).json()["data"]
    assert [line["message"] for line in lines if line["source"] == "otel"] == ["hello"]


async def test_where_the_projects_own_exporters_send_to_is_its_affair(prod: Prod) -> None:
    """The platform's address has a name of its own; other names of the platform's are not given up."""
    await deploy(prod.platform, "task")
    ref = prod.platform.server.local.project.ref
    theirs = {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://collector.example"}
    path = f"/api/v1/projects/{ref}/envvars/prod/import"
    answer = await prod.platform.http.post(path, json={"variables": theirs})
    assert answer.status_code == 200, answer.text

    begun = await prod.begin()
    assert begun["envVars"]["OTEL_EXPORTER_OTLP_ENDPOINT"] == "https://collector.example"
    assert _path(begun).startswith("/otel/tr_otlp_")
    loaded = (await prod.platform.http.get(f"/api/v1/projects/{ref}/envvars")).json()["variables"]
    assert loaded["OTEL_EXPORTER_OTLP_ENDPOINT"] == "https://collector.example"


async def test_what_others_did_is_refused_and_counted(prod: Prod) -> None:
    """Runs of another version and of another environment, and what names no run."""
    await deploy(prod.platform, "task", contentHash="a")
    mine = await prod.begin()
    await deploy(prod.platform, "task", contentHash="b")
    newer = await prod.begin()
    staging = await prod.platform.elsewhere("staging")
    await deploy(staging, "task")
    elsewhere = Prod(staging, prod.supervisor)
    foreign = await elsewhere.begin()

    assert await prod.export(_path(mine), newer) == 1
    assert await prod.export(_path(mine), foreign) == 1
    lying = foreign | {"execution": foreign["execution"] | {"environment": {"id": "x"}}}
    assert await prod.export(_path(mine), lying) == 1
    body = otlp.traces({}, otlp.span("b" * 16))
    answer = await prod.supervisor.post(f"{_path(mine)}/v1/traces", json=body, headers=NOBODY)
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"
    mixed = otlp.traces(prod.who(mine), otlp.span("c" * 16))
    mixed["resourceSpans"] += otlp.traces(prod.who(newer), otlp.span("d" * 16))["resourceSpans"]
    answer = await prod.supervisor.post(f"{_path(mine)}/v1/traces", json=mixed, headers=NOBODY)
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"

    assert await prod.spans(mine) == ["work"]
    assert await prod.spans(newer) == []
    assert await elsewhere.spans(foreign) == []


async def test_a_process_that_is_kept_exports_its_next_runs_with_the_address_of_the_first(
    prod: Prod,
) -> None:
    """For a week, and only of the version that it has; its own run goes on telling after that."""
    await deploy(prod.platform, "task")
    first = await prod.begin()
    second = await prod.begin()
    assert await prod.export(_path(first), second) == 0

    prod.clock.advance(_WEEK_MS - 1)
    late = await prod.begin()
    assert await prod.export(_path(first), late) == 0
    prod.clock.advance(1)
    assert await prod.export(_path(first), late, "b" * 16) == 1
    assert await prod.export(_path(late), late, "c" * 16) == 0


async def test_the_address_of_a_run_is_good_until_ten_minutes_after_its_end(prod: Prod) -> None:
    """However long it took; and nothing is told of a run before its code began."""
    await deploy(prod.platform, "task")
    begun = await prod.begin()
    waiting = await prod.take()
    waiting_as = begun["execution"] | {"run": {"id": waiting["run"]["friendlyId"]}}
    assert await prod.export(_path(begun), {"execution": waiting_as}) == 1

    await prod.complete(begun)
    prod.clock.advance(600_000)
    assert await prod.export(_path(begun), begun) == 0
    prod.clock.advance(1)
    assert await prod.export(_path(begun), begun, "b" * 16) == 1


@both
async def test_an_address_that_is_not_as_it_was_given_opens_nothing(prod: Prod) -> None:
    """Whatever is changed in it; the answer says nothing of the run."""
    await deploy(prod.platform, "task")
    begun = await prod.begin()
    proof = _path(begun).removeprefix("/otel/")
    signature, environment_id, run_id, worker_id, until = proof.split(".")
    body = otlp.traces(prod.who(begun), otlp.span("a" * 16))
    for wrong in (
        "x",
        "tr_otlp_",
        "....",
        signature,
        proof[1:],
        f"{proof}0",
        f"{proof}.0",
        f".{environment_id}.{run_id}.{worker_id}.{until}",
        f"{signature}.{environment_id}.{run_id}.{worker_id}.{int(until) + 1}",
        f"{signature}.{environment_id}.run_other.{worker_id}.{until}",
        f"{signature}.env_other.{run_id}.{worker_id}.{until}",
        f"{signature}.%00.{run_id}.{worker_id}.{until}",
        f"{signature}.\u00e9.{run_id}.{worker_id}.{until}",
    ):
        answer = await prod.supervisor.post(f"/otel/{wrong}/v1/traces", json=body, headers=NOBODY)
        assert answer.status_code == 401, wrong
        assert run_id not in answer.text
    assert await prod.spans(begun) == []


async def test_an_address_opens_nothing_but_its_three_routes(prod: Prod) -> None:
    """The proof is no key."""
    await deploy(prod.platform, "task")
    begun = await prod.begin()
    proof = _path(begun).removeprefix("/otel/")
    for shown in (proof, proof.partition(".")[0]):
        headers = {"authorization": f"Bearer {shown}"}
        answer = await prod.supervisor.get("/api/v1/runs", headers=headers)
        assert answer.status_code == 401
        body = otlp.traces(prod.who(begun), otlp.span("a" * 16))
        answer = await prod.supervisor.post("/otel/v1/traces", json=body, headers=headers)
        assert answer.status_code == 401


async def test_a_key_that_is_replaced_takes_its_addresses_along_a_day_later(prod: Prod) -> None:
    """What runs keeps telling; a run that begins later has an address of the new key."""
    await deploy(prod.platform, "task")
    before = await prod.begin()
    there = await prod.platform.server.units.write(
        environment.shared, prod.platform.server.local.project, "prod"
    )
    await prod.platform.server.units.write(environment.replace_key, there)

    assert await prod.export(_path(before), before) == 0
    prod.clock.advance(24 * 3600 * 1000)
    body = otlp.traces(prod.who(before), otlp.span("b" * 16))
    answer = await prod.supervisor.post(f"{_path(before)}/v1/traces", json=body, headers=NOBODY)
    assert answer.status_code == 401


async def test_a_branch_has_addresses_of_its_own(prod: Prod) -> None:
    """Though its parent's key signs them."""
    branched = await prod.platform.elsewhere("preview")
    parent = await prod.platform.server.units.write(
        environment.shared, prod.platform.server.local.project, "preview"
    )
    for name in ("one", "two"):
        await prod.platform.server.units.write(_branch, parent.id, name)
    runs = []
    async with branched.http:
        for name in ("one", "two"):
            branched.http.headers["x-trigger-branch"] = name
            await deploy(branched, "task")
            runs.append(await Prod(branched, prod.supervisor).begin())
    one, two = runs

    assert await prod.export(_path(one), one) == 0
    assert await prod.export(_path(one), two) == 1
    assert await prod.export(_path(two), two) == 0


def _branch(u: Unit, parent_id: str, name: str) -> None:
    branch.put(u, u.tx.one("environment_by_id", EnvironmentRow, id=parent_id), name, None)


async def test_no_log_line_has_a_proof(caplog: pytest.LogCaptureFixture) -> None:
    """Whether the request was let in, refused, or went past the routes."""
    async with serving(log_requests=True) as platform:
        prod = await _prod(platform)
        async with prod.supervisor, prod.platform.http:
            await deploy(prod.platform, "task")
            begun = await prod.begin()
            with caplog.at_level(logging.DEBUG):
                await prod.export(_path(begun), begun)
                for path in (f"{_path(begun)}0/v1/traces", f"{_path(begun)}/v1/nothing"):
                    await prod.supervisor.post(path, json={}, headers=NOBODY)
            signature = _path(begun).removeprefix("/otel/tr_otlp_").partition(".")[0]
    assert len(signature) == 64
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("trigger_platform")]
    assert sum("/otel/<redacted>" in line for line in ours) == 3
    assert not any(signature in line for line in ours)
