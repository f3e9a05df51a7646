"""Following runs by the Electric protocol: what the client sends, and what it is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from support.electric import CURRENT, LAST, Follower
from support.http import Platform
from trigger_core.clock import SystemClock
from trigger_platform.engine import retention
from trigger_platform.engine.retention import Periods
from trigger_platform.http import public_token
from trigger_platform.realtime import feeds


def _run(platform: Platform, run_id: str, **given: Any) -> Follower:
    return Follower(platform.http, f"/realtime/v1/runs/{run_id}", **given)


def _tags(platform: Platform, tags: str, **params: str) -> Follower:
    return Follower(platform.http, "/realtime/v1/runs", {"tags": tags, **params})


async def _begun(waiting: asyncio.Task[Any]) -> None:
    """Let a request reach its wait."""
    done, _ = await asyncio.wait([waiting], timeout=0.1)
    assert not done


async def _cancel(platform: Platform, run_id: str) -> None:
    assert (await platform.http.post(f"/api/v2/runs/{run_id}/cancel")).status_code == 200


async def test_a_run_is_shown_as_text_with_a_schema(platform: Platform) -> None:
    """Times have no zone, numbers are texts, tags an array literal, the status is the internal one."""
    run_id = await platform.trigger(
        "hello", {"a": 1}, tags=["vip", 'a "b" \\c'], metadata={"n": 1}, test=True, ttl="1h"
    )
    answer = await platform.http.get(
        f"/realtime/v1/runs/{run_id}", params={"offset": "-1", "log": "full"}, headers=CURRENT
    )
    [change, last] = answer.json()
    schema = json.loads(answer.headers["electric-schema"])

    assert last == LAST
    assert change["headers"] == {"operation": "insert"}
    assert change["key"] == f'"public"."TaskRun"/"{run_id}"'
    row = change["value"]
    assert set(row) == set(schema)
    assert row["createdAt"] == "2025-11-24T16:00:00.000"
    assert (row["status"], row["taskIdentifier"], row["friendlyId"]) == ("PENDING", "hello", run_id)
    assert (row["isTest"], row["number"], row["ttl"]) == ("t", "0", "1h")
    assert (row["payload"], row["payloadType"]) == ('{"a":1}', "application/json")
    assert row["runTags"] == '{"vip","a \\"b\\" \\\\c"}'
    assert row["realtimeStreams"] == "{}"
    assert row["completedAt"] is None
    assert schema["runTags"] == {"type": "text", "dims": 1}
    assert schema["usageDurationMs"] == {"type": "int4"}
    assert answer.headers["cache-control"] == "no-store"


async def test_a_live_request_is_held_until_the_run_changes(platform: Platform) -> None:
    """And answered with the whole row."""
    run_id = await platform.trigger()
    follower = _run(platform, run_id)
    assert len(await follower.rows()) == 1
    waiting = follower.waits()
    await _begun(waiting)
    await _cancel(platform, run_id)

    assert [row["status"] for row in await waiting] == ["CANCELED"]


async def test_a_change_between_two_requests_is_not_lost(platform: Platform) -> None:
    """The next request is answered at once: another follower shows that the change was told meanwhile."""
    run_id = await platform.trigger()
    follower, other = _run(platform, run_id), _run(platform, run_id)
    await follower.rows()
    await other.rows()
    waiting = other.waits()
    await _begun(waiting)
    await platform.http.put(f"/api/v1/runs/{run_id}/metadata", json={"metadata": {"step": 1}})
    assert len(await waiting) == 1

    async with asyncio.timeout(5):
        [row] = await follower.rows()
    assert row["metadata"] == '{"step":1}'


async def test_a_live_request_without_news_is_answered_empty(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time it is held."""
    monkeypatch.setattr("trigger_platform.http.routes.realtime._HOLD_S", 0.05)
    follower = _run(platform, await platform.trigger())
    await follower.rows()

    assert await follower.rows() == []
    assert follower.is_up_to_date


async def test_an_answer_that_got_lost_is_given_again(platform: Platform) -> None:
    """The client asks again with the offset it has."""
    run_id = await platform.trigger()
    follower = _run(platform, run_id)
    await follower.rows()
    before = dict(follower.state)
    await _cancel(platform, run_id)
    assert [row["status"] for row in await follower.rows()] == ["CANCELED"]
    follower.state = before

    assert [row["status"] for row in await follower.rows()] == ["CANCELED"]


async def test_a_second_request_takes_the_place_of_one_that_waits_for_nobody(
    platform: Platform,
) -> None:
    """What changes goes to the later one; the earlier one ends."""
    run_id = await platform.trigger()
    follower = _run(platform, run_id)
    await follower.rows()
    again = _run(platform, run_id, state=dict(follower.state), is_up_to_date=True)
    first = follower.waits()
    await _begun(first)
    second = again.waits()
    assert await first == []
    await _begun(second)
    await _cancel(platform, run_id)

    assert [row["status"] for row in await second] == ["CANCELED"]


async def test_columns_can_be_left_out_but_not_those_that_make_a_run(platform: Platform) -> None:
    """The schema leaves them out as well."""
    run_id = await platform.trigger(payload={"big": 1})
    follower = _run(platform, run_id, params={"skipColumns": "payload,output,status,updatedAt"})
    [row] = await follower.rows()

    assert not {"payload", "output"} & set(row)
    assert {"payloadType", "status", "updatedAt"} <= set(row)


async def test_an_old_client_is_told_no_status_it_does_not_know(platform: Platform) -> None:
    """And gets the headers of its time."""
    await platform.trigger("task")
    [run] = await platform.work("task")
    path = f"/realtime/v1/runs/{run['runId']}"
    old = await platform.http.get(
        path, params={"offset": "-1"}, headers={"x-trigger-api-version": ""}
    )
    new = await platform.http.get(path, params={"offset": "-1"}, headers=CURRENT)

    assert old.json()[0]["value"]["status"] == "EXECUTING"
    assert new.json()[0]["value"]["status"] == "DEQUEUED"
    assert old.headers["electric-shape-id"] == old.headers["electric-handle"]
    assert old.headers["electric-chunk-last-offset"] == old.headers["electric-offset"]
    assert "electric-shape-id" not in new.headers


async def test_tags_follow_runs_that_have_all_of_them(platform: Platform) -> None:
    """Those that are there, those that come, and those that get the tag later."""
    both = await platform.trigger(tags=["a", "b"])
    await platform.trigger(tags=["a"])
    follower = _tags(platform, "a,b")
    assert [row["id"] for row in await follower.rows()] == [both]
    waiting = follower.waits()
    await _begun(waiting)
    await platform.trigger(tags=["b"])
    await _begun(waiting)
    fresh = await platform.trigger(tags=["b", "a", "c"])
    assert [row["id"] for row in await waiting] == [fresh]

    late = await platform.trigger(tags=["a"])
    waiting = follower.waits()
    await _begun(waiting)
    await platform.http.post(f"/api/v1/runs/{late}/tags", json={"tags": "b"})
    assert [row["id"] for row in await waiting] == [late]


async def test_tags_look_back_a_day_and_keep_that_bound(platform: Platform) -> None:
    """However long the client stays."""
    await platform.trigger(tags=["a"])
    platform.clock.advance(23 * 3_600_000)
    near = await platform.trigger(tags=["a"], ttl="9d")
    follower, short = _tags(platform, "a"), _tags(platform, "a", createdAt="1h")
    platform.clock.advance(2 * 3_600_000)
    assert [row["id"] for row in await follower.rows()] == [near]
    assert await short.rows() == []
    platform.clock.advance(23 * 3_600_000)
    waiting = follower.waits()
    await _begun(waiting)
    await _cancel(platform, near)

    assert [row["id"] for row in await waiting] == [near]


async def test_a_batch_shows_its_runs(platform: Platform) -> None:
    """And their changes."""
    items = [{"task": "task", "payload": n} for n in range(3)]
    made = (await platform.http.post("/api/v1/tasks/batch", json={"items": items})).json()
    follower = Follower(platform.http, f"/realtime/v1/batches/{made['id']}")
    rows = await follower.rows()
    assert {row["payload"] for row in rows} == {"0", "1", "2"}
    waiting = follower.waits()
    await _begun(waiting)
    await platform.trigger()
    await _begun(waiting)
    await _cancel(platform, rows[1]["id"])

    assert [row["id"] for row in await waiting] == [rows[1]["id"]]


async def test_a_large_shape_comes_in_pages_and_misses_nothing(platform: Platform) -> None:
    """Rows are shown after the last page; what changed meanwhile comes then."""
    items = [{"task": "task", "options": {"tags": ["many"]}} for _ in range(450)]
    await platform.http.post("/api/v1/tasks/batch", json={"items": items})
    follower = _tags(platform, "many")
    first = await follower.rows()
    assert not follower.is_up_to_date
    await _cancel(platform, first[0]["id"])
    rows = first + await follower.rows() + await follower.rows()

    assert follower.is_up_to_date
    assert len({row["id"] for row in rows}) == 450
    assert [row["status"] for row in await follower.rows()] == ["CANCELED"]


async def test_another_process_goes_on_where_one_stopped(platform: Platform) -> None:
    """Handle and offset say everything: a server that knows nothing of the client misses nothing."""
    run_id = await platform.trigger(tags=["a"])
    followers = [_run(platform, run_id), _tags(platform, "a")]
    for follower in followers:
        await follower.rows()
    _forget_feeds(platform)
    waiting = [follower.waits() for follower in followers]
    for one in waiting:
        await _begun(one)
    for one in waiting:
        one.cancel()
    await asyncio.wait(waiting)
    _forget_feeds(platform)
    await _cancel(platform, run_id)

    for follower in followers:
        assert [row["status"] for row in await follower.rows()] == ["CANCELED"]


async def test_when_there_are_many_those_that_rest_are_forgotten_and_miss_nothing(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory has an end."""
    monkeypatch.setattr(feeds, "_MOST_KEPT", 3)
    monkeypatch.setattr(feeds, "_SHORT_LINGER_S", 0.0)
    run_id = await platform.trigger()
    followers = [_run(platform, run_id) for _ in range(10)]
    for follower in followers:
        await follower.rows()
    assert len(platform.server.feeds) <= 4
    await _cancel(platform, run_id)

    for follower in followers:
        assert [row["status"] for row in await follower.rows()] == ["CANCELED"]


async def test_a_handle_that_does_not_fit_makes_the_client_begin_anew(platform: Platform) -> None:
    """409 with a new handle is part of the protocol."""
    run_id, other = await platform.trigger(), await platform.trigger()
    follower = _run(platform, other)
    await follower.rows()
    for handle in (follower.state["handle"], "nonsense", "1-2"):
        answer = await platform.http.get(
            f"/realtime/v1/runs/{run_id}",
            params={"handle": handle, "offset": follower.state["offset"]},
            headers=CURRENT,
        )
        assert answer.status_code == 409
        assert answer.json() == [{"headers": {"control": "must-refetch"}}]
        assert answer.headers["electric-handle"] != handle


async def test_a_run_that_was_removed_is_taken_away(platform: Platform) -> None:
    """Who follows it hears of it; who begins then is refused."""
    run_id = await platform.trigger()
    follower = _run(platform, run_id)
    await follower.rows()
    await _cancel(platform, run_id)
    await follower.rows()
    waiting = asyncio.create_task(follower.ask())
    await _begun(waiting)
    platform.clock.advance(31 * 86_400_000)
    await platform.server.units.write(retention.runs, Periods(), {})
    [message] = await waiting

    assert message["headers"] == {"operation": "delete"}
    answer = await platform.http.get(f"/realtime/v1/runs/{run_id}", params={"offset": "-1"})
    assert answer.status_code == 404


@pytest.mark.parametrize("kind", ["run", "tags", "batch"])
async def test_a_change_nobody_was_told_of_is_found_by_looking(
    platform: Platform, kind: str
) -> None:
    """Notices are a convenience."""
    made = await platform.http.post(
        "/api/v1/tasks/batch", json={"items": [{"task": "task", "options": {"tags": ["a"]}}]}
    )
    run_id, batch_id = made.json()["runs"][0]["id"], made.json()["id"]
    follower = {
        "run": _run(platform, run_id),
        "tags": _tags(platform, "a"),
        "batch": Follower(platform.http, f"/realtime/v1/batches/{batch_id}"),
    }[kind]
    await follower.rows()
    waiting = follower.waits()
    await _begun(waiting)
    platform.server.units._listeners.remove(platform.server.feeds.notice)
    await _cancel(platform, run_id)
    await _begun(waiting)
    await platform.server.feeds.look()

    async with asyncio.timeout(5):
        assert [row["status"] for row in await waiting] == ["CANCELED"]


async def test_a_change_concerns_its_followers_alone(platform: Platform) -> None:
    """Who follows another run reads nothing and is not woken."""
    mine, other = await platform.trigger(tags=["a"]), await platform.trigger(tags=["b"])
    followers = [_run(platform, mine), _tags(platform, "a")]
    for follower in followers:
        await follower.rows()
    waiting = [follower.waits() for follower in followers]
    for one in waiting:
        await _begun(one)
    await _cancel(platform, other)
    for one in waiting:
        await _begun(one)
    await _cancel(platform, mine)

    assert [[row["id"] for row in await one] for one in waiting] == [[mine], [mine]]


async def _token(platform: Platform, *scopes: str, **claims: Any) -> dict[str, str]:
    environment = platform.server.local.environment
    full = {"sub": environment.id, "pub": True, "scopes": list(scopes)} | claims
    server = platform.server
    token = public_token.mint(server.units.keys, environment, full, SystemClock().now())
    return {"authorization": f"Bearer {token}", **CURRENT}


async def test_a_request_is_not_held_longer_than_its_token_is_good(platform: Platform) -> None:
    """So that the next one tells the page that its token has expired."""
    run_id = await platform.trigger()
    server, environment = platform.server, platform.server.local.environment
    claims = {"sub": environment.id, "pub": True, "scopes": ["read:runs"]}
    token = public_token.mint(server.units.keys, environment, claims, platform.clock.now(), 1)
    run = _run(platform, run_id, headers={"authorization": f"Bearer {token}", **CURRENT})
    await run.rows()

    async with asyncio.timeout(10):
        assert await run.rows() == []
    platform.clock.advance(1_000)
    answer = await platform.http.get(run.path, headers=dict(run.headers))
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("scope", "reaches"),
    [
        ("read:runs", {"run", "tags", "batch"}),
        ("read:runs:{run}", {"run"}),
        ("read:tags:a", {"run", "tags"}),
        ("read:tags:b", set()),
        ("read:tags", {"run", "tags"}),
        ("read:tasks:task", {"run"}),
        ("read:batch:{batch}", {"run", "batch"}),
        ("read:batch:batch_x", set()),
        ("write:runs:{run}", set()),
    ],
)
async def test_a_public_token_follows_what_its_scope_says(
    platform: Platform, scope: str, reaches: set[str]
) -> None:
    """Everything else is forbidden."""
    item = {"task": "task", "options": {"tags": ["a"]}}
    made = (await platform.http.post("/api/v1/tasks/batch", json={"items": [item]})).json()
    run_id, batch_id = made["runs"][0]["id"], made["id"]
    headers = await _token(platform, scope.format(run=run_id, batch=batch_id))
    paths = {
        "run": f"/realtime/v1/runs/{run_id}",
        "tags": "/realtime/v1/runs?tags=a",
        "batch": f"/realtime/v1/batches/{batch_id}",
    }
    answers = {
        name: (await platform.http.get(path, headers=headers)).status_code
        for name, path in paths.items()
    }

    assert answers == {name: 200 if name in reaches else 403 for name in paths}


async def test_a_token_can_hide_columns_from_its_holder(platform: Platform) -> None:
    """Whatever the holder asks for."""
    run_id = await platform.trigger(payload={"secret": 1})
    headers = await _token(platform, "read:runs", realtime={"skipColumns": ["payload"]})
    follower = _run(platform, run_id, headers=headers, params={"skipColumns": "output"})
    [row] = await follower.rows()

    assert "payload" not in row
    assert "output" in row


async def test_a_wrong_token_is_refused(platform: Platform) -> None:
    """401 ends the client's stream."""
    for token in ("tr_dev_wrong", "a.b.c", ""):
        headers = {"authorization": f"Bearer {token}"}
        answer = await platform.http.get("/realtime/v1/runs?tags=a", headers=headers)
        assert answer.status_code == 401


def _forget_feeds(platform: Platform) -> None:
    """As if the requests came to another process."""
    feeds = platform.server.feeds
    feeds._feeds.clear()
    feeds._by_key.clear()
