"""Canceling and replaying many runs at once (protocol A.17)."""

from __future__ import annotations

from typing import Any

import pytest

from support.http import Platform
from trigger_platform.engine import bulk_action

PATH = "/api/v1/bulk-actions"
pytestmark = pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)


async def _begin(platform: Platform, **body: Any) -> str:
    answer = await platform.http.post(PATH, json=body)
    assert answer.status_code == 202, answer.text
    assert set(answer.json()) == {"id"}
    return str(answer.json()["id"])


async def _read(platform: Platform, action_id: str) -> dict[str, Any]:
    answer = await platform.http.get(f"{PATH}/{action_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _done(platform: Platform, **body: Any) -> dict[str, Any]:
    action_id = await _begin(platform, **body)
    await platform.sweep()
    return await _read(platform, action_id)


async def _runs(platform: Platform, **filters: str) -> list[dict[str, Any]]:
    params = {f"filter[{name}]": value for name, value in filters.items()} | {"page[size]": "100"}
    return list((await platform.http.get("/api/v1/runs", params=params)).json()["data"])


async def test_runs_that_a_filter_matches_are_canceled(platform: Platform) -> None:
    """The others go on; one that was over counts as a failure."""
    wanted = [await platform.trigger("a", tags=["x"]) for _ in range(3)]
    other = await platform.trigger("b", tags=["x"])
    await platform.http.post(f"/api/v2/runs/{wanted[0]}/cancel")
    done = await _done(
        platform, action="cancel", filter={"taskIdentifier": ["a"], "tag": "x"}, name="clean up"
    )

    assert done["counts"] == {"total": 3, "success": 2, "failure": 1}
    assert (done["type"], done["status"], done["name"]) == ("CANCEL", "COMPLETED", "clean up")
    assert done["completedAt"] >= done["createdAt"]
    assert {run["id"] for run in await _runs(platform, status="CANCELED")} == set(wanted)
    assert {run["id"] for run in await _runs(platform, status="QUEUED")} == {other}
    assert {run["id"] for run in await _runs(platform, bulkAction=done["id"])} == set(wanted[1:])


async def test_each_run_is_replayed_once(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In slices, and without those that the action itself makes."""
    monkeypatch.setattr(bulk_action, "_AT_ONCE", 3)
    for n in range(10):
        await platform.trigger("a", {"n": n})
        platform.clock.advance(n % 2)
    done = await _done(platform, action="replay", filter={"taskIdentifier": "a", "period": "1d"})

    assert done["counts"] == {"total": 10, "success": 10, "failure": 0}
    assert len(await _runs(platform)) == 20
    made = await _runs(platform, bulkAction=done["id"])
    payloads = [
        (await platform.http.get(f"/api/v3/runs/{run['id']}")).json()["payload"]["n"]
        for run in made
    ]
    assert sorted(payloads) == list(range(10))


async def test_runs_are_chosen_by_their_ids(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id twice is one run; an unknown one is a failure."""
    monkeypatch.setattr(bulk_action, "_AT_ONCE", 2)
    runs = [await platform.trigger("a") for _ in range(5)]
    await platform.trigger("a")
    done = await _done(platform, action="cancel", runIds=[*runs, runs[0], "run_unknown"])

    assert done["counts"] == {"total": 6, "success": 5, "failure": 1}
    assert {run["id"] for run in await _runs(platform, status="CANCELED")} == set(runs)


async def test_an_action_that_is_over_cannot_be_stopped(platform: Platform) -> None:
    """It stays over; one that does not exist is not found."""
    await platform.trigger("a")
    done = await _done(platform, action="cancel", filter={"taskIdentifier": "a"})
    stopped = await platform.http.post(f"{PATH}/{done['id']}/abort")
    assert stopped.json() == {"id": done["id"]}
    assert (await _read(platform, done["id"]))["status"] == "COMPLETED"
    assert (await platform.http.get(f"{PATH}/bulk_unknown")).status_code == 404
    assert (await platform.http.post(f"{PATH}/bulk_unknown/abort")).status_code == 404


async def test_actions_come_in_pages(platform: Platform) -> None:
    """The newest first, both ways."""
    made = []
    for _ in range(3):
        made.append(await _begin(platform, action="cancel", filter={"tag": "none"}))
        platform.clock.advance(1)
    first = (await platform.http.get(PATH, params={"page[size]": "2"})).json()
    assert [one["id"] for one in first["data"]] == made[:0:-1]
    assert "previous" not in first["pagination"]
    after = {"page[size]": "2", "page[after]": first["pagination"]["next"]}
    second = (await platform.http.get(PATH, params=after)).json()
    assert [one["id"] for one in second["data"]] == made[:1]
    before = {"page[size]": "2", "page[before]": second["pagination"]["previous"]}

    again = (await platform.http.get(PATH, params=before)).json()
    assert [one["id"] for one in again["data"]] == [one["id"] for one in first["data"]]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"action": "cancel"}, 400),
        ({"action": "cancel", "filter": {}}, 400),
        ({"action": "cancel", "filter": {"tag": "x"}, "runIds": ["run_1"]}, 400),
        ({"action": "cancel", "runIds": []}, 400),
        ({"action": "cancel", "runIds": ["run_1"] * 501}, 400),
        ({"action": "delete", "filter": {"tag": "x"}}, 400),
        ({"action": "cancel", "filter": {"status": "DONE"}}, 400),
        ({"action": "cancel", "filter": {"from": "yesterday"}}, 400),
        ({"action": "replay", "filter": {"tag": "x"}, "targetRegion": "mars"}, 422),
    ],
)
async def test_a_choice_that_says_nothing_is_refused(
    platform: Platform, body: dict[str, Any], status: int
) -> None:
    """Above all the one that would mean every run."""
    assert (await platform.http.post(PATH, json=body)).status_code == status


async def test_a_choice_may_name_a_queue_a_time_and_a_machine(platform: Platform) -> None:
    """As lists may."""
    await platform.trigger("a")
    queued = await platform.trigger("b", queue={"name": "mine"}, machine="large-1x", test=True)
    now = platform.clock.now()
    wanted = {
        "queue": {"type": "custom", "name": "mine"},
        "machine": "large-1x",
        "isTest": True,
        "from": now,
        "to": now,
    }
    assert (await _done(platform, action="cancel", filter=wanted))["counts"]["success"] == 1
    assert {run["id"] for run in await _runs(platform, status="CANCELED")} == {queued}
    by_task = {"queue": {"type": "task", "name": "a"}}
    assert (await _done(platform, action="cancel", filter=by_task))["counts"]["success"] == 1
    for nothing in ({"region": "mars"}, {"from": now + 1}, {"bulkAction": "bulk_x"}):
        assert (await _done(platform, action="cancel", filter=nothing))["counts"]["total"] == 0


@pytest.mark.parametrize("empty", [{}, {"status": []}, {"tag": " "}, {"taskIdentifier": ["", " "]}])
async def test_a_filter_that_narrows_nothing_down_chooses_no_run(
    platform: Platform, empty: dict[str, Any]
) -> None:
    """It would choose every one."""
    run_id = await platform.trigger("a")
    answer = await platform.http.post(PATH, json={"action": "cancel", "filter": empty})

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_BODY")
    await platform.sweep()
    assert [run["status"] for run in await _runs(platform)] == ["QUEUED"], run_id
