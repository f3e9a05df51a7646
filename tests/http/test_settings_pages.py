"""Pages for who runs a platform: variables, keys, members, access tokens."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from support.http import Platform, serving
from support.login import ORIGIN, csrf_of, give_passwords, log_in
from support.tenants import Tenant, bearer, settle
from trigger_platform.engine.role import Role

_MADE = re.compile(r'<section class="made".*?<code>(.*?)</code>', re.DOTALL)


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """A server that one has to log in to."""
    async with serving(login=True) as platform:
        del platform.http.headers["authorization"]
        yield platform


@pytest.fixture
async def acme(platform: Platform) -> Tenant:
    """A tenant whose people have a password each."""
    made = await settle(platform, "acme")
    await give_passwords(platform, made)
    return made


async def _enter(platform: Platform, acme: Tenant, role: Role) -> str:
    """Log in, look at production, and return what forms carry."""
    platform.http.cookies.clear()
    await log_in(platform, f"{role.name.lower()}@acme.example")
    csrf = await csrf_of(platform, "/environments")
    chosen = {"csrf": csrf, "environment": acme.production.id}
    await platform.http.post("/environments", data=chosen, headers=ORIGIN)
    return csrf


async def _send(platform: Platform, path: str, csrf: str, **fields: str) -> httpx.Response:
    return await platform.http.post(path, data={"csrf": csrf} | fields, headers=ORIGIN)


def _made(page: httpx.Response) -> str:
    found = _MADE.search(page.text)
    assert found is not None, page.text
    return found[1]


LEAST = {
    ("GET", "/variables"): Role.DEVELOPER,
    ("POST", "/variables"): Role.DEVELOPER,
    ("POST", "/variables/delete"): Role.DEVELOPER,
    ("GET", "/keys"): Role.DEVELOPER,
    ("POST", "/keys"): Role.ADMIN,
    ("POST", "/keys/replace"): Role.ADMIN,
    ("POST", "/keys/revoke"): Role.ADMIN,
    ("GET", "/members"): Role.VIEWER,
    ("POST", "/members"): Role.ADMIN,
    ("POST", "/members/role"): Role.ADMIN,
    ("POST", "/members/remove"): Role.ADMIN,
    ("GET", "/tokens"): Role.VIEWER,
}


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.name)
async def test_a_page_is_for_who_may_do_the_same_by_the_api(
    platform: Platform, acme: Tenant, role: Role
) -> None:
    """The others are refused, and nobody who is not logged in gets anything."""
    csrf = await _enter(platform, acme, role)
    for (method, path), least in LEAST.items():
        answer = await platform.http.request(method, path, data={"csrf": csrf}, headers=ORIGIN)
        assert (answer.status_code == 403) == (role < least), (method, path)
    platform.http.cookies.clear()
    for method, path in LEAST:
        answer = await platform.http.request(method, path, headers=ORIGIN)
        assert answer.status_code == (303 if method == "GET" else 401), (method, path)


async def test_no_form_is_taken_without_the_mark_of_its_page(
    platform: Platform, acme: Tenant
) -> None:
    """Not even from who may do everything."""
    await _enter(platform, acme, Role.OWNER)
    for path in ("/tokens", "/tokens/revoke", *(path for kind, path in LEAST if kind == "POST")):
        for mark in ("", "x"):
            answer = await _send(platform, path, mark, name="X", value="y")
            assert (answer.status_code, answer.json()["code"]) == (403, "FOREIGN_REQUEST"), path


async def test_a_refusal_is_a_page_for_people(platform: Platform, acme: Tenant) -> None:
    """For programs it stays JSON; what people wrote is shown as text."""
    await _enter(platform, acme, Role.VIEWER)
    people = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    cases = {"/variables": 403, "/runs/<script>alert(1)": 404, "/nowhere/<script>alert(1)": 404}
    for path, status in cases.items():
        page = await platform.http.get(path, headers=people)
        data = await platform.http.get(path)
        assert (page.status_code, data.status_code) == (status, status)
        assert page.headers["content-type"].startswith("text/html")
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert "<h1>" in page.text
        assert "<script>" not in page.text
        assert "error" in data.json()
    page = await platform.http.get("/variables", headers=people)
    assert "it takes the role developer, yours is viewer" in page.text
    answer = await platform.http.get("/api/v1/runs", headers=people)
    assert answer.json()["error"] == "Invalid or Missing API Key"


async def test_a_secret_variable_is_set_and_never_shown(platform: Platform, acme: Tenant) -> None:
    """Others are shown as they are; either reaches tasks."""
    csrf = await _enter(platform, acme, Role.DEVELOPER)
    secret = await _send(
        platform, "/variables", csrf, name="TOKEN", value="hush-hush", secret="yes"
    )
    plain = await _send(platform, "/variables", csrf, name="MODE", value="one\r\ntwo")
    page = (await platform.http.get("/variables")).text
    given = await platform.http.get(f"{acme.path}/envvars", headers=bearer(acme.root))

    assert (secret.status_code, plain.status_code) == (303, 303)
    assert "TOKEN" in page
    assert "hush-hush" not in page
    assert "one\ntwo" in page
    variables = given.json()["variables"]
    assert (variables["TOKEN"], variables["MODE"]) == ("hush-hush", "one\ntwo")

    assert (await _send(platform, "/variables/delete", csrf, name="TOKEN")).status_code == 303
    assert "TOKEN" not in (await platform.http.get("/variables")).text


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": "a b", "value": "1"}, "letters, digits and underscores"),
        ({"name": "TRIGGER_X", "value": "1"}, "reserved"),
        ({"name": "BIG", "value": "x" * 65_537}, "65,536 bytes"),
    ],
)
async def test_a_form_that_cannot_be_done_says_why(
    platform: Platform, acme: Tenant, fields: dict[str, str], says: str
) -> None:
    """On its page, with the status of the API."""
    csrf = await _enter(platform, acme, Role.DEVELOPER)
    answer = await _send(platform, "/variables", csrf, **fields)

    assert answer.status_code in {400, 422}
    assert says in answer.text
    assert 'role="alert"' in answer.text


async def test_a_key_is_replaced_and_the_new_one_shown_once(
    platform: Platform, acme: Tenant
) -> None:
    """The old one works for a day more."""
    csrf = await _enter(platform, acme, Role.ADMIN)
    answer = await _send(platform, "/keys/replace", csrf)
    key = _made(answer)

    assert answer.headers["cache-control"] == "no-store"
    for one in (key, acme.root):
        assert (await platform.http.get("/api/v1/runs", headers=bearer(one))).status_code == 200
    page = (await platform.http.get("/keys")).text
    assert key not in page
    assert acme.root not in page


async def test_a_key_with_scopes_is_made_used_and_revoked(platform: Platform, acme: Tenant) -> None:
    """It may do what its scopes say."""
    csrf = await _enter(platform, acme, Role.ADMIN)
    fields = {"name": "reports", "scopes": "read:runs  read:queues", "expires_in": "30d"}
    key = _made(await _send(platform, "/keys", csrf, **fields))
    wrong = await _send(platform, "/keys", csrf, name="x", scopes="everything")

    assert (await platform.http.get("/api/v1/runs", headers=bearer(key))).status_code == 200
    answer = await platform.http.post("/api/v1/tasks/t/trigger", json={}, headers=bearer(key))
    assert answer.status_code == 403
    assert (wrong.status_code, "is no scope" in wrong.text) == (422, True)
    page = (await platform.http.get("/keys")).text
    assert "<code>read:queues</code>" in page
    key_id = re.findall(r'name="id" value="(\w+)"><button class="danger">Revoke reports', page)[0]
    assert (await _send(platform, "/keys/revoke", csrf, id=key_id)).status_code == 303
    assert (await platform.http.get("/api/v1/runs", headers=bearer(key))).status_code == 401
    assert (await _send(platform, "/keys/revoke", csrf, id=key_id)).status_code == 404


async def test_a_developer_replaces_the_key_of_his_own_environment(
    platform: Platform, acme: Tenant
) -> None:
    """And no other."""
    csrf = await _enter(platform, acme, Role.DEVELOPER)
    owner = bearer(acme.tokens[Role.DEVELOPER])
    assert (await platform.http.get(f"{acme.path}/dev", headers=owner)).status_code == 200
    page = (await platform.http.get("/environments")).text
    own = re.findall(r'name="environment" value="(\w+)">\s*<p>.*?<button>dev</button>', page)[0]
    assert (await _send(platform, "/keys/replace", csrf)).status_code == 403
    await _send(platform, "/environments", csrf, environment=own)

    assert _made(await _send(platform, "/keys/replace", csrf)).startswith("tr_dev_")


async def test_a_token_is_made_shown_once_and_revoked(platform: Platform, acme: Tenant) -> None:
    """It is the user's own; nobody revokes another's."""
    csrf = await _enter(platform, acme, Role.VIEWER)
    token = _made(await _send(platform, "/tokens", csrf, name="laptop", expires_in="90d"))

    async def is_good() -> bool:
        answer = await platform.http.get("/api/v2/whoami", headers=bearer(token))
        return answer.status_code == 200

    assert await is_good()
    page = (await platform.http.get("/tokens")).text
    assert "laptop" in page
    assert token not in page
    token_id = re.findall(r'name="id" value="(\w+)"><button class="danger">Revoke laptop', page)[0]
    other = await _enter(platform, acme, Role.OWNER)
    assert (await _send(platform, "/tokens/revoke", other, id=token_id)).status_code == 404
    csrf = await _enter(platform, acme, Role.VIEWER)
    assert (await _send(platform, "/tokens/revoke", csrf, id=token_id)).status_code == 303
    assert not await is_good()
    for wrong in ({"name": ""}, {"name": "x", "expires_in": "soon"}):
        assert (await _send(platform, "/tokens", csrf, **wrong)).status_code in {400, 422}


async def test_members_are_added_changed_and_removed(platform: Platform, acme: Tenant) -> None:
    """Who is new gets an address to choose a password at; nobody gives a role above his own."""
    csrf = await _enter(platform, acme, Role.ADMIN)
    added = await _send(platform, "/members", csrf, email="New@example.com", role="VIEWER")
    link = _made(added)
    page = (await platform.http.get("/members")).text
    assert "new@example.com" in added.text
    assert "new@example.com" in page
    assert link not in page

    too_high = await _send(platform, "/members", csrf, email="x@example.com", role="OWNER")
    assert too_high.status_code == 403
    again = await _send(platform, "/members", csrf, email="new@example.com", role="VIEWER")
    assert (again.status_code, "is a member already" in again.text) == (409, True)
    person = re.findall(r'name="user" value="(\w+)"><button class="danger">Remove new@', page)[0]
    changed = await _send(platform, "/members/role", csrf, user=person, role="DEVELOPER")
    assert changed.status_code == 303
    removed = await _send(platform, "/members/remove", csrf, user=person)
    assert removed.status_code == 303
    assert "new@example.com" not in (await platform.http.get("/members")).text
    owner = acme.users[Role.OWNER]
    assert (await _send(platform, "/members/remove", csrf, user=owner)).status_code == 403
    csrf = await _enter(platform, acme, Role.OWNER)
    last = await _send(platform, "/members/remove", csrf, user=owner)
    assert (last.status_code, "the last owner" in last.text) == (409, True)


async def test_pages_stay_within_the_tenant(platform: Platform, acme: Tenant) -> None:
    """Ids of another's things are unknown here."""
    other = await settle(platform, "other")
    csrf = await _enter(platform, acme, Role.OWNER)
    theirs = other.users[Role.VIEWER]
    for path, fields in (
        ("/members/remove", {"user": theirs}),
        ("/members/role", {"user": theirs, "role": "OWNER"}),
        ("/keys/revoke", {"id": "token_of_another"}),
    ):
        assert (await _send(platform, path, csrf, **fields)).status_code == 404
    page = (await platform.http.get("/members")).text
    assert "other.example" not in page
