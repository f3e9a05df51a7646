"""Waitpoint tokens over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from support.http import Platform


async def _create(platform: Platform, **fields: Any) -> dict[str, Any]:
    answer = await platform.http.post("/api/v1/waitpoints/tokens", json=fields)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _read(platform: Platform, token_id: str) -> dict[str, Any]:
    return dict((await platform.http.get(f"/api/v1/waitpoints/tokens/{token_id}")).json())


@pytest.mark.behaviour(169)
async def test_a_token_is_completed_once(platform: Platform) -> None:
    """The first data stay; the second call changes nothing and is no error."""
    token = await _create(platform, tags=["a"])
    assert (await _read(platform, token["id"]))["status"] == "WAITING"
    path = f"/api/v1/waitpoints/tokens/{token['id']}/complete"
    for data in ({"n": 1}, {"n": 2}):
        assert (await platform.http.post(path, json={"data": data})).json() == {"success": True}

    found = await _read(platform, token["id"])
    assert (found["status"], found["output"], found["tags"]) == ("COMPLETED", '{"n":1}', ["a"])


async def test_the_callback_address_needs_no_key(platform: Platform) -> None:
    """Its hash is the secret; the whole body is the data."""
    token = await _create(platform)
    nobody = {"authorization": ""}
    wrong = token["url"][:-4] + "0000"
    assert (await platform.http.post(wrong, json={"x": 1}, headers=nobody)).status_code == 401
    answer = await platform.http.post(token["url"], json={"x": 1}, headers=nobody)

    assert answer.status_code == 200
    assert (await _read(platform, token["id"]))["output"] == '{"x":1}'


@pytest.mark.behaviour(165)
async def test_a_token_runs_out_of_time(platform: Platform) -> None:
    """With the error that clients know."""
    token = await _create(platform, timeout="10m")
    platform.clock.advance(600_000)
    await platform.sweep()

    found = await _read(platform, token["id"])
    assert (found["status"], found["outputIsError"]) == ("TIMED_OUT", True)
    assert "TRIGGER_WAITPOINT_TIMEOUT" in found["output"]


@pytest.mark.behaviour(41, 42)
async def test_a_key_finds_its_token_until_it_runs_out(platform: Platform) -> None:
    """Then a new one is made, and the old one keeps the key for history."""
    first = await _create(platform, idempotencyKey="k", idempotencyKeyTTL="1h")
    again = await _create(platform, idempotencyKey="k")
    assert (again["id"], again["isCached"]) == (first["id"], True)
    platform.clock.advance(3_600_000)
    fresh = await _create(platform, idempotencyKey="k")

    assert (fresh["id"] == first["id"], fresh["isCached"]) == (False, False)
    assert (await _read(platform, first["id"]))["idempotencyKey"] == "k"


async def test_tokens_are_listed_by_status_and_tag(platform: Platform) -> None:
    """Newest first, with cursors."""
    ids = []
    for n in range(3):
        platform.clock.advance(1)
        ids.append((await _create(platform, tags=[f"t{n}"]))["id"])
    await platform.http.post(f"/api/v1/waitpoints/tokens/{ids[0]}/complete", json={"data": "x"})

    async def listed(**query: str) -> list[str]:
        page = (await platform.http.get("/api/v1/waitpoints/tokens", params=query)).json()
        return [one["id"] for one in page["data"]]

    assert await listed() == ids[::-1]
    assert await listed(**{"filter[status]": "COMPLETED"}) == [ids[0]]
    assert await listed(**{"filter[tags]": "t1,t2"}) == [ids[2], ids[1]]
    assert await listed(**{"page[size]": "1", "page[after]": ids[2]}) == [ids[1]]


async def test_a_run_waits_for_a_token_and_for_a_moment(platform: Platform) -> None:
    """As clients of the protocol ask for it."""
    run_id = await platform.trigger()
    [run] = await platform.work("task")
    await platform.report(started=[{"runId": run_id, "lease": run["lease"], "at": 1}])
    token = await _create(platform)
    waiting = await platform.http.post(
        f"/engine/v1/runs/{run_id}/waitpoints/tokens/{token['id']}/wait"
    )
    assert waiting.json() == {"success": True}
    assert (await platform.http.get(f"/api/v3/runs/{run_id}")).json()["status"] == "WAITING"
    await platform.http.post(f"/api/v1/waitpoints/tokens/{token['id']}/complete", json={})
    assert (await platform.http.get(f"/api/v3/runs/{run_id}")).json()["status"] == "EXECUTING"
    started = await platform.http.post(
        f"/engine/v1/runs/{run_id}/wait/duration", json={"date": "5m"}
    )

    assert started.json()["waitpoint"]["id"].startswith("waitpoint_")
    assert (await platform.http.get(f"/api/v3/runs/{run_id}")).json()["status"] == "WAITING"


async def test_an_unknown_token_is_not_found(platform: Platform) -> None:
    """To read, to complete, to wait for."""
    assert (await platform.http.get("/api/v1/waitpoints/tokens/waitpoint_x")).status_code == 404
    done = await platform.http.post("/api/v1/waitpoints/tokens/waitpoint_x/complete", json={})
    assert done.status_code == 404


async def test_a_token_is_made_and_completed_without_a_body(platform: Platform) -> None:
    """All of its fields may be left out, and so may the data."""
    made = await platform.http.post("/api/v1/waitpoints/tokens")
    assert made.status_code == 200, made.text
    path = f"/api/v1/waitpoints/tokens/{made.json()['id']}"

    assert (await platform.http.post(f"{path}/complete")).json() == {"success": True}
    assert (await platform.http.get(path)).json()["status"] == "COMPLETED"
