"""Logging in: passwords, sessions, forms, first admins, and command lines that a user lets in."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from support.http import Platform, serving
from support.login import ORIGIN, PASSWORD, csrf_of, give_passwords, log_in
from support.tenants import Tenant, bearer, settle
from trigger_platform import passwords
from trigger_platform.engine import user
from trigger_platform.engine.role import Role
from trigger_platform.http import setup_link


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with serving(login=True) as platform:
        del platform.http.headers["authorization"]
        yield platform


@pytest.fixture
async def acme(platform: Platform) -> Tenant:
    tenant = await settle(platform, "acme")
    await give_passwords(platform, tenant)
    return tenant


async def test_a_page_asks_to_log_in_and_comes_back(platform: Platform, acme: Tenant) -> None:
    """The cookie is out of reach of scripts and of other sites."""
    asked = await platform.http.get("/runs/run_x")
    done = await log_in(platform, "OWNER@acme.example", place="/environments")
    cookie = done.headers["set-cookie"]

    assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=/runs/run_x")
    assert (done.status_code, done.headers["location"]) == (303, "/environments")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    page = await platform.http.get("/environments")
    assert "acme&#39;s" in page.text
    assert (await platform.http.get("/")).status_code == 200


@pytest.mark.parametrize("place", ["https://evil.example", "//evil.example", "/\\evil.example"])
async def test_a_login_leads_to_no_other_site(platform: Platform, acme: Tenant, place: str) -> None:
    """Whatever the address said."""
    assert (await log_in(platform, "owner@acme.example", place=place)).headers["location"] == "/"


async def test_a_public_servers_cookie_needs_encryption() -> None:
    """Where the address is one of https."""
    async with serving(login=True, public_url="https://t.example") as platform:
        await settle(platform, "acme")
        kept = await passwords.hash_of(PASSWORD)
        found = await platform.server.units.read(user.by_email, "owner@acme.example")
        assert found is not None
        await platform.server.units.write(user.set_password, found.id, kept)
        done = await log_in(platform, "owner@acme.example")

        assert "Secure" in done.headers["set-cookie"]


async def test_a_wrong_password_and_an_unknown_address_read_the_same(
    platform: Platform, acme: Tenant
) -> None:
    """And after five failures even the right one has to wait."""
    wrong = await log_in(platform, "owner@acme.example", "wrong wrong wrong")
    unknown = await log_in(platform, "nobody@acme.example", "wrong wrong wrong")

    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert "set-cookie" not in wrong.headers
    assert wrong.text.replace("owner@", "nobody@") == unknown.text
    for _ in range(4):
        await log_in(platform, "owner@acme.example", "wrong wrong wrong")
    assert (await log_in(platform, "owner@acme.example")).status_code == 429
    assert (await log_in(platform, "admin@acme.example")).status_code == 303
    platform.clock.advance(15 * 60_000)
    assert (await log_in(platform, "owner@acme.example")).status_code == 303


async def test_a_session_ends_by_logging_out_by_time_and_by_a_new_password(
    platform: Platform, acme: Tenant
) -> None:
    """On the server: the cookie alone opens nothing then."""

    async def is_in() -> bool:
        return (await platform.http.get("/environments")).status_code == 200

    await log_in(platform, "owner@acme.example")
    form = {"csrf": await csrf_of(platform, "/environments")}
    cookies = dict(platform.http.cookies)
    assert (await platform.http.post("/logout", data=form)).status_code == 303
    platform.http.cookies.update(cookies)
    assert not await is_in()
    platform.http.cookies.clear()
    await log_in(platform, "owner@acme.example")
    assert await is_in()
    platform.clock.advance(7 * 86_400_000)
    assert not await is_in()
    await log_in(platform, "owner@acme.example")
    kept = await passwords.hash_of(PASSWORD)
    await platform.server.units.write(user.set_password, acme.users[Role.OWNER], kept)
    assert not await is_in()


async def test_a_form_of_another_page_changes_nothing(platform: Platform, acme: Tenant) -> None:
    """Without the session's mark, with a wrong one, or sent from elsewhere."""
    await log_in(platform, "owner@acme.example")
    made = await platform.http.post("/api/v1/tasks/t/trigger", json={}, headers=bearer(acme.root))
    run_id = made.json()["id"]
    path = f"/runs/{run_id}"
    csrf = await csrf_of(platform, path)
    cross = {"sec-fetch-site": "cross-site"}
    for data, headers in (({}, {}), ({"csrf": "x"}, {}), ({"csrf": csrf}, cross)):
        answer = await platform.http.post(f"{path}/cancel", data=data, headers=headers)
        assert answer.status_code == 403
    foreign = {"origin": "http://evil.example"}
    answer = await platform.http.post(f"{path}/cancel", data={"csrf": csrf}, headers=foreign)
    assert answer.status_code == 403
    own = await platform.http.post(f"{path}/cancel", data={"csrf": csrf}, headers=ORIGIN)
    assert own.status_code == 303


async def test_a_user_looks_at_what_he_may_see_alone(platform: Platform, acme: Tenant) -> None:
    """Another tenant's run is not there, and a viewer presses nothing."""
    other = await settle(platform, "other")
    made = await platform.http.post("/api/v1/tasks/t/trigger", json={}, headers=bearer(other.root))
    await log_in(platform, "viewer@acme.example")
    form = {"csrf": await csrf_of(platform, "/environments"), "environment": other.production.id}
    await platform.http.post("/environments", data=form, headers=ORIGIN)

    page = await platform.http.get("/")
    assert made.json()["id"] not in page.text
    assert (await platform.http.get(f"/runs/{made.json()['id']}")).status_code == 404
    own = await platform.http.post("/api/v1/tasks/t/trigger", json={}, headers=bearer(acme.root))
    pressed = await platform.http.post(f"/runs/{own.json()['id']}/cancel", data=form)
    assert pressed.status_code == 403


async def test_the_first_admin_comes_by_a_link_that_is_good_once(platform: Platform) -> None:
    """He owns what the server began with."""
    url = await setup_link.for_first_admin(platform.server)
    assert url is not None
    short = await platform.http.post(
        url, data={"email": "a@example.com", "password": "short", "csrf": ""}
    )
    form = {"email": "a@example.com", "password": PASSWORD, "csrf": ""}
    done = await platform.http.post(url, data=form)

    assert (short.status_code, done.status_code) == (400, 303)
    assert (await platform.http.get("/")).status_code == 200
    assert (await platform.http.get(url)).status_code == 404
    assert (await platform.http.post(url, data=form)).status_code == 404
    assert await setup_link.for_first_admin(platform.server) is None


async def test_a_link_is_good_for_a_day_and_cannot_be_made_up(platform: Platform) -> None:
    """It is sealed."""
    url = await setup_link.for_first_admin(platform.server)
    assert url is not None
    for wrong in ("/setup/00ff", "/setup/zz", url[:-2] + ("00" if url[-2:] != "00" else "11")):
        assert (await platform.http.get(wrong)).status_code == 404
    platform.clock.advance(86_400_000)
    assert (await platform.http.get(url)).status_code == 404


async def test_a_member_who_is_new_chooses_a_password(platform: Platform, acme: Tenant) -> None:
    """By the address that his admin was given; then the organisation's projects are his to see."""
    added = await platform.http.post(
        f"/api/v1/orgs/{acme.home.id}/members",
        json={"email": "new@example.com", "role": "VIEWER"},
        headers=acme.owner,
    )
    url = added.json()["inviteUrl"]
    form = {"email": "other@example.com", "password": PASSWORD, "csrf": ""}
    assert (await platform.http.post(url, data=form)).status_code == 303
    assert "acme&#39;s" in (await platform.http.get("/environments")).text
    assert (await platform.http.get(url)).status_code == 404
    assert (await log_in(platform, "new@example.com")).status_code == 303


async def test_a_user_lets_a_command_line_in(platform: Platform, acme: Tenant) -> None:
    """It fetches its token once; before that there is none, and the page says where it asked from."""
    asked = (await platform.http.post("/api/v1/authorization-code")).json()
    body = {"authorizationCode": asked["authorizationCode"]}
    path = httpx.URL(asked["url"]).path

    async def fetch() -> httpx.Response:
        return await platform.http.post("/api/v1/token", json=body)

    assert (await fetch()).json() == {"token": None}
    assert (await platform.http.get(path)).headers["location"] == f"/login?next={path}"
    await log_in(platform, "developer@acme.example")
    page = await platform.http.get(path)
    assert "127.0.0.1" in page.text
    assert (await fetch()).json() == {"token": None}
    csrf = {"csrf": await csrf_of(platform, path)}
    assert (await platform.http.post(path, data=csrf)).status_code == 200
    token = (await fetch()).json()["token"]
    who = await platform.http.get("/api/v2/whoami", headers=bearer(token["token"]))
    assert who.json()["userId"] == acme.users[Role.DEVELOPER]
    assert token["obfuscatedToken"].startswith(token["token"][:11])
    again = await fetch()
    assert (again.status_code, again.json()["error"]) == (
        400,
        "Invalid authorization code, or code expired",
    )


async def test_a_code_is_good_for_ten_minutes_and_a_body_is_needed(platform: Platform) -> None:
    """The statuses are those that the official command line wants."""
    asked = (await platform.http.post("/api/v1/authorization-code")).json()
    platform.clock.advance(10 * 60_000)
    late = await platform.http.post(
        "/api/v1/token", json={"authorizationCode": asked["authorizationCode"]}
    )
    bad = await platform.http.post("/api/v1/token", content="nonsense")

    assert (late.status_code, bad.status_code) == (400, 422)


async def test_nobody_logs_in_to_a_platform_of_this_machine_alone() -> None:
    """Under ``trigger dev`` the user of this machine looks, and lets his command line in."""
    async with serving() as platform:
        asked = (await platform.http.post("/api/v1/authorization-code")).json()
        path = httpx.URL(asked["url"]).path
        assert (await platform.http.post(path, data={"csrf": ""})).status_code == 200
        fetched = await platform.http.post(
            "/api/v1/token", json={"authorizationCode": asked["authorizationCode"]}
        )
        who = await platform.http.get(
            "/api/v2/whoami", headers=bearer(fetched.json()["token"]["token"])
        )
        assert who.json()["userId"] == "user_local"
