"""One public token is revoked, and no other; from that moment, in every process, until it has expired."""

from __future__ import annotations

import base64
from typing import Any

import jwt
import pytest

from support.http import PROJECT, Platform
from support.tenants import Tenant, bearer, settle
from trigger_core.jwt import sign
from trigger_platform.engine.retention import Periods
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.loops.retention import Retention
from trigger_platform.store.rows import Count

pytestmark = pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)

REVOKE = "/api/v1/auth/public-tokens/revoke"
DAY_MS = 86_400_000


async def _minted(platform: Platform, **fields: Any) -> str:
    body = {"scopes": ["read:runs"]} | fields
    answer = await platform.http.post("/api/v1/auth/public-tokens", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


def _signed(platform: Platform, life_ms: int = 3_600_000, **claims: Any) -> str:
    """Sign a token as a client does."""
    own = platform.server.local.environment
    full = {"sub": own.id, "pub": True, "scopes": ["read:runs"]} | claims
    return sign(full, platform.key, now_ms=platform.clock.now(), life_ms=life_ms)


async def _status(platform: Platform, token: str) -> int:
    return (await platform.http.get("/api/v1/runs", headers=bearer(token))).status_code


def _jti(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["jti"])


async def _revoke(platform: Platform, headers: dict[str, str] | None = None, **body: str) -> Any:
    return await platform.http.post(REVOKE, json=body, headers=headers)


async def _rows(platform: Platform) -> int:
    def count(u: Unit) -> int:
        found = u.tx.all("table_rows", Count)
        return next(row.count for row in found if row.name == "revoked_token")

    return await platform.server.units.read(count)


async def test_one_token_is_revoked_by_its_id(platform: Platform) -> None:
    """Every token that the platform signs has one; the others of the environment hold."""
    first, second = await _minted(platform), await _minted(platform)
    triggered = await platform.http.post("/api/v1/tasks/task/trigger", json={})
    header = triggered.headers["x-trigger-jwt"]
    assert len({_jti(one) for one in (first, second, header)}) == 3

    answer = await _revoke(platform, jti=_jti(first))
    assert (answer.status_code, answer.json()["jti"]) == (200, _jti(first))
    refused = await platform.http.get("/api/v1/runs", headers=bearer(first))
    assert (refused.status_code, refused.json()["error"]) == (
        401, "the public access token has been revoked",
    )  # fmt: skip
    assert await _status(platform, second) == 200
    assert await _rows(platform) == 1


async def test_the_token_itself_can_be_shown(platform: Platform) -> None:
    """So one that a client signed without an id is revoked too, however it is spelled; twice no less."""
    plain, other, named = _signed(platform), _signed(platform, act=1), _signed(platform, jti="mine")
    for token in (plain, plain, named):
        assert (await _revoke(platform, token=token)).status_code == 200
    head, body, signature = plain.split(".")
    raw = base64.urlsafe_b64decode(signature + "=")
    respelled = f"{head}.{body}.{base64.urlsafe_b64encode(raw).decode()}"
    for token in (plain, respelled, named, _signed(platform, jti="mine", act=2)):
        assert await _status(platform, token) == 401
    assert await _status(platform, other) == 200


async def test_an_id_without_end_is_no_key(platform: Platform) -> None:
    """A client may put anything into a token."""
    tokens = [_signed(platform, jti="x" * 5_000), _signed(platform, jti=["a"], act=1)]
    for token in tokens:
        before = await _status(platform, token)
        assert (await _revoke(platform, token=token)).status_code in {200, 422}
        assert (before, await _status(platform, token)) in {(200, 401), (401, 401)}


async def test_who_may_revoke(platform: Platform) -> None:
    """The environment's key, and a developer of the project; each in his own environment."""
    acme, other = await settle(platform, "acme"), await settle(platform, "other")
    now = platform.clock.now()

    def token(tenant: Tenant, number: int) -> str:
        claims = {"sub": tenant.production.id, "pub": True, "scopes": ["read:runs"], "n": number}
        return sign(claims, tenant.root, now_ms=now, life_ms=60_000)

    mine, path = token(acme, 1), f"{acme.path}/prod/revoke-public-token"
    strange = await _revoke(platform, bearer(other.root), token=mine)
    assert (strange.status_code, strange.json()["code"]) == (404, "TOKEN_NOT_FOUND")
    assert (await _revoke(platform, bearer(acme.restricted), token=mine)).status_code == 403
    assert (await _revoke(platform, bearer(mine), token=mine)).status_code == 401
    viewer, developer = (bearer(acme.tokens[role]) for role in (Role.VIEWER, Role.DEVELOPER))
    http = platform.http
    assert (await http.post(path, json={"token": mine}, headers=viewer)).status_code == 403
    assert await _status(platform, mine) == 200
    assert (await http.post(path, json={"token": mine}, headers=developer)).status_code == 200
    assert await _status(platform, mine) == 401

    named = await _revoke(platform, bearer(other.root), jti="x")  # only in his own environment
    assert named.status_code == 200
    claims = {"sub": acme.production.id, "pub": True, "scopes": ["read:runs"], "jti": "x"}
    kept = sign(claims, acme.root, now_ms=now, life_ms=60_000)
    assert await _status(platform, kept) == 200


async def test_what_is_no_token_of_the_environment_is_refused(platform: Platform) -> None:
    """Forged, of no environment, none at all, both or neither."""
    own = platform.server.local.environment
    forged = sign({"sub": own.id, "pub": True}, "x" * 40, now_ms=0, life_ms=60_000)
    assert (await _revoke(platform, token=forged)).json()["code"] == "INVALID_PUBLIC_TOKEN"
    assert (await _revoke(platform, token="a.b.c")).status_code == 404
    for body in ({}, {"token": "a.b.c", "jti": "x"}, {"jti": ""}, {"jti": "x" * 201}):
        assert (await _revoke(platform, **body)).status_code == 400
    assert await _rows(platform) == 0


async def test_a_token_of_a_branch_is_revoked_with_the_key_of_its_parent(
    platform: Platform,
) -> None:
    """Which signs for it; its id alone needs the branch to be named."""
    path = f"/api/v1/projects/{PROJECT}/branches"
    user = bearer(platform.server.local.access_token)
    preview = await platform.elsewhere("preview")
    async with preview.http as http:
        await http.post(path, json={"env": "preview", "branch": "one"}, headers=user)
        branch = {"x-trigger-branch": "one"}
        body = {"scopes": ["read:runs"]}
        answers = [
            await http.post("/api/v1/auth/public-tokens", json=body, headers=branch)
            for _ in range(2)
        ]
        first, second = (str(answer.json()["token"]) for answer in answers)
        assert (await http.post(REVOKE, json={"token": first})).status_code == 200
        named = {"jti": _jti(second)}
        assert (await http.post(REVOKE, json=named, headers=branch)).status_code == 200
    assert [await _status(platform, one) for one in (first, second)] == [401, 401]


async def test_what_has_expired_is_forgotten(platform: Platform) -> None:
    """Then it is refused for that, and nothing is looked up any more."""
    server = platform.server
    short, long = await _minted(platform, expirationTime="1h"), _signed(platform, 40 * DAY_MS)
    for token in (short, long):
        assert (await _revoke(platform, token=token)).status_code == 200
    assert (await _revoke(platform, jti="unknown")).status_code == 200
    retention = Retention(server.units, Periods())

    platform.clock.advance(3_600_000)
    assert (await retention.run_once())["revoked_tokens"] == 1
    platform.clock.advance(30 * DAY_MS)
    assert (await retention.run_once())["revoked_tokens"] == 1
    assert await _status(platform, long) == 401
    platform.clock.advance(10 * DAY_MS)
    assert (await retention.run_once())["revoked_tokens"] == 1
    again = _signed(platform)
    assert [await _status(platform, one) for one in (short, long, again)] == [401, 401, 200]
