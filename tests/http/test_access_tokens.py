"""Tokens and keys: shown once, kept as hashes, restricted to scopes, ended by expiry and revocation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support import postgres
from support.dump import bytes_of, texts_of
from support.http import Platform, serving
from support.tenants import Tenant, bearer, settle
from trigger_platform.engine import worker_group
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit

DAY_MS = 86_400_000


@pytest.fixture
async def acme(platform: Platform) -> Tenant:
    return await settle(platform, "acme")


async def test_a_token_is_made_listed_and_revoked(platform: Platform, acme: Tenant) -> None:
    """It is shown once; afterwards only its ends are."""
    made = await platform.http.post(
        "/api/v1/access-tokens", json={"name": "laptop"}, headers=acme.owner
    )
    token, id_ = made.json()["token"], made.json()["id"]
    own = bearer(token)
    listed = (await platform.http.get("/api/v1/access-tokens", headers=own)).json()["tokens"]

    assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
    assert token.startswith("tr_pat_")
    [shown] = [one for one in listed if one["id"] == id_]
    assert shown["obfuscatedToken"] == f"tr_pat_{token[7:11]}•••{token[-4:]}"
    assert token not in str(listed)
    assert shown["lastUsedAt"]
    gone = await platform.http.delete(f"/api/v1/access-tokens/{id_}", headers=own)
    assert gone.json() == {"id": id_}
    assert (await platform.http.get("/api/v2/whoami", headers=own)).status_code == 401
    again = await platform.http.delete(f"/api/v1/access-tokens/{id_}", headers=acme.owner)
    assert again.status_code == 404


async def test_a_token_ends_when_it_said(platform: Platform, acme: Tenant) -> None:
    """Not a moment later."""
    body = {"name": "week", "expiresIn": "7d"}
    made = await platform.http.post("/api/v1/access-tokens", json=body, headers=acme.owner)
    own = bearer(made.json()["token"])

    platform.clock.advance(7 * DAY_MS - 1)
    assert (await platform.http.get("/api/v2/whoami", headers=own)).status_code == 200
    platform.clock.advance(1)
    assert (await platform.http.get("/api/v2/whoami", headers=own)).status_code == 401


async def test_an_organisations_token_acts_in_its_projects_alone(
    platform: Platform, acme: Tenant
) -> None:
    """With the role it was given, and only by an admin, no higher than his own."""
    other = await settle(platform, "other")
    path = f"/api/v1/orgs/{acme.home.slug}/access-tokens"
    body = {"name": "ci", "role": "VIEWER"}
    admin = bearer(acme.tokens[Role.ADMIN])
    made = (await platform.http.post(path, json=body, headers=admin)).json()
    own = bearer(made["token"])

    assert made["token"].startswith("tr_oat_")
    projects = (await platform.http.get("/api/v1/projects", headers=own)).json()
    assert [one["externalRef"] for one in projects] == [acme.project.ref]
    assert (await platform.http.get(acme.path, headers=own)).status_code == 200
    assert (await platform.http.get(f"{acme.path}/prod", headers=own)).status_code == 403
    assert (await platform.http.get(other.path, headers=own)).status_code == 404
    too_high = await platform.http.post(path, json=body | {"role": "OWNER"}, headers=admin)
    assert too_high.status_code == 403
    assert (await platform.http.post(path, json=body, headers=own)).status_code == 403
    await platform.http.delete(f"{path}/{made['id']}", headers=admin)
    assert (await platform.http.get("/api/v1/projects", headers=own)).status_code == 401


async def test_a_restricted_key_does_what_its_scopes_say(platform: Platform, acme: Tenant) -> None:
    """Other things are refused, and so are routes that know no scopes."""
    path = f"{acme.path}/prod/api-keys"
    body = {"name": "front", "scopes": ["trigger:tasks:send", "read:runs"]}
    made = (await platform.http.post(path, json=body, headers=acme.owner)).json()
    own = bearer(made["apiKey"])
    run = await platform.http.post("/api/v1/tasks/send/trigger", json={}, headers=own)

    assert made["apiKey"].startswith("tr_prod_sk_")
    assert run.status_code == 200
    found = await platform.http.get(f"/api/v3/runs/{run.json()['id']}", headers=own)
    assert found.status_code == 200
    for method, refused in (
        ("POST", "/api/v1/tasks/other/trigger"),
        ("POST", f"/api/v2/runs/{run.json()['id']}/cancel"),
        ("GET", "/api/v1/queues"),
        ("GET", "/api/v1/schedules"),
    ):
        answer = await platform.http.request(method, refused, json={}, headers=own)
        assert answer.status_code == 403, refused
    assert (await platform.http.delete(f"{path}/{made['id']}", headers=acme.owner)).is_success
    assert (await platform.http.get("/api/v1/runs", headers=own)).status_code == 401


@pytest.mark.parametrize(
    ("scope", "method", "path", "body"),
    [
        ("read:schedules", "GET", "/api/v1/schedules", None),
        ("write:schedules", "POST", "/api/v1/schedules", {"task": "t", "cron": "* * * * *"}),
        ("read:runs", "GET", "/api/v1/bulk-actions", None),
        ("write:runs", "POST", "/api/v1/bulk-actions", {"action": "cancel", "runIds": ["x"]}),
        ("write:runs", "POST", "/api/v1/idempotencyKeys/x/reset", {"taskIdentifier": "t"}),
        ("read:runs", "GET", "/api/v2/packets/x", None),
        ("trigger:tasks", "PUT", "/api/v2/packets/x", None),
        ("read:runs", "GET", "/realtime/v1/streams/run_x/self/s", None),
        ("write:runs", "POST", "/realtime/v1/streams/run_x/self/s", None),
        ("read:inputStreams", "GET", "/realtime/v1/streams/run_x/input/s", None),
    ],
)
async def test_a_scope_opens_its_route_and_no_other_does(
    platform: Platform, acme: Tenant, scope: str, method: str, path: str, body: Any
) -> None:
    """A filter in the query, by which a list of runs is narrowed, opens nothing else."""

    async def status(*scopes: str) -> int:
        made = {"name": "x", "scopes": scopes}
        key = await platform.http.post(f"{acme.path}/prod/api-keys", json=made, headers=acme.owner)
        spelled = f"{path}?filter[taskIdentifier]=t"
        headers = bearer(key.json()["apiKey"])
        answer = await platform.http.request(method, spelled, json=body, headers=headers)
        return answer.status_code

    action = scope.partition(":")[0]
    assert await status(scope) not in {401, 403}
    assert await status(f"{action}:tasks:t", f"{action}:tags", f"{action}:queues") == 403
    assert await status("read:deployments") == 403


async def test_a_developer_replaces_the_key_of_his_own_environment_alone(
    platform: Platform, acme: Tenant
) -> None:
    """That of production is an admin's, and so is nobody else's; a viewer replaces none."""

    async def replaced(role: Role, word: str) -> int:
        path, headers = f"{acme.path}/{word}/regenerate-api-key", bearer(acme.tokens[role])
        return (await platform.http.post(path, headers=headers)).status_code

    own = bearer(acme.tokens[Role.DEVELOPER])
    before = (await platform.http.get(f"{acme.path}/dev", headers=own)).json()["apiKey"]
    others = (await platform.http.get(f"{acme.path}/dev", headers=acme.owner)).json()["apiKey"]
    assert await replaced(Role.DEVELOPER, "dev") == 200
    assert (await platform.http.get(f"{acme.path}/dev", headers=own)).json()["apiKey"] != before
    kept = await platform.http.get(f"{acme.path}/dev", headers=acme.owner)
    assert kept.json()["apiKey"] == others
    assert [await replaced(Role.DEVELOPER, word) for word in ("staging", "prod", "preview")] == [
        403,
        403,
        403,
    ]
    assert await replaced(Role.VIEWER, "dev") == 403
    assert await replaced(Role.ADMIN, "prod") == 200


async def test_a_scope_that_is_none_is_refused(platform: Platform, acme: Tenant) -> None:
    """When the key is made, not when it is used."""
    body = {"name": "x", "scopes": ["read runs"]}
    made = await platform.http.post(f"{acme.path}/prod/api-keys", json=body, headers=acme.owner)

    assert (made.status_code, made.json()["code"]) == (422, "INVALID_SCOPE")


async def test_a_replaced_root_key_opens_for_a_day_more(platform: Platform, acme: Tenant) -> None:
    """What it signed holds as long; the new one opens at once."""
    old = bearer(acme.root)
    run = await platform.http.post("/api/v1/tasks/t/trigger", json={}, headers=old)
    token = await platform.http.post("/api/v1/waitpoints/tokens", json={}, headers=old)
    signed = (
        await platform.http.post(
            "/api/v1/auth/jwt",
            json={"claims": {"scopes": ["read:runs"]}, "expirationTime": "2d"},
            headers=old,
        )
    ).json()["token"]
    path = f"/api/v3/runs/{run.json()['id']}"
    answer = await platform.http.post(f"{acme.path}/prod/regenerate-api-key", headers=acme.owner)
    new = bearer(answer.json()["apiKey"])

    async def statuses() -> list[int]:
        return [
            (await platform.http.get(path, headers=headers)).status_code
            for headers in (old, bearer(signed), new)
        ]

    assert await statuses() == [200, 200, 200]
    called = await platform.http.post(token.json()["url"], json={}, headers={"authorization": ""})
    assert called.status_code == 200
    platform.clock.advance(DAY_MS)
    assert await statuses() == [401, 401, 200]


async def test_revoked_public_tokens_open_nothing(platform: Platform, acme: Tenant) -> None:
    """Those signed later do."""
    minted = {"scopes": ["read:runs"]}

    async def mint() -> dict[str, str]:
        answer = await platform.http.post(
            "/api/v1/auth/public-tokens", json=minted, headers=bearer(acme.unrestricted)
        )
        return bearer(answer.json()["token"])

    old = await mint()
    assert (await platform.http.get("/api/v1/runs", headers=old)).status_code == 200
    platform.clock.advance(1000)
    await platform.http.post(f"{acme.path}/prod/revoke-public-tokens", headers=acme.owner)
    platform.clock.advance(1000)
    assert (await platform.http.get("/api/v1/runs", headers=old)).status_code == 401
    assert (await platform.http.get("/api/v1/runs", headers=await mint())).status_code == 200


async def test_a_key_mints_tokens_within_its_scopes(platform: Platform, acme: Tenant) -> None:
    """What exceeds them is named."""
    path, own = "/api/v1/auth/public-tokens", bearer(acme.restricted)
    good = await platform.http.post(path, json={"scopes": ["read:runs:run_1"]}, headers=own)
    bad = await platform.http.post(
        path, json={"scopes": ["read:runs", "write:runs", "admin"]}, headers=own
    )

    assert good.status_code == 200
    assert (bad.status_code, bad.json()["code"]) == (403, "scopes_exceed_key_access")
    assert bad.json()["deniedScopes"] == ["write:runs", "admin"]


@pytest.mark.parametrize(
    ("expiry", "status"),
    [(None, 200), ("15m", 200), ("30d", 200), ("31d", 400), (1, 400), ("soon", 422)],
)
async def test_a_public_token_expires_within_30_days(
    platform: Platform, expiry: str | int | None, status: int
) -> None:
    """A number is a moment, a text a duration."""
    body = {"scopes": ["read:runs"]} | ({} if expiry is None else {"expirationTime": expiry})
    answer = await platform.http.post("/api/v1/auth/public-tokens", json=body)

    assert answer.status_code == status


async def test_two_tokens_for_one_use_of_one_second_are_two(platform: Platform) -> None:
    """Each triggers its run, once."""
    body = {"scopes": ["trigger:tasks:t"], "oneTimeUse": True}
    answers = [await platform.http.post("/api/v1/auth/public-tokens", json=body) for _ in "ab"]
    for answer in answers:
        own = bearer(answer.json()["token"])
        used = [
            (await platform.http.post("/api/v1/tasks/t/trigger", json={}, headers=own)).status_code
            for _ in "ab"
        ]
        assert used == [200, 422]


async def test_a_token_for_one_batch_makes_one(platform: Platform) -> None:
    """Its items may come in several requests."""
    body = {"scopes": ["batchTrigger:tasks:t"], "oneTimeUse": True}
    minted = await platform.http.post("/api/v1/auth/public-tokens", json=body)
    own = bearer(minted.json()["token"])
    wanted = {"runCount": 1, "taskIdentifiers": ["t"]}
    made = await platform.http.post("/api/v3/batches", json=wanted, headers=own)
    items = f"/api/v3/batches/{made.json()['id']}/items"
    lines = own | {"content-type": "application/x-ndjson"}
    foreign = await platform.http.post(items, content='{"index":0,"task":"x"}\n', headers=lines)
    added = await platform.http.post(items, content='{"index":0,"task":"t"}\n', headers=lines)
    again = await platform.http.post("/api/v3/batches", json=wanted, headers=own)

    assert (made.status_code, foreign.status_code, added.json()["sealed"]) == (202, 403, True)
    assert (again.status_code, again.json()["code"]) == (422, "ONE_TIME_TOKEN_USED")


async def test_a_user_acts_in_an_environment_without_its_key(
    platform: Platform, acme: Tenant
) -> None:
    """By a token that is signed for the user; a viewer gets none."""
    path = f"{acme.path}/prod/jwt"
    body = {"claims": {"scopes": ["trigger:tasks:t"]}}
    developer = bearer(acme.tokens[Role.DEVELOPER])
    minted = await platform.http.post(path, json=body, headers=developer)
    own = bearer(minted.json()["token"])
    viewer = bearer(acme.tokens[Role.VIEWER])

    made = await platform.http.post("/api/v1/tasks/t/trigger", json={}, headers=own)
    assert made.status_code == 200
    assert (await platform.http.post(path, json=body, headers=viewer)).status_code == 403
    runs = await platform.http.get("/api/v1/runs", headers=bearer(acme.root))
    assert [one["id"] for one in runs.json()["data"]] == [made.json()["id"]]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_stolen_database_holds_nothing_that_opens(kind: str, tmp_path: Path) -> None:
    """No token and no key, however it was made."""
    address = postgres.emptied_database() if kind == "postgres" else str(tmp_path / "t.db")
    async with serving(address) as platform:
        acme = await settle(platform, "acme")
        group = await platform.server.units.write(_group)
        await platform.http.post(f"{acme.path}/prod/regenerate-api-key", headers=acme.owner)
        secrets = [
            acme.root,
            acme.restricted,
            acme.unrestricted,
            acme.organization_token,
            group,
            platform.server.local.access_token,
            *acme.tokens.values(),
        ]
        stolen = "\n".join(texts_of(address)).encode() if kind == "postgres" else bytes_of(address)

    assert [one for one in secrets if one.encode() in stolen] == []
    assert acme.project.ref.encode() in stolen


def _group(u: Unit) -> str:
    return worker_group.create(u, "group").token


async def test_a_token_for_one_use_makes_no_batch_that_comes_whole(platform: Platform) -> None:
    """It could make any number of them; nor does a token reach a parent that it may not write."""
    body = {"scopes": ["batchTrigger:tasks:t", "trigger:tasks:t"]}
    parent = await platform.trigger("t")

    async def status(once: bool, path: str, items: list[dict[str, object]]) -> int:
        minted = await platform.http.post(
            "/api/v1/auth/public-tokens", json=body | {"oneTimeUse": once}
        )
        own = bearer(minted.json()["token"])
        return (await platform.http.post(path, json={"items": items}, headers=own)).status_code

    for path in ("/api/v1/tasks/batch", "/api/v2/tasks/batch", "/api/v1/tasks/t/batch"):
        assert await status(True, path, [{"task": "t"}]) == 403
        assert await status(False, path, [{"task": "t"}]) in {200, 202}
        child = {"task": "t", "options": {"parentRunId": parent}}
        assert await status(False, path, [child]) == 403
