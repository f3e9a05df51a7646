"""Listing runs: every filter, both directions; how runs were triggered."""

from __future__ import annotations

from typing import Any

import pytest

from support.http import PROJECT, Platform

DAY_MS = 86_400_000


async def _list(platform: Platform, **query: str) -> dict[str, Any]:
    names = {name: f"filter[{name}]" for name in query if name not in {"after", "before", "size"}}
    params = {names.get(name, f"page[{name}]"): value for name, value in query.items()}
    answer = await platform.http.get("/api/v1/runs", params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _ids(platform: Platform, **query: str) -> list[str]:
    return [run["id"] for run in (await _list(platform, **query))["data"]]


async def test_runs_are_found_by_what_they_were_triggered_with(platform: Platform) -> None:
    """Several values of one filter are alternatives."""
    plain = await platform.trigger("a")
    platform.clock.advance(1)
    special = await platform.trigger(
        "b", test=True, machine="large-1x", queue={"name": "mine"}, tags=["x", "y"]
    )

    assert await _ids(platform, taskIdentifier="b") == [special]
    assert await _ids(platform, taskIdentifier="a,b") == [special, plain]
    assert await _ids(platform, isTest="true") == [special]
    assert await _ids(platform, isTest="false") == [plain]
    assert await _ids(platform, machine="large-1x") == [special]
    assert await _ids(platform, machine="small-1x") == [plain]
    assert await _ids(platform, queue="mine") == [special]
    assert await _ids(platform, queue="task/a") == [plain]
    assert await _ids(platform, tag="y,z") == [special]
    assert await _ids(platform, tag="z") == []
    assert await _ids(platform, schedule="sched_x") == []


async def test_runs_are_found_by_their_batch(platform: Platform) -> None:
    """And by nothing of another."""
    await platform.trigger("a")
    body = {"items": [{"task": "a"}, {"task": "a"}]}
    batch = (await platform.http.post("/api/v1/tasks/batch", json=body)).json()

    assert len(await _ids(platform, batch=batch["id"])) == 2
    assert await _ids(platform, batch="batch_x") == []


@pytest.mark.parametrize("status", ["WAITING_FOR_DEPLOY", "PENDING_VERSION"])
async def test_both_vocabularies_of_statuses_are_understood(
    platform: Platform, status: str
) -> None:
    """The older one too."""
    parked = await platform.trigger("unknown")
    platform.clock.advance(1)
    queued = await platform.trigger("known")
    assert await _ids(platform, status="QUEUED") == [queued, parked]
    await platform.work("known")

    assert await _ids(platform, status=status) == [parked]
    assert await _ids(platform, status="DEQUEUED") == [queued]
    assert await _ids(platform, status="FROZEN,REATTEMPTING,INTERRUPTED") == []


async def test_runs_are_found_by_the_time_they_were_made(platform: Platform) -> None:
    """From and to belong to the window; a period reaches until now."""
    old = await platform.trigger()
    made_at = platform.clock.now()
    platform.clock.advance(2 * DAY_MS)
    new = await platform.trigger()
    now = platform.clock.now()
    created = "createdAt][{}".format

    assert await _ids(platform, **{created("period"): "1d"}) == [new]
    assert await _ids(platform, **{created("period"): "7d"}) == [new, old]
    assert await _ids(platform, **{created("from"): str(now)}) == [new]
    assert await _ids(platform, **{created("from"): str(made_at + 1)}) == [new]
    assert await _ids(platform, **{created("to"): str(made_at)}) == [old]
    assert await _ids(platform, **{created("to"): str(made_at - 1)}) == []
    read = (await platform.http.get(f"/api/v3/runs/{new}")).json()
    assert await _ids(platform, **{created("from"): read["createdAt"]}) == [new]


async def test_pages_go_both_ways_within_a_filter(platform: Platform) -> None:
    """The cursors keep to it."""
    made = []
    for n in range(7):
        made.append(await platform.trigger("a", tags=["odd"] if n % 2 else []))
        platform.clock.advance(1)
    odd = [made[5], made[3], made[1]]
    first = await _list(platform, tag="odd", size="2")
    assert [run["id"] for run in first["data"]] == odd[:2]
    assert "previous" not in first["pagination"]
    second = await _list(platform, tag="odd", size="2", after=first["pagination"]["next"])
    assert [run["id"] for run in second["data"]] == odd[2:]
    assert "next" not in second["pagination"]
    back = await _list(platform, tag="odd", size="2", before=second["pagination"]["previous"])

    assert [run["id"] for run in back["data"]] == odd[:2]
    assert "previous" not in back["pagination"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("filter[status]", "DONE"),
        ("filter[isTest]", "yes"),
        ("filter[createdAt][from]", "yesterday"),
        ("filter[createdAt][period]", "a while"),
        ("page[size]", "0"),
    ],
)
async def test_a_filter_that_means_nothing_is_refused(
    platform: Platform, name: str, value: str
) -> None:
    """Rather than silently finding everything or nothing."""
    answer = await platform.http.get("/api/v1/runs", params={name: value})

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_QUERY")


async def test_a_run_says_how_it_was_triggered_and_who_belongs_to_it(platform: Platform) -> None:
    """Four ways, and the family."""
    root = await platform.trigger("known")
    [held] = await platform.work("known")
    lease = {"runId": root, "lease": held["lease"]}
    one = {**lease, "ref": "t1", "items": [{"task": "known"}]}
    many = {**lease, "ref": "t2", "items": [{"task": "known"}], "isBatch": True}
    waits = (await platform.report(triggers=[one, many]))["waits"]
    child, item = (wait["awaited"][0]["runId"] for wait in waits)
    body = {"items": [{"task": "known"}]}
    batch = (await platform.http.post("/api/v1/tasks/batch", json=body)).json()

    async def read(run_id: str) -> dict[str, Any]:
        return dict((await platform.http.get(f"/api/v3/runs/{run_id}")).json())

    asked = [root, child, batch["runs"][0]["id"], item]
    ways = [(await read(run_id))["triggerFunction"] for run_id in asked]
    assert ways == ["trigger", "triggerAndWait", "batchTrigger", "batchTriggerAndWait"]
    family = (await read(root))["relatedRuns"]
    assert {run["id"] for run in family["children"]} == {child, item}
    relatives = (await read(child))["relatedRuns"]
    assert (relatives["root"]["id"], relatives["parent"]["id"]) == (root, root)
    assert (await read(child))["depth"] == 1


async def test_a_replay_takes_another_payload_or_none(platform: Platform) -> None:
    """Official clients send no body."""
    old = await platform.trigger("a", {"n": 1})
    path = f"/api/v1/runs/{old}/replay"
    same = (await platform.http.post(path)).json()["id"]
    other = (await platform.http.post(path, json={"payload": {"n": 2}})).json()["id"]
    empty = (await platform.http.post(path, json={"payload": None})).json()["id"]

    async def payload(run_id: str) -> Any:
        return (await platform.http.get(f"/api/v3/runs/{run_id}")).json().get("payload")

    assert [await payload(one) for one in (same, other, empty)] == [{"n": 1}, {"n": 2}, None]


async def test_a_list_says_whose_environment_of_development_it_is(platform: Platform) -> None:
    """Of shared ones nobody is named."""
    prod = await platform.elsewhere("prod")
    async with prod.http:
        for one, env in (
            (platform, {"user": "Local", "name": "dev"}),
            (prod, {"name": "prod"}),
        ):
            await one.trigger("a")
            [run] = (await _list(one))["data"]
            assert {"id": run["env"]["id"]} | env == run["env"]


async def test_runs_say_whether_their_task_is_one_that_schedules_trigger(
    platform: Platform,
) -> None:
    """Whoever triggers it."""
    path = f"/api/v1/projects/{PROJECT}/background-workers"
    nightly = {"id": "nightly", "filePath": "a.py", "triggerSource": "schedule"}
    metadata = {"packageVersion": "0", "contentHash": "x", "tasks": [nightly]}
    await platform.http.post(path, json={"localOnly": True, "metadata": metadata})
    for task in ("nightly", "plain"):
        await platform.trigger(task)

    kinds = {run["taskIdentifier"]: run["taskKind"] for run in (await _list(platform))["data"]}
    assert kinds == {"nightly": "SCHEDULED", "plain": "STANDARD"}


async def test_a_filter_that_is_given_several_times_is_a_list(platform: Platform) -> None:
    """As clients write lists that do not join them with commas."""
    for task in ("a", "b", "c"):
        await platform.trigger(task)
    answer = await platform.http.get(
        "/api/v1/runs", params=[("filter[taskIdentifier]", "a"), ("filter[taskIdentifier]", "b")]
    )

    assert sorted(run["taskIdentifier"] for run in answer.json()["data"]) == ["a", "b"]


async def test_a_filter_that_can_match_nothing_hides_every_run(platform: Platform) -> None:
    """Errors are not grouped yet, so no run is of one."""
    await platform.trigger("a")

    assert await _ids(platform, error="error_x") == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/v1/runs", "filter[machine]"),
        ("/api/v1/runs", "filter[status]"),
        ("/api/v1/waitpoints/tokens", "filter[status]"),
        ("/api/v1/deployments", "status"),
    ],
)
async def test_a_word_that_a_filter_does_not_know_is_refused_with_details(
    platform: Platform, path: str, name: str
) -> None:
    """Rather than answered with nothing."""
    answer = await platform.http.get(path, params={name: "NOPE"})

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_QUERY")
    [detail] = answer.json()["details"]
    assert "NOPE" in detail["message"]
    assert answer.json()["error"] == f"Query Error: {detail['message']}"
