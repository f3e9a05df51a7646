"""What clients that name no version of the API, or an older route, are told (protocol A.3, A.4, H.1)."""

from __future__ import annotations

from typing import Any

import pytest

from support.http import PROJECT, Platform

OLD = {"x-trigger-api-version": ""}


@pytest.mark.parametrize(
    ("headers", "words"),
    [(OLD, ["FROZEN", "EXECUTING"]), ({}, ["WAITING", "DEQUEUED"])],
    ids=["older", "current"],
)
async def test_statuses_are_told_in_the_words_of_the_client(
    platform: Platform, headers: dict[str, str], words: list[str]
) -> None:
    """In lists, of one run and of its family."""
    parent = await platform.trigger("task")
    [run] = await platform.work("task")
    await platform.report(started=[{"runId": parent, "lease": run["lease"], "at": 1}])
    child = await platform.trigger("task", parentRunId=parent, resumeParentOnCompletion=True)
    await platform.work("task")

    async def read(path: str) -> dict[str, Any]:
        return dict((await platform.http.get(path, headers=headers)).json())

    listed = {run["id"]: run["status"] for run in (await read("/api/v1/runs"))["data"]}
    assert [listed[parent], listed[child]] == words
    one = await read(f"/api/v3/runs/{parent}")
    assert (one["status"], one["isWaiting"]) == (words[0], True)
    assert one["relatedRuns"]["children"][0]["status"] == words[1]


async def test_a_batch_of_one_task(platform: Platform) -> None:
    """Is created and read by older routes."""
    body = {"items": [{"payload": {"n": 1}}, {"payload": {"n": 2}}]}
    made = await platform.http.post("/api/v1/tasks/a/batch", json=body)
    assert made.status_code == 200, made.text
    assert set(made.json()) == {"batchId", "runs"}
    first, second = made.json()["runs"]
    assert (await platform.http.get(f"/api/v3/runs/{second}")).json()["payload"] == {"n": 2}
    read = (await platform.http.get(f"/api/v1/batches/{made.json()['batchId']}")).json()
    assert (read["runs"], read["runCount"]) == ([first, second], 2)
    assert (read["successfulRunCount"], read["failedRunCount"]) == (2, 0)
    assert "processing" not in read
    too_many = await platform.http.post("/api/v1/tasks/a/batch", json={"items": [{}] * 101})
    assert too_many.status_code == 400
    assert (
        await platform.http.post("/api/v1/tasks/a/batch", json={"items": []})
    ).status_code == 400


async def test_a_person_lists_the_runs_of_an_environment(platform: Platform) -> None:
    """The first of those that are named and that there are; without a name it is refused."""
    run_id = await platform.trigger("a")
    other = await platform.trigger("b")
    person = {"authorization": f"Bearer {platform.server.local.access_token}"}
    path = f"/api/v1/projects/{PROJECT}/runs"

    async def listed(**params: str) -> list[str]:
        query = {f"filter[{name}]": value for name, value in params.items()}
        answer = await platform.http.get(path, params=query, headers=person)
        assert answer.status_code == 200, answer.text
        return [run["id"] for run in answer.json()["data"]]

    assert set(await listed(env="stg,dev")) == {run_id, other}
    assert await listed(env="dev", taskIdentifier="a") == [run_id]
    assert await listed(env="prod") == []  # nobody has used it yet
    for wrong in ({}, {"filter[env]": "mars"}):
        answer = await platform.http.get(path, params=wrong, headers=person)
        assert answer.status_code == 422
    assert (await platform.http.get(path)).status_code == 401


async def test_tokens_are_found_by_the_time_they_were_made(platform: Platform) -> None:
    """From and to belong to the window; a period reaches until now."""
    path = "/api/v1/waitpoints/tokens"
    old = (await platform.http.post(path, json={})).json()["id"]
    made_at = platform.clock.now()
    platform.clock.advance(86_400_000)
    new = (await platform.http.post(path, json={})).json()["id"]

    async def listed(**params: str) -> list[str]:
        query = {f"filter[createdAt][{name}]": value for name, value in params.items()}
        answer = (await platform.http.get(path, params=query)).json()
        return [token["id"] for token in answer["data"]]

    assert await listed(period="1h") == [new]
    assert await listed(period="2d") == [new, old]
    assert await listed(to=str(made_at)) == [old]
    assert await listed(**{"from": str(made_at + 1)}) == [new]


@pytest.mark.parametrize("path", ["/api/v1/queues", "/api/v1/schedules"])
async def test_a_page_has_a_hundred_entries_at_most(platform: Platform, path: str) -> None:
    """Who asks for more gets as many; who asks for none is refused."""
    assert (await platform.http.get(path, params={"perPage": "500"})).status_code == 200
    assert (await platform.http.get(path, params={"perPage": "0"})).status_code == 400


async def test_a_path_may_call_an_environment_what_data_call_it(platform: Platform) -> None:
    """``stg`` is ``staging``."""
    person = {"authorization": f"Bearer {platform.server.local.access_token}"}
    path = f"/api/v1/projects/{PROJECT}/envvars"
    written = {"name": "A", "value": "1"}
    made = await platform.http.post(f"{path}/staging", json=written, headers=person)
    assert made.status_code == 200, made.text

    listed = (await platform.http.get(f"{path}/stg", headers=person)).json()
    assert listed == [written | {"isSecret": False}]
