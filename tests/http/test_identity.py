"""Whose a project is, which environment a path names, and which one a branch is."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import pytest

from support.http import PROJECT, Platform
from trigger_core.jwt import sign
from trigger_platform.engine import access_token, environment, organization, project, user
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, ProjectRow

LOCAL = f"/api/v1/projects/{PROJECT}"


@dataclass(frozen=True)
class Tenant:
    """An organisation of somebody else, with a project."""

    project: ProjectRow
    production: EnvironmentRow
    token: str
    user_id: str

    @property
    def path(self) -> str:
        return f"/api/v1/projects/{self.project.ref}"


async def _settle(platform: Platform) -> Tenant:
    def work(u: Unit) -> Tenant:
        person = user.create(u, "bob@example.com")
        home = organization.create(u, "Bob's", person.id)
        made = project.create(u, home.id, "shop")
        token = access_token.create(u, "laptop", person.id).token
        return Tenant(made, environment.shared(u, made, "prod"), token, person.id)

    return await platform.server.units.write(work)


def _as(token: str, **headers: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} | headers


async def test_each_user_has_an_environment_of_development(platform: Platform) -> None:
    """Two users of one project have two keys; the shared ones are the same."""
    bob = await _settle(platform)
    home = platform.server.local.project.organization_id
    await platform.server.units.write(organization.admit, home, bob.user_id, Role.DEVELOPER)
    mine, his = _as(platform.server.local.access_token), _as(bob.token)

    async def key(headers: dict[str, str], env: str) -> str:
        answer = await platform.http.get(f"{LOCAL}/{env}", headers=headers)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["apiKey"])

    assert await key(mine, "dev") == platform.key
    assert await key(his, "dev") == await key(his, "dev") != platform.key
    assert (await key(his, "dev")).startswith("tr_dev_")
    assert await key(his, "prod") == await key(mine, "prod")
    assert (await key(his, "staging")).startswith("tr_stg_")


async def test_who_is_no_member_finds_no_project(platform: Platform) -> None:
    """Whatever the route; nothing is changed, nothing is made."""
    bob = await _settle(platform)
    stranger, his = _as(platform.server.local.access_token), _as(bob.token)
    for method, path in (("GET", "/dev"), ("GET", "/prod"), ("POST", "/prod/pause")):
        answer = await platform.http.request(method, bob.path + path, headers=stranger)
        assert (answer.status_code, answer.json()["error"]) == (404, "Project not found")
    found = await platform.server.units.read(environment.find_shared, bob.project, "prod")

    assert found == bob.production
    missing = await platform.http.get("/api/v1/projects/proj_none/dev", headers=his)
    assert missing.json()["error"] == "Project not found"


async def test_a_key_opens_its_own_environment_alone(platform: Platform) -> None:
    """Also where a path names another."""
    bob = await _settle(platform)
    his = _as(platform.server.secret_key_of(bob.production))
    run_id = await platform.trigger("mine")

    assert (await platform.http.get(f"/api/v3/runs/{run_id}", headers=his)).status_code == 404
    assert (await platform.http.get(f"{bob.path}/prod", headers=his)).json()[
        "apiKey"
    ] == platform.server.secret_key_of(bob.production)
    assert (await platform.http.get(f"{bob.path}/dev", headers=his)).status_code == 404
    answer = await platform.http.get(f"{LOCAL}/prod", headers=his)
    assert (answer.status_code, answer.json()["error"]) == (404, "Project not found")


@pytest.mark.parametrize(
    ("role", "read", "paused"),
    [(Role.VIEWER, 403, 403), (Role.DEVELOPER, 200, 403), (Role.ADMIN, 200, 200)],
)
async def test_a_role_decides_what_a_member_may_do(
    platform: Platform, role: Role, read: int, paused: int
) -> None:
    """A viewer does not get keys, a developer does not stop an environment."""
    bob = await _settle(platform)
    home = platform.server.local.project.organization_id
    await platform.server.units.write(organization.admit, home, bob.user_id, role)
    his = _as(bob.token)

    assert (await platform.http.get(f"{LOCAL}/dev", headers=his)).status_code == read
    assert (await platform.http.post(f"{LOCAL}/prod/pause", headers=his)).status_code == paused


async def test_a_branch_is_an_environment_of_its_own_behind_its_parents_key(
    platform: Platform,
) -> None:
    """The header names it; one that does not exist opens nothing, ``default`` is none."""
    parent = platform.server.local.environment
    branch = await platform.server.units.write(environment.create_branch, parent, "feature/x")
    headers = {"x-trigger-branch": " feature/x "}
    made = await platform.http.post("/api/v1/tasks/t/trigger", json={}, headers=headers)
    path = f"/api/v3/runs/{made.json()['id']}"

    assert (await platform.http.get(path, headers=headers)).status_code == 200
    assert (await platform.http.get(path)).status_code == 404
    default = {"x-trigger-branch": "default"}
    assert (await platform.http.get(path, headers=default)).status_code == 404
    unknown = {"x-trigger-branch": "feature/y"}
    assert (await platform.http.get(path, headers=unknown)).status_code == 401
    claims = json.loads(made.headers["x-trigger-jwt-claims"])
    now_ms = round(time.time() * 1000)
    public = _as(sign(claims, platform.key, now_ms=now_ms, life_ms=60_000))
    assert (await platform.http.get(path, headers=public)).status_code == 200
    assert platform.server.secret_key_of(branch) != platform.key


async def test_a_callback_of_a_branch_completes_its_token(platform: Platform) -> None:
    """Address and check go by the same key."""
    parent = platform.server.local.environment
    await platform.server.units.write(environment.create_branch, parent, "b")
    headers = {"x-trigger-branch": "b"}
    made = (await platform.http.post("/api/v1/waitpoints/tokens", json={}, headers=headers)).json()
    called = await platform.http.post(made["url"], json={}, headers={"authorization": ""})

    assert called.status_code == 200, called.text
    found = await platform.http.get(f"/api/v1/waitpoints/tokens/{made['id']}", headers=headers)
    assert found.json()["status"] == "COMPLETED"


async def test_whoami_names_the_user_and_a_project_he_may_see(platform: Platform) -> None:
    """Of another's it says nothing."""
    bob = await _settle(platform)
    his = _as(bob.token)
    seen = await platform.http.get(f"/api/v2/whoami?projectRef={bob.project.ref}", headers=his)
    unseen = await platform.http.get(f"/api/v2/whoami?projectRef={PROJECT}", headers=his)

    assert (seen.json()["userId"], seen.json()["email"]) == (bob.user_id, "bob@example.com")
    assert (seen.json()["project"]["name"], seen.json()["project"]["orgTitle"]) == ("shop", "Bob's")
    assert "project" not in unseen.json()


async def test_the_database_does_not_hold_a_users_token(platform: Platform) -> None:
    """Neither the local one."""
    token = platform.server.local.access_token

    def held(u: Unit) -> list[str]:
        return [
            table
            for table in ("access_token", "setting")
            for row in u.tx._connection.execute(f"select * from {table}")  # noqa: S608 - fixed names
            if any(token[7:] in str(value) for value in row)
        ]

    assert await platform.server.units.read(held) == []
