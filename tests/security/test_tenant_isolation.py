"""Tenant isolation: neither ids in bodies and handles nor an e-mail address lead from one tenant to another.

Ids in paths, workers and rows: ``http/test_permissions.py``.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import postgres
from support.http import Platform, serving
from support.login import PASSWORD, Site, csrf_of, log_in
from support.tenants import Tenant, bearer, settle
from trigger_platform import passwords
from trigger_platform.engine import organization, user
from trigger_platform.engine.role import Role
from trigger_platform.http import setup_link
from trigger_platform.realtime.feed import Feed, Shape
from trigger_platform.realtime.shape import View
from trigger_platform.store import opening

# --- What a body, a query or a handle names --------------------------------------------------------------


@dataclass(frozen=True)
class Two:
    """Two tenants; the second one has a run with a secret in it."""

    platform: Platform
    acme: Tenant
    other: Tenant
    address: str
    run_id: str
    token_id: str
    batch_id: str

    def others(self) -> list[str]:
        """Return every row that is the second one's."""
        with opening.source(self.address) as opened:
            rows = [
                repr(row)
                for table in opened.tables()
                if table.name != "outbox"
                for row in opened.rows(table)
            ]
        mine = self.acme.production.id
        named = (self.other.production.id, self.run_id)
        return sorted(row for row in rows if mine not in row and any(one in row for one in named))


@pytest.fixture(params=["sqlite", "postgres"])
async def two(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Two]:
    """Both on one platform."""
    is_postgres = request.param == "postgres"
    address = postgres.emptied_database() if is_postgres else str(tmp_path / "t.db")
    async with serving(address) as platform:
        acme, other = await settle(platform, "acme"), await settle(platform, "other")
        own = bearer(other.root)

        async def made(path: str, body: dict[str, Any]) -> dict[str, Any]:
            return dict((await platform.http.post(path, json=body, headers=own)).json())

        options = {"tags": ["shared"], "delay": "1d", "metadata": {"their": "secret"}}
        trigger = {"payload": "their secret", "options": options}
        run = await made("/api/v1/tasks/theirs/trigger", trigger)
        token = await made("/api/v1/waitpoints/tokens", {})
        batch = await made("/api/v1/tasks/batch", {"items": [{"task": "theirs"}]})
        yield Two(platform, acme, other, address, run["id"], token["id"], batch["id"])


def _naming(two: Two) -> list[tuple[str, str, dict[str, Any]]]:
    """Requests that the first tenant may make, in which something is the second one's."""
    parent: dict[str, Any] = {"parentRunId": two.run_id}
    waiting = parent | {"resumeParentOnCompletion": True}
    items = [{"task": "t", "options": parent}]
    batch = {"runCount": 1, "parentRunId": two.run_id, "resumeParentOnCompletion": True}
    return [
        ("POST", "/api/v1/tasks/t/trigger", {"options": parent}),
        ("POST", "/api/v1/tasks/t/trigger", {"options": waiting}),
        ("POST", "/api/v1/tasks/batch", {"items": items}),
        ("POST", "/api/v2/tasks/batch", {"items": items}),
        ("POST", "/api/v3/batches", batch),
        ("POST", "/api/v1/bulk-actions", {"action": "cancel", "runIds": [two.run_id]}),
        ("POST", "/api/v1/bulk-actions", {"action": "replay", "runIds": [two.run_id]}),
        ("GET", f"/api/v1/runs?filter[rootRunId]={two.run_id}", {}),
        ("GET", f"/api/v1/runs?page[after]={two.run_id}", {}),
        ("GET", f"/api/v1/runs?filter[batch]={two.batch_id}", {}),
        ("GET", "/api/v1/runs?filter[tag]=shared", {}),
        ("GET", f"/api/v1/waitpoints/tokens?page[before]={two.token_id}", {}),
        ("GET", "/realtime/v1/runs?tags=shared", {}),
    ]


async def test_tenant_isolation_ids_in_bodies_and_queries_lead_nowhere(two: Two) -> None:
    """The answer has nothing of the other, and the other's rows are what they were."""
    before = two.others()
    assert before
    for method, path, body in _naming(two):
        answer = await two.platform.http.request(
            method, path, json=body or None, headers=bearer(two.acme.root)
        )
        assert answer.status_code < 500, path
        assert "secret" not in answer.text, path
        if method == "GET":
            assert two.run_id not in answer.text, path
    await two.platform.sweep()

    assert two.others() == before


async def test_tenant_isolation_a_handle_made_up_for_anothers_run_shows_nothing(two: Two) -> None:
    """Whoever knows how handles are written and the run's id follows an empty shape."""
    own = two.acme.production.id
    for kind, path, name in (
        ("run", f"/realtime/v1/runs/{two.run_id}", two.run_id),
        ("batch", f"/realtime/v1/batches/{two.batch_id}", two.batch_id),
    ):
        for headers in ({}, {"x-trigger-api-version": "2025-07-16"}):
            view = View.of((), is_legacy=not headers)
            for environment_id in (own, two.other.production.id):
                shape = Shape(environment_id, kind, (name,))  # type: ignore[arg-type]
                handle = Feed.name(shape, view, two.platform.clock.now())
                answer = await two.platform.http.get(
                    path,
                    params={"handle": handle, "offset": "0_0"},
                    headers=bearer(two.acme.root) | headers,
                )
                assert answer.status_code < 500
                assert "secret" not in answer.text
                assert all("value" not in one for one in answer.json())


_S3 = {
    "s3_bucket": "bucket",
    "s3_endpoint": "https://s3.example",
    "s3_access_key_id": "k",
    "s3_secret_access_key": "s" * 20,
}


@pytest.mark.parametrize(
    "path",
    [
        "../other/x",
        "a/../../other/x",
        "/other/x",
        "..",
        "a//b",
        "a\\..\\b",
        "a\x00b",
        "./x",
        "x" * 2000,
    ],
)
async def test_tenant_isolation_no_address_is_signed_that_leads_out_of_an_environment(
    path: str,
) -> None:
    """A worker says where its output lies, and a store may take ``..`` for what it says."""
    async with serving(**_S3) as platform:
        await platform.trigger("task")
        [run] = await platform.work("task")
        mark = {"runId": run["runId"], "lease": run["lease"]}
        await platform.report(started=[mark | {"at": platform.clock.now()}])
        stored = {"ok": True, "output": path, "outputType": "application/store"}
        await platform.report(completions=[mark | stored])
        shown = await platform.http.get(f"/api/v3/runs/{run['runId']}")
        assert shown.status_code == 200
        assert "s3.example" not in shown.text


# --- Accounts: an address is nobody's proof --------------------------------------------------------------


async def _add(
    platform: Platform, tenant: Tenant, email: str, role: str = "VIEWER"
) -> httpx.Response:
    path = f"/api/v1/orgs/{tenant.home.id}/members"
    body = {"email": email, "role": role}
    return await platform.http.post(path, json=body, headers=tenant.owner)


async def _role(platform: Platform, tenant: Tenant, user_id: str) -> Role | None:
    return await platform.server.units.read(organization.role_of, tenant.home.id, user_id)


@pytest.mark.parametrize("email", ["local@example.com", "ADMIN@acme.example"])
async def test_tenant_isolation_adding_an_account_gives_no_password_to_it(
    site: Site, email: str
) -> None:
    """Anybody may have an organisation: whoever adds an address is not handed the account.

    Neither that of the user of this machine, nor that of a member elsewhere who has no password yet.
    """
    mallory = await settle(site.platform, "mallory")
    added = await _add(site.platform, mallory, email)

    assert added.status_code == 200
    assert "/setup/" not in added.text
    assert added.json()["isMember"] is False
    assert await _role(site.platform, mallory, added.json()["userId"]) is None


async def test_tenant_isolation_nobody_has_a_link_for_the_user_of_this_machine(site: Site) -> None:
    """Whatever hands one out: it owns what the server began with."""
    units = site.platform.server.units
    link = setup_link.address(units.keys, "", units.clock.now(), user.LOCAL_USER)
    form = {"password": PASSWORD, "csrf": ""}
    assert (await site.platform.http.post(link, data=form)).status_code == 404


async def test_tenant_isolation_an_account_made_in_anothers_name_gets_in_nowhere(
    site: Site,
) -> None:
    """Mallory makes an account of Victim's address, and waits until Acme adds it.

    Without the link that Acme gives to Victim he is no member.
    """
    platform = site.platform
    mallory = await settle(platform, "mallory")
    victim = "victim@acme.example"
    first = await _add(platform, mallory, victim)
    form = {"email": victim, "password": PASSWORD, "csrf": ""}
    assert (await platform.http.post(first.json()["inviteUrl"], data=form)).status_code == 303

    invited = await _add(platform, site.acme, victim, "ADMIN")
    user_id = invited.json()["userId"]
    assert user_id == first.json()["userId"]
    assert await _role(platform, site.acme, user_id) is None
    assert "acme" not in (await platform.http.get("/environments")).text
    assert (await platform.http.get("/join/" + "x" * 32)).status_code == 404


async def test_tenant_isolation_who_has_an_account_joins_by_a_link_once(site: Site) -> None:
    """The link is for that account alone, and asks first; a newer one voids it."""
    platform, acme = site.platform, site.acme
    other = await settle(platform, "other")
    kept = await passwords.hash_of(PASSWORD)
    await platform.server.units.write(user.set_password, acme.users[Role.ADMIN], kept)

    async def invite() -> str:
        answer = await _add(platform, other, "owner@acme.example", "DEVELOPER")
        return httpx.URL(answer.json()["inviteUrl"]).path

    void = await invite()
    link = await invite()
    assert (await platform.http.get(link)).headers["location"] == f"/login?next={link}"
    await log_in(platform, "admin@acme.example")
    assert (await platform.http.get(link)).status_code == 404
    await log_in(platform, "owner@acme.example")
    assert (await platform.http.get(void)).status_code == 404
    assert "developer" in (await platform.http.get(link)).text
    owner = acme.users[Role.OWNER]
    assert await _role(platform, other, owner) is None
    assert (await platform.http.post(link, data={"csrf": ""})).status_code == 403
    csrf = {"csrf": await csrf_of(platform, link)}
    assert (await platform.http.post(link, data=csrf)).status_code == 303
    assert await _role(platform, other, owner) is Role.DEVELOPER
    assert (await platform.http.post(link, data=csrf)).status_code == 404


async def test_tenant_isolation_an_invitation_ends_with_its_day_or_when_it_is_taken_back(
    site: Site,
) -> None:
    """Nothing of it is left then."""
    platform, owner = site.platform, site.acme.users[Role.OWNER]
    other = await settle(platform, "other")
    path = f"/api/v1/orgs/{other.home.id}/members"

    async def invite() -> str:
        answer = await _add(platform, other, "owner@acme.example", "DEVELOPER")
        return httpx.URL(answer.json()["inviteUrl"]).path

    late = await invite()
    platform.clock.advance(86_400_000)
    await log_in(platform, "owner@acme.example")
    assert (await platform.http.get(late)).status_code == 404
    back = await invite()
    assert (await platform.http.delete(f"{path}/{owner}", headers=other.owner)).status_code == 200
    assert (await platform.http.get(back)).status_code == 404


async def test_tenant_isolation_no_role_is_given_by_an_invitation_that_is_above_the_inviters(
    site: Site,
) -> None:
    """An admin invites no owner."""
    other = await settle(site.platform, "other")
    path = f"/api/v1/orgs/{other.home.id}/members"
    body = {"email": "owner@acme.example", "role": "OWNER"}
    asked = await site.platform.http.post(path, json=body, headers=bearer(other.tokens[Role.ADMIN]))
    assert asked.status_code == 403


async def test_tenant_isolation_two_owners_who_remove_each_other_leave_one(
    two_processes: tuple[Site, Site],
) -> None:
    """At the same moment, through two processes."""
    one, other = two_processes
    acme, write = one.acme, one.platform.server.units.write
    pair = (acme.users[Role.OWNER], acme.users[Role.ADMIN])
    tokens = (acme.tokens[Role.OWNER], acme.tokens[Role.ADMIN])
    for removes in ("DELETE", "PUT") * 4:
        for user_id in pair:
            await write(organization.admit, acme.home.id, user_id, Role.OWNER)
        answers = await asyncio.gather(
            *(
                site.platform.http.request(
                    removes,
                    f"/api/v1/orgs/{acme.home.id}/members/{victim}",
                    json={"role": "VIEWER"} if removes == "PUT" else None,
                    headers=bearer(token),
                )
                for site, victim, token in zip((one, other), reversed(pair), tokens, strict=True)
            )
        )
        members = await one.platform.server.units.read(organization.members, acme.home.id)
        roles = Counter(member.role for member in members)
        assert roles["OWNER"] >= 1, (removes, [answer.text for answer in answers])


async def test_tenant_isolation_a_link_for_a_first_password_is_good_once_in_all_processes(
    two_processes: tuple[Site, Site],
) -> None:
    """Of two that use it at the same moment one is let in."""
    one, other = two_processes
    url = await setup_link.for_first_admin(one.platform.server)
    assert url is not None
    answers = await asyncio.gather(
        *(
            site.platform.http.post(
                url, data={"email": f"{n}@example.com", "password": PASSWORD, "csrf": ""}
            )
            for n, site in enumerate((one, other))
        )
    )
    assert Counter(answer.status_code for answer in answers) == {303: 1, 404: 1}
    assert json.dumps([answer.text for answer in answers]).count("not good any more") == 1
