"""Public tokens: what their scopes allow, and tokens that trigger."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from support.http import Platform
from trigger_core.jwt import AUDIENCE, ISSUER, sign
from trigger_platform.http.scopes import Resource, allows

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("scope", "action", "kind", "name", "expected"),
    [
        ("admin", "write", "runs", "run_1", True),
        ("admin:runs", "write", "runs", "run_1", False),
        ("read:runs:run_1", "read", "runs", "run_1", True),
        ("read:runs:run_1", "read", "runs", "run_2", False),
        ("read:runs:run_1", "read", "runs", None, False),
        ("read:runs:run_1", "write", "runs", "run_1", False),
        ("read:runs", "read", "runs", "run_1", True),
        ("read:runs", "read", "runs", None, True),
        ("read", "read", "runs", "run_1", False),
        ("read:all", "read", "tags", "t", True),
        ("read:all:x", "read", "tags", "t", True),
        ("*:runs", "write", "runs", "run_1", True),
        ("*", "write", "runs", "run_1", False),
        ("read:tags:env:prod", "read", "tags", "env:prod", True),
        ("read:tags:env", "read", "tags", "env:prod", False),
        ("read:tasks", "read", "runs", "run_1", False),
        ("", "read", "runs", "run_1", False),
        ("*:all", "trigger", "tasks", "t", True),
    ],
)
def test_a_scope_allows_what_the_grammar_says(
    scope: str, action: str, kind: str, name: str | None, expected: bool
) -> None:
    """Action, type and id, with two wildcards."""
    assert allows([scope], action, [Resource(kind, name)]) is expected


def test_any_scope_and_any_resource_will_do() -> None:
    """A run can be reached in several ways."""
    run = [Resource("runs", "run_1"), Resource("tags", "t")]

    assert allows(["read:tasks:x", "read:tags:t"], "read", run)
    assert not allows([], "read", run)
    assert not allows(["read:runs"], "read", [])


def _headers(platform: Platform, *scopes: str, **claims: Any) -> dict[str, str]:
    environment = platform.server.local.environment
    full = {"sub": environment.id, "pub": True, "scopes": list(scopes), **claims}
    now_ms = round(time.time() * 1000)
    token = sign(full, platform.key, now_ms=now_ms, life_ms=HOUR_MS)
    return {"authorization": f"Bearer {token}"}


async def _status(platform: Platform, method: str, path: str, *scopes: str) -> int:
    headers = _headers(platform, *scopes)
    return (await platform.http.request(method, path, headers=headers)).status_code


def test_what_is_signed_here_is_a_token_for_everybody() -> None:
    """Another library reads it."""
    now_ms = round(time.time() * 1000)
    token = sign({"sub": "x"}, "k" * 32, now_ms=now_ms, life_ms=60_000)
    read = jwt.decode(token, "k" * 32, algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER)

    assert (read["sub"], read["exp"] - read["iat"]) == ("x", 60)


async def test_a_run_is_read_by_id_task_tag_or_all(platform: Platform) -> None:
    """And by nothing else."""
    run_id = await platform.trigger("send", tags=["env:prod"])
    path = f"/api/v3/runs/{run_id}"
    for scope in (f"read:runs:{run_id}", "read:tasks:send", "read:tags:env:prod", "read:runs"):
        assert await _status(platform, "GET", path, scope) == 200
    for scope in ("read:runs:run_x", "read:tasks:other", "read:tags:env", f"write:runs:{run_id}"):
        assert await _status(platform, "GET", path, scope) == 403


async def test_a_run_is_canceled_and_replayed_with_a_scope_to_write_it(platform: Platform) -> None:
    """Reading is not enough."""
    run_id = await platform.trigger("send")
    for path in (f"/api/v2/runs/{run_id}/cancel", f"/api/v1/runs/{run_id}/replay"):
        assert await _status(platform, "POST", path, "read:runs") == 403
        assert await _status(platform, "POST", path, f"write:runs:{run_id}") == 200
        assert await _status(platform, "POST", path, "write:tasks:send") == 200


async def test_a_route_without_scopes_takes_no_public_token(platform: Platform) -> None:
    """Whatever it allows."""
    assert await _status(platform, "GET", "/api/v1/queues", "admin") == 401


async def test_a_task_is_triggered_with_its_scope(platform: Platform) -> None:
    """Another's is refused, and so is a parent that the token may not write."""
    path = "/api/v1/tasks/send/trigger"
    allowed = _headers(platform, "trigger:tasks:send")
    parent = await platform.trigger("send")
    made = await platform.http.post(path, json={}, headers=allowed)
    other = await platform.http.post(path, json={}, headers=_headers(platform, "trigger:tasks:x"))
    body = {"options": {"parentRunId": parent}}
    child = await platform.http.post(path, json=body, headers=allowed)

    assert (made.status_code, other.status_code, child.status_code) == (200, 403, 403)
    assert "x-trigger-jwt" in made.headers


@pytest.mark.behaviour(21)
async def test_a_token_for_one_use_triggers_one_run(platform: Platform) -> None:
    """However its signature is spelled; the other uses of the task go on (behaviour 21)."""
    path = "/api/v1/tasks/send/trigger"
    once = _headers(platform, "trigger:tasks:send", otu=True, jti="1")
    respelled = {"authorization": _respelled(once["authorization"])}
    first = await platform.http.post(path, json={}, headers=once)
    again = await platform.http.post(path, json={}, headers=once)
    forged = await platform.http.post(path, json={}, headers=respelled)
    another = _headers(platform, "trigger:tasks:send", otu=True, jti="2")

    assert first.status_code == 200
    assert (again.status_code, again.json()["code"]) == (422, "ONE_TIME_TOKEN_USED")
    assert forged.status_code in {401, 422}
    assert (await platform.http.post(path, json={}, headers=another)).status_code == 200
    assert len((await platform.http.get("/api/v1/runs")).json()["data"]) == 2


async def test_a_lost_answer_does_not_use_up_the_token(platform: Platform) -> None:
    """The same request again gets the same run."""
    path = "/api/v1/tasks/send/trigger"
    headers = _headers(platform, "trigger:tasks:send", otu=True)
    headers["x-trigger-request-idempotency-key"] = "r1"
    first = await platform.http.post(path, json={}, headers=headers)
    again = await platform.http.post(path, json={}, headers=headers)

    assert (first.json()["id"], again.status_code) == (again.json()["id"], 200)


async def test_a_waitpoint_token_is_completed_with_its_scope(platform: Platform) -> None:
    """That is what its own public token carries."""
    made = await platform.http.post("/api/v1/waitpoints/tokens", json={})
    path = f"/api/v1/waitpoints/tokens/{made.json()['id']}/complete"
    wrong = _headers(platform, "write:waitpoints:waitpoint_x")
    right = _headers(platform, f"write:waitpoints:{made.json()['id']}")

    assert (await platform.http.post(path, json={}, headers=wrong)).status_code == 403
    assert (await platform.http.post(path, json={}, headers=right)).status_code == 200


def _respelled(header: str) -> str:
    """The last letter of a signature has two bits that mean nothing."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return header[:-1] + letters[letters.index(header[-1]) ^ 1]


async def test_who_may_read_all_tasks_may_list_all_runs(platform: Platform) -> None:
    """Who may read one task may list its runs."""
    await platform.trigger("send")
    assert await _status(platform, "GET", "/api/v1/runs", "read:tasks") == 200
    assert await _status(platform, "GET", "/api/v1/runs", "read:tasks:send") == 403
    narrowed = "/api/v1/runs?filter[taskIdentifier]=send"
    assert await _status(platform, "GET", narrowed, "read:tasks:send") == 200


@pytest.mark.parametrize(
    ("scope", "status"), [("batchTrigger:batch", 202), ("batchTrigger:tasks", 202), ("batch", 403)]
)
async def test_who_may_trigger_batches_may_trigger_them_of_all_tasks(
    platform: Platform, scope: str, status: int
) -> None:
    """Whether the tasks are named or not."""
    for tasks in ([], ["a", "b"]):
        made = await platform.http.post(
            "/api/v3/batches",
            json={"runCount": 2, "taskIdentifiers": tasks},
            headers=_headers(platform, scope),
        )
        assert made.status_code == status, made.text


async def test_a_refusal_says_that_it_is_about_the_token(platform: Platform) -> None:
    """In the words that clients read."""
    answer = await platform.http.get("/api/v1/runs", headers=_headers(platform, "read:runs:run_x"))

    told = answer.json()
    assert (answer.status_code, told["error"], told["code"], told["param"], told["type"]) == (
        403, "Unauthorized", "unauthorized", "access_token", "authorization",
    )  # fmt: skip
