"""Schedules over HTTP (protocol A.9)."""

from __future__ import annotations

from typing import Any

import pytest

from support.http import PROJECT, Platform

SCHEDULES = "/api/v1/schedules"
REQUIRED = {"id", "type", "task", "active", "generator", "timezone", "environments"}
BODY = {"task": "nightly", "cron": "0 9 * * 1-5", "deduplicationKey": "k"}


async def register(platform: Platform, *tasks: dict[str, Any]) -> Any:
    """Register a version with a scheduled task ``nightly`` and these."""
    nightly = {"id": "nightly", "filePath": "a.py", "triggerSource": "schedule"}
    metadata = {
        "packageVersion": "0",
        "contentHash": str(tasks),
        "tasks": [nightly, {"id": "plain", "filePath": "a.py"}, *tasks],
    }
    path = f"/api/v1/projects/{PROJECT}/background-workers"
    return await platform.http.post(path, json={"localOnly": True, "metadata": metadata})


async def create(platform: Platform, **fields: Any) -> Any:
    """Create a schedule."""
    answer = await platform.http.post(SCHEDULES, json=BODY | fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_schedule_is_created_and_read_by_id_or_key(platform: Platform) -> None:
    """The clock stands at Monday, 16:00 UTC."""
    await register(platform)
    made = await create(platform, timezone="Europe/Berlin", window="30m", externalId="user_1")

    assert made.keys() >= REQUIRED
    assert made == {
        "id": made["id"],
        "type": "IMPERATIVE",
        "task": "nightly",
        "active": True,
        "deduplicationKey": "k",
        "externalId": "user_1",
        "generator": {
            "type": "CRON",
            "expression": "0 9 * * 1-5",
            "description": "At 09:00 on Monday through Friday",
        },
        "timezone": "Europe/Berlin",
        "window": "30m",
        "catchUp": "none",
        "nextRun": "2025-11-25T08:00:00.000Z",
        "nextRunEffectiveAt": made["nextRunEffectiveAt"],
        "environments": [
            {
                "id": platform.server.local.environment.id,
                "type": "DEVELOPMENT",
                "userName": "Local",
            }
        ],
    }
    assert "2025-11-25T08:00" <= made["nextRunEffectiveAt"] < "2025-11-25T08:30"
    assert made["id"].startswith("sched_")
    for name in (made["id"], "k"):
        assert (await platform.http.get(f"{SCHEDULES}/{name}")).json() == made


async def test_a_known_key_updates_and_an_update_replaces(platform: Platform) -> None:
    """PUT takes no key."""
    await register(platform)
    made = await create(platform, externalId="a")
    again = await create(platform, cron="@hourly")
    assert (again["id"], again["generator"]["expression"]) == (made["id"], "@hourly")

    body = {"task": "nightly", "every": "90s", "catchUp": "last"}
    put = (await platform.http.put(f"{SCHEDULES}/k", json=body)).json()
    assert put["generator"] == {
        "type": "CRON",
        "expression": "@every 1m30s",
        "description": "Every 90 seconds",
    }
    assert (put["catchUp"], put["deduplicationKey"], "externalId" in put) == ("last", "k", False)


async def test_schedules_are_listed_by_pages(platform: Platform) -> None:
    """Counted from 1."""
    await register(platform)
    made = []
    for number in range(5):
        platform.clock.advance(1)
        made.append((await create(platform, deduplicationKey=str(number)))["id"])

    first = (await platform.http.get(SCHEDULES, params={"perPage": 2})).json()
    last = (await platform.http.get(SCHEDULES, params={"perPage": 2, "page": 3})).json()
    assert [one["id"] for one in first["data"]] == made[:2]
    assert first["pagination"] == {"currentPage": 1, "totalPages": 3, "count": 5}
    assert [one["id"] for one in last["data"]] == made[4:]
    wrong = await platform.http.get(SCHEDULES, params={"page": 0})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "INVALID_QUERY")


async def test_a_schedule_is_switched_and_deleted(platform: Platform) -> None:
    """By id or key; one that is off has no next run."""
    await register(platform)
    made = await create(platform)
    off = (await platform.http.post(f"{SCHEDULES}/k/deactivate")).json()
    assert (off["active"], "nextRun" in off) == (False, False)
    on = (await platform.http.post(f"{SCHEDULES}/{made['id']}/activate")).json()
    assert (on["active"], on["nextRun"]) == (True, made["nextRun"])

    gone = await platform.http.delete(f"{SCHEDULES}/k")
    assert (gone.status_code, gone.json()) == (200, {"id": made["id"]})
    missing = await platform.http.get(f"{SCHEDULES}/{made['id']}")
    assert (missing.status_code, missing.json()["error"]) == (404, "Schedule not found")


async def test_the_ticks_to_come_are_shown(platform: Platform) -> None:
    """Nominal and effective."""
    await register(platform)
    await create(platform, window="10%")
    shown = (await platform.http.get(f"{SCHEDULES}/k/next", params={"count": 3})).json()["data"]

    days = ["2025-11-25", "2025-11-26", "2025-11-27"]
    assert [tick["timestamp"] for tick in shown] == [f"{day}T09:00:00.000Z" for day in days]
    assert all(tick["effectiveAt"] > tick["timestamp"] for tick in shown)


@pytest.mark.behaviour(225)
@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"cron": "0 0 9 * * *"}, 422, "INVALID_CRON"),
        ({"timezone": "Mars/Olympus"}, 422, "INVALID_TIMEZONE"),
        ({"window": "25h"}, 422, "INVALID_WINDOW"),
        ({"task": "plain"}, 422, "TASK_NOT_SCHEDULED"),
        ({"task": "nothing"}, 422, "SCHEDULE_TASK_UNKNOWN"),
        ({"catchUp": "some"}, 400, "INVALID_BODY"),
        ({"deduplicationKey": ""}, 400, "INVALID_BODY"),
    ],
)
async def test_what_cannot_be_is_refused(
    platform: Platform, fields: dict[str, Any], status: int, code: str
) -> None:
    """Behaviour 225."""
    await register(platform)
    answer = await platform.http.post(SCHEDULES, json=BODY | fields)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await platform.http.get(SCHEDULES)).json()["data"] == []


async def test_a_registration_brings_declared_schedules(platform: Platform) -> None:
    """They are read by their task and changed in code alone."""
    declared = {"cron": "0 * * * *", "timezone": "UTC", "window": "30m"}
    task = {"id": "hourly", "filePath": "a.py", "triggerSource": "schedule", "schedule": declared}
    assert (await register(platform, task)).status_code == 200

    read = (await platform.http.get(f"{SCHEDULES}/hourly")).json()
    assert (read["type"], read["window"], "deduplicationKey" in read) == (
        "DECLARATIVE",
        "30m",
        False,
    )
    body = {"task": "hourly", "cron": "@daily"}
    refused = await platform.http.put(f"{SCHEDULES}/{read['id']}", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "SCHEDULE_DECLARED")

    broken = await register(platform, task | {"schedule": {"cron": "0 0 30 2 *"}})
    assert broken.status_code == 400
    assert "hourly" in broken.json()["error"]


async def test_a_scheduled_run_names_its_schedule(platform: Platform) -> None:
    """Protocol A.6; the timers of the platform make the run."""
    await platform.work("nightly")
    await register(platform)
    platform.clock.advance(1_000)
    made = await create(platform, cron="@every 10s", externalId="user_1")
    platform.clock.advance(9_000)
    await platform.sweep()

    runs = (await platform.http.get("/api/v1/runs")).json()["data"]
    run = (await platform.http.get(f"/api/v3/runs/{runs[0]['id']}")).json()
    assert run["schedule"] == {
        "id": made["id"],
        "externalId": "user_1",
        "deduplicationKey": "k",
        "generator": made["generator"],
    }
    assert run["payload"]["timestamp"] == made["nextRun"]


async def test_time_zones_are_listed_for_anybody(platform: Platform) -> None:
    """UTC first, or left out."""
    answer = await platform.http.get("/api/v1/timezones", headers={"authorization": ""})
    zones = answer.json()["timezones"]
    assert zones[0] == "UTC"
    assert {"Europe/Berlin", "America/New_York"} < set(zones)
    without = await platform.http.get("/api/v1/timezones", params={"excludeUtc": "true"})
    assert without.json()["timezones"] == zones[1:]
