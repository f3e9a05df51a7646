"""Organisations, members, projects, environments and branches over HTTP."""

from __future__ import annotations

import pytest

from support.http import PROJECT, Platform
from support.tenants import Tenant, bearer, settle
from trigger_platform.engine import organization, worker_group
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit


@pytest.fixture
async def acme(platform: Platform) -> Tenant:
    return await settle(platform, "acme")


async def test_a_user_makes_an_organisation_and_a_project(platform: Platform) -> None:
    """He owns the one, and the other has environments as soon as they are used."""
    own = bearer(platform.server.local.access_token)
    home = await platform.http.post("/api/v1/orgs", json={"title": "Big & Co"}, headers=own)
    slug = home.json()["slug"]
    made = await platform.http.post(
        f"/api/v1/orgs/{slug}/projects", json={"name": "Shop"}, headers=own
    )
    ref = made.json()["externalRef"]
    listed = await platform.http.get(f"/api/v1/orgs/{home.json()['id']}/projects", headers=own)

    assert (home.status_code, home.json()["title"]) == (201, "Big & Co")
    assert slug.startswith("big-co-")
    assert made.json()["organization"]["slug"] == slug
    assert [one["externalRef"] for one in listed.json()] == [ref]
    assert ref.startswith("proj_")
    key = (await platform.http.get(f"/api/v1/projects/{ref}/prod", headers=own)).json()["apiKey"]
    assert key.startswith("tr_prod_")
    found = await platform.http.get(f"/api/v1/projects/{ref}/environments", headers=own)
    assert [(one["slug"], one["isBranchableEnvironment"]) for one in found.json()] == [
        ("prod", False)
    ]
    assert found.json()[0]["branchName"] is None
    everything = await platform.http.get("/api/v1/projects", headers=own)
    assert {one["externalRef"] for one in everything.json()} == {PROJECT, ref}


async def test_a_project_is_renamed_set_up_and_removed(platform: Platform, acme: Tenant) -> None:
    """Nothing opens what was removed."""
    renamed = await platform.http.patch(acme.path, json={"name": "New"}, headers=acme.owner)
    first = await platform.http.post(f"{acme.path}/init", headers=acme.owner)
    platform.clock.advance(1000)
    again = await platform.http.post(f"{acme.path}/init", headers=acme.owner)
    run = await platform.http.post("/api/v1/tasks/t/trigger", json={}, headers=bearer(acme.root))
    gone = await platform.http.delete(acme.path, headers=acme.owner)

    assert renamed.json() == {"id": acme.project.id, "name": "New"}
    assert first.json()["initializedAt"] == again.json()["initializedAt"]
    assert (run.status_code, gone.json()) == (200, {"id": acme.project.id})
    assert (await platform.http.get(acme.path, headers=acme.owner)).status_code == 404
    for key in (acme.root, acme.restricted, run.headers["x-trigger-jwt"]):
        answer = await platform.http.get(f"/api/v3/runs/{run.json()['id']}", headers=bearer(key))
        assert answer.status_code == 401


async def test_members_come_change_and_go(platform: Platform, acme: Tenant) -> None:
    """Nobody gives a role above his own; an owner stays."""
    path = f"/api/v1/orgs/{acme.home.id}/members"
    admin = bearer(acme.tokens[Role.ADMIN])
    body = {"email": "New@Example.com", "role": "VIEWER"}
    added = await platform.http.post(path, json=body, headers=admin)
    again = await platform.http.post(path, json=body, headers=admin)
    user_id = added.json()["userId"]
    listed = (await platform.http.get(path, headers=admin)).json()["members"]

    assert (added.status_code, again.status_code) == (200, 409)
    assert again.headers["x-should-retry"] == "false"
    assert "new@example.com" in [one["email"] for one in listed]
    one, owner = f"{path}/{user_id}", f"{path}/{acme.users[Role.OWNER]}"
    higher = await platform.http.put(one, json={"role": "OWNER"}, headers=admin)
    lower = await platform.http.put(owner, json={"role": "VIEWER"}, headers=admin)
    last = await platform.http.put(owner, json={"role": "VIEWER"}, headers=acme.owner)
    changed = await platform.http.put(one, json={"role": "DEVELOPER"}, headers=admin)
    assert (higher.status_code, lower.status_code) == (403, 403)
    assert (last.status_code, last.json()["code"]) == (409, "LAST_OWNER")
    assert changed.json()["role"] == "DEVELOPER"
    left = await platform.http.delete(one, headers=admin)
    assert user_id not in [one["userId"] for one in left.json()["members"]]
    assert (await platform.http.delete(one, headers=admin)).status_code == 404


async def test_who_leaves_takes_no_key_along(platform: Platform, acme: Tenant) -> None:
    """Neither his token nor the key of his development opens the project; both do when he comes back."""
    own = bearer(acme.tokens[Role.DEVELOPER])
    key = (await platform.http.get(f"{acme.path}/dev", headers=own)).json()["apiKey"]
    bob = acme.users[Role.DEVELOPER]
    assert (await platform.http.get("/api/v1/runs", headers=bearer(key))).status_code == 200
    await platform.http.delete(f"/api/v1/orgs/{acme.home.id}/members/{bob}", headers=acme.owner)

    assert (await platform.http.get(acme.path, headers=own)).status_code == 404
    assert (await platform.http.get("/api/v1/runs", headers=bearer(key))).status_code == 401
    await platform.server.units.write(organization.admit, acme.home.id, bob, Role.DEVELOPER)
    assert (await platform.http.get(f"{acme.path}/dev", headers=own)).json()["apiKey"] == key


async def test_branches_are_made_listed_and_archived(platform: Platform, acme: Tenant) -> None:
    """An archived one opens nothing and comes back when it is made again."""
    path = f"{acme.path}/branches"
    body = {"env": "preview", "branch": "feature/x", "git": {"commitSha": "abc"}}
    made = await platform.http.post(path, json=body, headers=acme.owner)
    key = (await platform.http.get(f"{acme.path}/preview", headers=acme.owner)).json()["apiKey"]
    own = bearer(key, **{"x-trigger-branch": "feature/x"})
    [listed] = (await platform.http.get(path, headers=acme.owner)).json()["branches"]

    assert (listed["id"], listed["name"]) == (made.json()["id"], "feature/x")
    assert (listed["git"], listed["isPaused"]) == ({"commitSha": "abc"}, False)
    assert (await platform.http.get("/api/v1/runs", headers=own)).status_code == 200
    by_key = await platform.http.post(path, json=body, headers=bearer(key))
    assert by_key.json() == made.json()
    archive = {"env": "preview", "branch": "feature/x"}
    gone = await platform.http.post(f"{path}/archive", json=archive, headers=acme.owner)
    again = await platform.http.post(f"{path}/archive", json=archive, headers=acme.owner)
    assert gone.json() == {"success": True, "branch": made.json()}
    assert again.status_code == 400
    assert (await platform.http.get("/api/v1/runs", headers=own)).status_code == 401
    assert (await platform.http.get(path, headers=acme.owner)).json() == {"branches": []}
    back = await platform.http.post(path, json=body, headers=acme.owner)
    assert back.json() == made.json()
    assert (await platform.http.get("/api/v1/runs", headers=own)).status_code == 200


@pytest.mark.parametrize(
    ("env", "branch", "who", "status"),
    [
        ("preview", "default", "owner", 400),
        ("development", "mine", "owner", 200),
        ("development", "mine", "organisation", 400),
        ("preview", "x", "production key", 400),
        ("preview", "x", "viewer", 403),
        ("staging", "x", "owner", 400),
    ],
)
async def test_a_branch_needs_a_parent_that_has_some(
    platform: Platform, acme: Tenant, env: str, branch: str, who: str, status: int
) -> None:
    """Development is a user's; a key has branches of its own environment alone."""
    headers = {
        "owner": acme.owner,
        "organisation": bearer(acme.organization_token),
        "production key": bearer(acme.root),
        "viewer": bearer(acme.tokens[Role.VIEWER]),
    }[who]
    body = {"env": env, "branch": branch}
    answer = await platform.http.post(f"{acme.path}/branches", json=body, headers=headers)

    assert answer.status_code == status, answer.text


async def test_dev_status_is_about_the_callers_own_session(
    platform: Platform, acme: Tenant
) -> None:
    """The worker of somebody else does not count."""
    local = bearer(platform.server.local.access_token)
    path = f"/api/v1/projects/{PROJECT}/dev-status"
    before = (await platform.http.get(path, headers=local)).json()
    await platform.work("task")
    after = (await platform.http.get(path, headers=local)).json()
    foreign = (await platform.http.get(f"{acme.path}/dev-status", headers=acme.owner)).json()

    assert (before, after, foreign) == (
        {"isConnected": False},
        {"isConnected": True},
        {"isConnected": False},
    )


async def test_there_is_no_news(platform: Platform, acme: Tenant) -> None:
    """The key is there: the official command line wants it."""
    answer = await platform.http.get("/api/v1/platform-notifications", headers=acme.owner)

    assert answer.json() == {"notification": None}


async def test_worker_groups_are_the_server_admins(platform: Platform, acme: Tenant) -> None:
    """The token is shown once; another admin of some organisation is none of the server."""
    user_id = acme.users[Role.OWNER]
    body = {"name": "big machines"}
    refused = await platform.http.post("/api/v1/workers", json=body, headers=acme.owner)

    def promote(u: Unit) -> None:
        u.tx.run("user_admin", id=user_id, is_admin=1)

    await platform.server.units.write(promote)
    made = await platform.http.post("/api/v1/workers", json=body, headers=acme.owner)
    listed = await platform.http.get("/api/v1/workers", headers=acme.owner)
    token = made.json()["token"]["plaintext"]

    assert (refused.status_code, made.status_code) == (403, 201)
    assert token.startswith("tr_wgt_")
    assert [one["name"] for one in listed.json()] == ["big machines"]
    found = await platform.server.units.read(worker_group.by_token, token)
    assert found is not None
    assert found.name == "big machines"


async def test_the_token_of_a_worker_group_is_replaced_and_taken_away(
    platform: Platform, acme: Tenant
) -> None:
    """At once: the one before opens nothing; the name may have anything in it."""

    async def opens(token: str) -> bool:
        return await platform.server.units.read(worker_group.by_token, token) is not None

    def promote(u: Unit) -> None:
        u.tx.run("user_admin", id=acme.users[Role.OWNER], is_admin=1)

    await platform.server.units.write(promote)
    http, own = platform.http, acme.owner
    tokens = {}
    for name in ("eu/big machines", "eu"):
        made = await http.post("/api/v1/workers", json={"name": name}, headers=own)
        tokens[name] = made.json()["token"]["plaintext"]
    path = "/api/v1/workers/eu%2Fbig%20machines"
    rotated = await http.post(f"{path}/rotate-token", headers=own)
    second = rotated.json()["token"]["plaintext"]

    assert rotated.status_code == 200
    assert rotated.headers["cache-control"] == "no-store"
    assert rotated.json()["workerGroup"] == {"name": "eu/big machines"}
    assert not await opens(tokens["eu/big machines"])
    assert await opens(second)
    gone = await http.delete(path, headers=own)
    assert (gone.status_code, gone.json()) == (200, {"name": "eu/big machines"})
    assert not await opens(second)
    assert await opens(tokens["eu"])
    for answer in (
        await http.delete(path, headers=own),
        await http.post(f"{path}/rotate-token", headers=own),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "WORKER_GROUP_NOT_FOUND")
    listed = await http.get("/api/v1/workers", headers=own)
    assert [one["name"] for one in listed.json()] == ["eu"]
