"""Run tokens: the process of an attempt speaks for its own run, and only while the attempt lasts."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest

from support import keys
from support.deploying import deploy, held
from support.http import Platform, serving
from support.tenants import bearer, settle
from trigger_core import clock
from trigger_core.jwt import AUDIENCE, ISSUER, sign
from trigger_platform.engine import stream, worker_group
from trigger_platform.engine.execution_snapshot import LEASE_MS
from trigger_platform.http import run_token
from trigger_platform.http.run_token import RunToken
from trigger_platform.key_ring import KeyRing, parse_keys

ACTIONS = "/engine/v1/worker-actions"
ERROR = {"type": "BUILT_IN_ERROR", "name": "E", "message": "m"}


class Work:
    """A worker that keeps the token of each attempt."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.worker = ""

    async def poll(self) -> dict[str, str]:
        """Take what is there; return the tokens by run."""
        ask = {"bootId": "b1", "workers": [self.worker], "limit": 10, "waitMs": 0}
        answer = await self.platform.http.post("/engine/v1/worker/poll", json=ask)
        polled = answer.json()
        self.runs = {one["runId"]: one for one in polled["runs"]}
        assert polled.get("runTokens", {}).keys() == self.runs.keys()
        return dict(polled.get("runTokens", {}))

    async def taken(self) -> tuple[str, str]:
        """Trigger a run, and take it; return it with its token."""
        run_id = await self.platform.trigger("task", options={})
        return run_id, (await self.poll())[run_id]

    async def begun(self) -> tuple[str, str]:
        """Let its code begin as well."""
        run_id, token = await self.taken()
        await self.platform.report(started=[held(self.runs[run_id]) | {"at": 0}])
        return run_id, token

    async def status(self, run_id: str, token: str) -> int:
        """Read a run with a token; return what became of that."""
        answer = await self.platform.http.get(f"/api/v3/runs/{run_id}", headers=bearer(token))
        return answer.status_code


@pytest.fixture
async def work(platform: Platform) -> Work:
    """A worker with the task ``task``."""
    work = Work(platform)
    retry = {"maxAttempts": 3, "minTimeoutInMs": 1_000}
    metadata = {
        "packageVersion": "0",
        "contentHash": "x",
        "tasks": [{"id": "task", "filePath": "a.py", "retry": retry}],
    }
    path = f"/api/v1/projects/{platform.server.local.project.ref}/background-workers"
    made = await platform.http.post(path, json={"localOnly": True, "metadata": metadata})
    work.worker = made.json()["id"]
    await platform.http.post("/engine/v1/worker/connect", json={"instance": "dev", "bootId": "b1"})
    return work


async def test_a_run_reads_and_changes_itself(work: Work) -> None:
    """Itself, its tags, metadata, streams, input and waits."""
    run_id, token = await work.begun()
    own, http = bearer(token), work.platform.http
    stream, wait = f"/realtime/v1/streams/{run_id}", f"/engine/v1/runs/{run_id}/wait"

    async def ask(method: str, path: str, **sent: Any) -> httpx.Response:
        answer = await http.request(method, path, headers=own, **sent)
        assert answer.is_success, (path, answer.text)
        return answer

    for end in ("", "/trace", "/events"):
        version = "v1" if end else "v3"
        assert (await ask("GET", f"/api/{version}/runs/{run_id}{end}")).json()
    await ask("POST", f"/api/v1/runs/{run_id}/tags", json={"tags": ["mine"]})
    operation = {"type": "set", "key": "n", "value": 1}
    await ask("PUT", f"/api/v1/runs/{run_id}/metadata", json={"operations": [operation]})
    read = await ask("GET", f"/api/v1/runs/{run_id}/metadata")
    assert read.json()["metadata"] == {"n": 1}
    await ask("PUT", f"{stream}/self/words")
    await ask("POST", f"{stream}/self/words/append", content="a word")
    assert (await ask("HEAD", f"{stream}/self/words")).headers["x-last-chunk-index"] == "-1"
    await ask("POST", f"{stream}/input/in", json={"data": 1})
    until = {"date": "2100-01-01T00:00:00Z"}
    await ask("POST", f"{wait}/duration", json=until)

    found = (await http.get(f"/api/v3/runs/{run_id}")).json()
    assert (found["tags"], found["metadata"], found["status"]) == (["mine"], {"n": 1}, "WAITING")


async def test_it_speaks_for_no_other_run(work: Work) -> None:
    """Not for one beside it, not for its parent, and of what concerns no run it knows nothing."""
    other, _ = await work.begun()
    run_id, token = await work.begun()
    before = (await work.platform.http.get(f"/api/v3/runs/{other}")).json()
    change = {"parentOperations": [{"type": "set", "key": "n", "value": 1}]}
    refused: list[tuple[int, str, str, Any]] = [
        (403, "GET", f"/api/v3/runs/{other}", None),
        (403, "PUT", f"/api/v1/runs/{other}/metadata", {"metadata": {"n": 1}}),
        (403, "POST", f"/api/v1/runs/{other}/tags", {"tags": ["n"]}),
        (403, "PUT", f"/realtime/v1/streams/{other}/self/words", None),
        (403, "PUT", f"/realtime/v1/streams/{run_id}/parent/words", None),
        (403, "POST", f"/realtime/v1/streams/{other}/input/in", {"data": 1}),
        (403, "POST", f"/engine/v1/runs/{other}/wait/duration", {"date": "2100-01-01T00:00:00Z"}),
        (403, "PUT", f"/api/v1/runs/{run_id}/metadata", change),
        (401, "POST", f"/api/v2/runs/{run_id}/cancel", None),
        (401, "POST", f"/api/v1/runs/{run_id}/replay", None),
        (401, "POST", "/api/v1/tasks/task/trigger", {}),
        (401, "GET", "/api/v1/runs", None),
        (401, "GET", f"/api/v1/projects/{work.platform.server.local.project.ref}/envvars", None),
        (401, "POST", "/engine/v1/worker/poll", {"bootId": "b1", "workers": []}),
    ]  # fmt: skip
    for status, method, path, body in refused:
        answer = await work.platform.http.request(method, path, json=body, headers=bearer(token))
        assert answer.status_code == status, (path, answer.text)

    assert (await work.platform.http.get(f"/api/v3/runs/{other}")).json() == before


async def test_it_opens_nothing_in_another_environment(work: Work) -> None:
    """A run of another tenant is another run."""
    platform = work.platform
    tenant = await settle(platform, "acme")
    answer = await platform.http.post(
        "/api/v1/tasks/task/trigger", json={}, headers=bearer(tenant.root)
    )
    _, token = await work.begun()
    assert await work.status(answer.json()["id"], token) == 403


async def test_it_ends_with_the_attempt(work: Work) -> None:
    """At once: while the next one is waited for, and when that runs, it opens nothing."""
    run_id, first = await work.taken()
    assert await work.status(run_id, first) == 200  # its process may ask before its worker says so
    lease = held(work.runs[run_id])
    failed = lease | {"ok": False, "error": ERROR, "retry": {"delay": 1_000}}
    told = await work.platform.report(completions=[failed])
    assert told["verdicts"][0]["kind"] == "retry_now"
    assert await work.status(run_id, first) == 401

    work.platform.clock.advance(1_000)
    told = await work.platform.report(retries=[lease])
    second = told["runTokens"][run_id]
    assert await work.status(run_id, first) == 401
    assert await work.status(run_id, second) == 200

    done = held(told["runs"][0]) | {"ok": True, "output": "1"}
    await work.platform.report(completions=[done])
    for token in (first, second):
        answer = await work.platform.http.get(f"/api/v3/runs/{run_id}", headers=bearer(token))
        assert (answer.status_code, answer.json()["because"]) == (401, "its attempt has ended")


async def test_what_is_still_being_written_ends_with_the_attempt(work: Work) -> None:
    """A body that is under way says no more from then on."""
    run_id, token = await work.begun()
    path = f"/realtime/v1/streams/{run_id}/self/words"
    failed = held(work.runs[run_id]) | {"ok": False, "error": ERROR, "retry": {"delay": 1_000}}

    async def body() -> AsyncIterator[bytes]:
        yield b"1\n"
        await work.platform.report(completions=[failed])
        yield b"2\n"

    answer = await work.platform.http.post(path, content=body(), headers=bearer(token))
    kept = await work.platform.server.units.read(stream.page, run_id, "words", 0, 10)
    assert (answer.status_code, [one.data for one in kept]) == (401, ["1"])


async def test_it_ends_when_the_worker_is_lost(work: Work) -> None:
    """A process that was cut off speaks no more for a run that goes on elsewhere."""
    run_id, cut_off = await work.begun()
    work.platform.clock.advance(LEASE_MS + 1)
    await work.platform.sweep()
    assert await work.status(run_id, cut_off) == 401
    work.platform.clock.advance(60_000)  # the pause before the next attempt
    await work.platform.sweep()
    second = (await work.poll())[run_id]
    assert await work.status(run_id, cut_off) == 401
    assert await work.status(run_id, second) == 200


async def test_an_attempt_that_was_handed_out_twice_has_one_token(work: Work) -> None:
    """The first worker was lost before it said that it began, so both attempts have the same number."""
    run_id, cut_off = await work.taken()
    work.platform.clock.advance(LEASE_MS + 1)
    await work.platform.sweep()
    assert await work.status(run_id, cut_off) == 401
    second = (await work.poll())[run_id]
    assert work.runs[run_id]["attempt"] == 1
    assert await work.status(run_id, cut_off) == 401
    await work.platform.report(started=[held(work.runs[run_id]) | {"at": 0}])
    assert await work.status(run_id, cut_off) == 401
    assert await work.status(run_id, second) == 200


async def test_a_canceled_attempt_may_clean_up(work: Work) -> None:
    """Until its process has ended."""
    run_id, token = await work.begun()
    await work.platform.http.post(f"/api/v2/runs/{run_id}/cancel")
    assert await work.status(run_id, token) == 200
    await work.platform.report(completions=[held(work.runs[run_id]) | {"ok": True}])
    assert await work.status(run_id, token) == 401


async def test_what_was_not_signed_here_opens_nothing(work: Work) -> None:
    """Another key, another algorithm, none, another kind of token, and one that was changed."""
    platform = work.platform
    run_id, token = await work.begun()
    head, body, signature = token.split(".")
    claims = jwt.decode(token, options={"verify_signature": False})
    own = platform.server.local.environment
    strangers = [
        run_token.RunTokens(KeyRing(parse_keys(name + "00" * 32, at="a test")))
        for name in (
            "",
            f"{keys.KEYS[0].id}:",
        )  # a key that is not on the ring, one of the same name
    ]
    for stranger in strangers:
        stranger.learn(own, "org")
    longer = json.dumps(claims | {"exp": 2**40}).encode()
    unsigned = {"typ": "run+jwt", "alg": "none", "kid": keys.KEYS[0].id}
    now = platform.clock.now()
    header = jwt.get_unverified_header(token)
    forged = [
        *(one.mint(RunToken(own.id, run_id, 1, 1), None, now) for one in strangers),
        jwt.encode(claims, platform.key, "HS256", headers=header),
        jwt.encode(claims, platform.key, "HS512", headers=header | {"alg": "HS512"}),
        f"{base64.urlsafe_b64encode(json.dumps(unsigned).encode()).decode().rstrip('=')}.{body}.",
        f"{head}.{base64.urlsafe_b64encode(longer).decode().rstrip('=')}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}",
        head,
        sign(claims | {"sub": own.id, "pub": True}, "x" * 40, now_ms=now, life_ms=60_000),
    ]  # fmt: skip
    assert sum(map(run_token.is_one, forged)) >= 6
    for one in forged:
        assert await work.status(run_id, one) == 401, one
    assert await work.status(run_id, token) == 200


async def test_neither_kind_of_token_passes_for_the_other(work: Work) -> None:
    """The audience differs, and the key."""
    run_id, token = await work.begun()
    own = work.platform.server.local.environment
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["aud"] != AUDIENCE
    public = claims | {"sub": own.id, "pub": True, "scopes": ["admin"], "exp": 2**33}
    as_public = jwt.encode(public, work.platform.key, "HS256")
    assert await work.status(run_id, as_public) == 401


async def test_it_expires(work: Work) -> None:
    """Whatever its attempt does."""
    server = work.platform.server
    run_id, token = await work.begun()
    claims = jwt.decode(token, options={"verify_signature": False})
    end = claims["exp"] * 1000
    assert server.run_tokens.read(token, end - 1).run_id == run_id
    work.platform.clock.advance(end - work.platform.clock.now())
    answer = await work.platform.http.get(f"/api/v3/runs/{run_id}", headers=bearer(token))
    assert (answer.status_code, answer.json()["because"]) == (401, "it has expired")


async def test_its_signature_outlives_a_change_of_keys(tmp_path: Any) -> None:
    """As long as the key that signed is on the ring; a newer one signs from then on."""
    older, newer = "11" * 32, "22" * 32
    address = str(tmp_path / "t.db")
    async with serving(address, encryption_key=f"one:{older}") as platform:
        own, now = platform.server.local.environment, platform.clock.now()
        platform.server.run_tokens.learn(own, "org")
        what = RunToken(own.id, "run_x", 1, 1)
        token = platform.server.run_tokens.mint(what, None, now)
    async with serving(address, encryption_key=f"two:{newer},one:{older}") as platform:
        tokens = platform.server.run_tokens
        assert tokens.read(token, now) == what
        tokens.learn(own, "org")
        assert jwt.get_unverified_header(tokens.mint(what, None, now))["kid"] == "two"


@pytest.fixture
async def prod(platform: Platform) -> AsyncIterator[Platform]:
    """The production environment of the project."""
    prod = await platform.elsewhere("prod")
    async with prod.http:
        yield prod


async def _supervised(prod: Platform) -> tuple[dict[str, str], dict[str, Any]]:
    """Deploy, trigger and let a supervisor take the run; return its headers and the message."""
    await deploy(prod, "task")
    await prod.trigger("task")
    made = await prod.server.units.write(worker_group.create, "default")
    headers = bearer(made.token, **{"x-trigger-worker-instance-name": "s"})
    taken = await prod.http.post(f"{ACTIONS}/dequeue", json={}, headers=headers)
    return headers, taken.json()[0]


async def test_a_managed_attempt_is_given_the_reference_claims(prod: Platform) -> None:
    """Where it runs, what it is, and on which machine."""
    headers, message = await _supervised(prod)
    run_id, snapshot = message["run"]["friendlyId"], message["snapshot"]["friendlyId"]
    start = f"{ACTIONS}/runs/{run_id}/snapshots/{snapshot}/attempts/start"
    begun = (await prod.http.post(start, json={}, headers=headers)).json()

    token = begun["envVars"]["TRIGGER_JWT"]
    claims = jwt.decode(token, options={"verify_signature": False})
    project = prod.server.local.project
    assert (
        claims
        | {
            "iss": ISSUER,
            "environment_id": message["environment"]["id"],
            "org_id": project.organization_id,
            "project_id": project.id,
            "run_id": run_id,
            "machine_preset": "small-1x",
        }
        == claims
    )
    answer = await prod.http.get(f"/api/v3/runs/{run_id}", headers=bearer(token))
    assert (answer.status_code, answer.json()["id"]) == (200, run_id)


async def test_a_restored_attempt_keeps_its_token(prod: Platform) -> None:
    """It goes on under another lease, in a process whose memory has the token of before."""
    headers, message = await _supervised(prod)
    run_id, snapshot = message["run"]["friendlyId"], message["snapshot"]["friendlyId"]

    async def call(snapshot: str, action: str, body: Any = None) -> dict[str, Any]:
        path = f"{ACTIONS}/runs/{run_id}/snapshots/{snapshot}/{action}"
        method = "GET" if action == "continue" else "POST"
        answer = await prod.http.request(method, path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def status() -> int:
        answer = await prod.http.get(f"/api/v3/runs/{run_id}", headers=bearer(token))
        return answer.status_code

    token = (await call(snapshot, "attempts/start", {}))["envVars"]["TRIGGER_JWT"]
    until = prod.clock.now() + 60_000
    path = f"/engine/v1/runs/{run_id}/wait/duration"
    body = {"date": clock.to_iso(until)}
    assert (await prod.http.post(path, json=body, headers=bearer(token))).status_code == 200
    latest = await prod.http.get(f"{ACTIONS}/runs/{run_id}/snapshots/latest", headers=headers)
    offer = {"success": True, "checkpoint": {"type": "DOCKER", "location": "/c/1"}}
    await call(latest.json()["execution"]["snapshot"]["friendlyId"], "suspend", offer)
    assert await status() == 401  # it has no process that could ask
    prod.clock.advance(60_000)
    await prod.sweep()

    [again] = (await prod.http.post(f"{ACTIONS}/dequeue", json={}, headers=headers)).json()
    await call(again["snapshot"]["friendlyId"], "continue")
    assert await status() == 200
