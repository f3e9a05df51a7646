"""Scope checks per verb: what changes something needs a right to change it, on every route.

The whole matrix, role by route and credential by route: ``http/test_permissions.py``.
"""

from __future__ import annotations

from typing import Any

import pytest

from support.http import Platform
from support.tenants import Tenant, bearer, settle
from trigger_core.jwt import sign
from trigger_platform.app import ENDPOINTS
from trigger_platform.engine.role import Role
from trigger_platform.http.access import Access, Credential
from trigger_platform.http.endpoint import Endpoint

CHANGING = [one for one in ENDPOINTS if one.method not in {"GET", "HEAD"}]
_MEMBERS = {Credential.USER_TOKEN, Credential.ORGANIZATION_TOKEN, Credential.BROWSER}
OF_ONESELF = {
    "/api/v1/access-tokens",
    "/api/v1/access-tokens/{id}",
    "/api/v1/orgs",
    "/account/authorization-code/{code}",
    "/environments",
    "/join/{link}",
    "/logout",
}
"""What a user changes of his own, whatever his roles are."""

ONLY_ASKING = {"/api/v1/auth/jwt/claims"}


@pytest.mark.parametrize("one", CHANGING, ids=lambda one: f"{one.method} {one.path}")
def test_scope_checks_per_verb_no_right_to_read_changes_anything(one: Endpoint) -> None:
    """Neither a scope that reads, nor the role of who only looks."""
    rule = one.access.value
    if rule.need is not None:
        assert rule.need.action != "read"
    if rule.takes & _MEMBERS and one.path not in OF_ONESELF and not rule.is_admins:
        assert rule.least_role("dev") >= Role.DEVELOPER


def test_scope_checks_per_verb_a_route_has_its_rule_from_the_one_table() -> None:
    """There is no route without, and no rule beside the table."""
    assert {one.access for one in ENDPOINTS} <= set(Access)


@pytest.fixture
async def acme(platform: Platform) -> Tenant:
    return await settle(platform, "acme")


def _token(platform: Platform, acme: Tenant, *scopes: str) -> dict[str, str]:
    claims: dict[str, Any] = {"sub": acme.production.id, "pub": True, "scopes": list(scopes)}
    now = platform.clock.now()
    return bearer(sign(claims, acme.root, now_ms=now, life_ms=60_000))


async def _runs(platform: Platform, headers: dict[str, str], query: str) -> tuple[int, str]:
    answer = await platform.http.get(f"/api/v1/runs?{query}", headers=headers)
    return answer.status_code, answer.text


TASK, TAG = "filter[taskIdentifier]", "filter[tag]"


@pytest.mark.parametrize(
    ("query", "is_let_in"),
    [
        (f"{TASK}=mine", True),
        (f"{TASK}=mine&{TASK}=mine", True),
        ("", False),
        (f"{TASK}=", False),
        (f"{TASK}=secret", False),
        (f"{TASK}=mine,secret", False),
        (f"{TASK}=secret&{TASK}=mine", False),
        (f"{TASK}=mine&{TASK}=secret", False),
        (f"{TASK}=,&{TASK}=", False),
        (f"{TASK}=%20mine", False),
        (f"{TAG}=mine", False),
        (f"{TASK}=MINE", False),
    ],
)
async def test_scope_checks_per_verb_a_list_is_narrowed_to_what_the_scope_names(
    platform: Platform, acme: Tenant, query: str, is_let_in: bool
) -> None:
    """However the filter is written: what is asked about is what is read."""
    for task in ("mine", "secret"):
        await platform.http.post(
            f"/api/v1/tasks/{task}/trigger", json={}, headers=bearer(acme.root)
        )
    status, text = await _runs(platform, _token(platform, acme, "read:tasks:mine"), query)

    assert status == (200 if is_let_in else 403)
    assert "secret" not in text


async def test_scope_checks_per_verb_a_token_names_no_parent_that_it_may_not_write(
    platform: Platform, acme: Tenant
) -> None:
    """Triggering a task is no right to hang it under another run, or to let that one wait."""
    own = bearer(acme.root)
    made = await platform.http.post("/api/v1/tasks/theirs/trigger", json={}, headers=own)
    parent = made.json()["id"]
    one = {"options": {"parentRunId": parent, "resumeParentOnCompletion": True}}
    batch = {"items": [{"task": "mine"} | one]}
    two_phases = {"runCount": 1, "parentRunId": parent}
    token = _token(platform, acme, "trigger:tasks:mine", "batchTrigger:tasks")
    for path, body in (
        ("/api/v1/tasks/mine/trigger", one),
        ("/api/v1/tasks/batch", batch),
        ("/api/v2/tasks/batch", batch),
        ("/api/v3/batches", two_phases),
    ):
        answer = await platform.http.post(path, json=body, headers=token)
        assert answer.status_code == 403, path


async def test_scope_checks_per_verb_replaying_and_canceling_are_writing(
    platform: Platform, acme: Tenant
) -> None:
    """Whoever may read a run may not have it executed again."""
    own = bearer(acme.root)
    run = (await platform.http.post("/api/v1/tasks/t/trigger", json={}, headers=own)).json()["id"]
    reader = _token(platform, acme, "read:runs", f"read:runs:{run}", "read:all")
    for path in (f"/api/v1/runs/{run}/replay", f"/api/v2/runs/{run}/cancel"):
        assert (await platform.http.post(path, headers=reader)).status_code == 403
    assert (await platform.http.get(f"/api/v3/runs/{run}", headers=reader)).status_code == 200
