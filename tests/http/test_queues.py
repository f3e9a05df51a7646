"""Queues and environments over HTTP (protocol A.10, A.20)."""

from __future__ import annotations

from typing import Any

import pytest

from support.http import PROJECT, Platform
from trigger_core.api.calls import queues as calls
from trigger_core.schemas.queues import QueueDetail

REQUIRED = {"id", "name", "type", "running", "queued", "paused", "concurrencyLimit"}


@pytest.fixture
async def queues(platform: Platform) -> Platform:
    """A platform whose worker declared the tasks ``hello`` and ``a/b``."""
    await platform.work("hello", "a/b")
    return platform


async def _post(platform: Platform, path: str, **body: Any) -> dict[str, Any]:
    answer = await platform.http.post(f"/api/v1/queues/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_queue_has_every_field_and_null_where_there_is_nothing(queues: Platform) -> None:
    """Clients are strict about both."""
    await queues.trigger("hello")
    answer = await queues.http.get("/api/v1/queues/hello?type=task")

    queue = answer.json()
    assert set(queue) == REQUIRED | {"concurrency"}
    assert (queue["name"], queue["type"], queue["queued"]) == ("hello", "task", 1)
    assert queue["concurrencyLimit"] is None
    nothing = dict.fromkeys(["current", "base", "override", "overriddenAt", "overriddenBy"])
    assert queue["concurrency"] == nothing


@pytest.mark.parametrize("path", ["a%252Fb?type=task", "task%252Fa%252Fb?type=custom"])
async def test_a_slash_in_a_name_arrives_encoded_twice(queues: Platform, path: str) -> None:
    """As the official client sends it."""
    answer = await queues.http.get(f"/api/v1/queues/{path}")

    assert answer.json()["name"] == "a/b"
    assert calls.QueueAddress("task", "a/b").path() == "/api/v1/queues/a%252Fb"


async def test_queues_come_in_pages(queues: Platform) -> None:
    """In the order of their names."""
    answer = await queues.http.get("/api/v1/queues?page=2&perPage=1")

    body = answer.json()
    assert [queue["name"] for queue in body["data"]] == ["hello"]
    assert body["pagination"] == {"currentPage": 2, "totalPages": 2, "count": 2}


async def test_the_id_is_the_name_by_default(queues: Platform) -> None:
    """Of reads and of changes."""
    [_, queue] = (await queues.http.get("/api/v1/queues")).json()["data"]

    assert (await _post(queues, f"{queue['id']}/pause", action="pause"))["paused"] is True
    assert (await queues.http.get(f"/api/v1/queues/{queue['id']}")).json()["paused"] is True
    resumed = await _post(queues, "hello/pause", type="task", action="resume")
    assert resumed["paused"] is False


async def test_an_override_tells_where_the_limit_comes_from(queues: Platform) -> None:
    """Until it is reset."""
    changed = await _post(queues, "hello/concurrency/override", type="task", percent=25)
    assert changed["concurrencyLimit"] == 25
    concurrency = changed["concurrency"]
    assert (concurrency["current"], concurrency["base"], concurrency["override"]) == (25, None, 25)
    assert concurrency["overriddenAt"].endswith("Z")

    changed = await _post(queues, "hello/concurrency/override", type="task", concurrencyLimit=0)
    assert changed["concurrencyLimit"] == 0

    changed = await _post(queues, "hello/concurrency/reset", type="task")
    assert changed["concurrency"]["override"] is changed["concurrencyLimit"] is None
    QueueDetail.model_validate(changed)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"concurrencyLimit": 1, "percent": 5}, 400),
        ({"concurrencyLimit": -1}, 400),
        ({"concurrencyLimit": 100_001}, 400),
        ({"percent": 0}, 400),
        ({"percent": 101}, 400),
        ({"concurrencyLimit": 5, "type": "id"}, 404),
    ],
)
async def test_a_wrong_override_is_refused(
    queues: Platform, body: dict[str, Any], status: int
) -> None:
    """Exactly one limit, in its range, for a queue that exists."""
    path = "/api/v1/queues/hello/concurrency/override"
    answer = await queues.http.post(path, json={"type": "task"} | body)

    assert answer.status_code == status, answer.text


async def test_an_environment_is_paused_and_goes_on(queues: Platform) -> None:
    """Nothing new starts meanwhile."""
    path = f"/api/v1/projects/{PROJECT}/dev"
    assert (await queues.http.post(f"{path}/pause")).json()["paused"] is True
    await queues.trigger("hello")
    assert await queues.work("hello", "a/b") == []

    assert (await queues.http.post(f"{path}/resume")).json()["paused"] is False
    assert len(await queues.work("hello", "a/b")) == 1
    assert (await queues.http.post(f"/api/v1/projects/{PROJECT}/prod/pause")).status_code == 404


@pytest.mark.behaviour(89)
@pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)
async def test_the_keys_of_a_queue_are_listed_those_that_wait_the_longest_first(
    queues: Platform,
) -> None:
    """With how many runs of each wait and execute; runs without a key stand under the empty one."""
    for key in ("b", "a", "b", None):
        await queues.trigger("hello", concurrencyKey=key)
        queues.clock.advance(1_000)
    path = "/api/v1/queues/hello/keys?type=task"
    keys = (await queues.http.get(path)).json()
    assert [(one["key"], one["queued"]) for one in keys["data"]] == [("b", 2), ("a", 1), ("", 1)]
    assert keys["data"][0]["waitingSince"] < keys["data"][1]["waitingSince"]

    await queues.trigger("hello", concurrencyKey="a", priority=60)
    first = (await queues.http.get(f"{path}&perPage=1")).json()
    assert [one["key"] for one in first["data"]] == ["a"]
    assert first["pagination"] == {"currentPage": 1, "totalPages": 3, "count": 3}
    await queues.work("hello")
    assert (await queues.http.get(path)).json()["data"] == []
    await queues.trigger("hello", concurrencyKey="a")
    [left] = (await queues.http.get(path)).json()["data"]
    assert (left["queued"], left["running"]) == (1, 2)
