"""Who made something outside any environment, and heard no answer, asks again and gets what was made."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import httpx
import pytest

from support import keys
from support.http import PROJECT, Platform
from support.tenants import Tenant, bearer, settle
from trigger_platform.engine import resealing, user, worker_group
from trigger_platform.engine.retention import Periods
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit, Units
from trigger_platform.key_ring import Key, KeyRing
from trigger_platform.loops.retention import Retention

pytestmark = pytest.mark.parametrize("address", ["sqlite", "postgres"], indirect=True)

HEADER = "x-trigger-request-idempotency-key"
MINUTES_MS, DAY_MS = 600_000, 86_400_000
ROOT = f"/api/v1/projects/{PROJECT}"

SECRET: dict[str, tuple[str, Any]] = {
    "personal access token": ("/api/v1/access-tokens", {"name": "laptop"}),
    "organisation token": ("/api/v1/orgs/{home}/access-tokens", {"name": "ci"}),
    "environment key": (ROOT + "/prod/api-keys", {"name": "reader", "scopes": ["read:runs"]}),
    "root key": (ROOT + "/prod/regenerate-api-key", None),
    "member": ("/api/v1/orgs/{home}/members", {"email": "e@example.com", "role": "VIEWER"}),
    "worker group": ("/api/v1/workers", {"name": "group"}),
    "worker token": ("/api/v1/workers/first/rotate-token", None),
}
PLAIN: dict[str, tuple[str, Any]] = {
    "organisation": ("/api/v1/orgs", {"title": "Acme"}),
    "project": ("/api/v1/orgs/{home}/projects", {"name": "shop"}),
}
REMOVED: dict[str, tuple[str, str]] = {
    "personal access token": ("/api/v1/access-tokens/{it}", "id"),
    "organisation token": ("/api/v1/orgs/{home}/access-tokens/{it}", "id"),
    "environment key": (ROOT + "/prod/api-keys/{it}", "id"),
    "member": ("/api/v1/orgs/{home}/members/{it}", "members"),
    "worker group": ("/api/v1/workers/group", "name"),
}
"""How what was made is taken away, and what the answer has."""

CONFLICTING = {"member", "worker group"}
"""What cannot be made twice: asked for anew it is refused."""


async def _ask(platform: Platform, name: str, mark: str | None = "mark") -> httpx.Response:
    path, body = (SECRET | PLAIN)[name]
    home = platform.server.local.project.organization_id
    headers = bearer(platform.server.local.access_token)
    headers |= {} if mark is None else {HEADER: mark}
    return await platform.http.post(path.format(home=home), json=body, headers=headers)


async def _made(platform: Platform, name: str, mark: str | None = "mark") -> dict[str, Any]:
    answer = await _ask(platform, name, mark)
    assert answer.is_success, answer.text
    return dict(answer.json())


@pytest.fixture
async def platform(platform: Platform) -> Platform:
    """A platform with a worker group, a production environment, and an admin."""
    await (await platform.elsewhere("prod")).http.aclose()

    def work(u: Unit) -> None:
        u.tx.run("user_admin", id=user.LOCAL_USER, is_admin=1)
        worker_group.create(u, "first")

    await platform.server.units.write(work)
    return platform


async def _things(platform: Platform) -> Counter[str]:
    """Count the rows of every table, but of answers themselves."""

    def count(u: Unit) -> Counter[str]:
        return Counter({table: len(rows) for table, rows in _rows(u).items()})

    return await platform.server.units.read(count)


def _rows(u: Unit) -> dict[str, list[str]]:
    tx: Any = u.tx
    connection = tx.connection if hasattr(tx, "connection") else tx._connection
    return {
        table: [str(row) for row in connection.execute(f"select * from {table}").fetchall()]  # noqa: S608
        for table in ("organization", "project", "access_token", "environment_key", "worker_group",
                      "retired_key", "member", "kept_answer", "environment")
    }  # fmt: skip


@pytest.mark.parametrize("name", [*SECRET, *PLAIN])
async def test_who_repeats_himself_gets_the_same_answer(platform: Platform, name: str) -> None:
    """With the secret that is shown once; and nothing is made a second time."""
    first = await _ask(platform, name)
    after = await _things(platform)
    second = await _ask(platform, name)

    assert first.is_success, first.text
    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert second.headers.get("cache-control") == first.headers.get("cache-control")
    assert await _things(platform) == after
    for mark in ("another mark", None):
        other = await _ask(platform, name, mark)
        assert other.status_code == 409 if name in CONFLICTING else other.json() != first.json()


@pytest.mark.parametrize("name", REMOVED)
async def test_what_was_taken_away_is_taken_away(platform: Platform, name: str) -> None:
    """Who heard no answer is not told that there is no such thing; who asks anew is."""
    made = await _made(platform, name, None)
    path, field = REMOVED[name]
    which = made["userId"] if name == "member" else made.get("id", "group")
    address = path.format(home=platform.server.local.project.organization_id, it=which)

    async def remove(mark: str) -> httpx.Response:
        headers = bearer(platform.server.local.access_token) | {HEADER: mark}
        return await platform.http.delete(address, headers=headers)

    first, second = await remove("mark"), await remove("mark")
    assert (first.status_code, field in first.json()) == (200, True)
    assert (second.status_code, second.json()) == (200, first.json())
    assert (await remove("another mark")).status_code == 404


@pytest.mark.parametrize("name", SECRET)
async def test_a_secret_is_kept_sealed_and_for_minutes(platform: Platform, name: str) -> None:
    """A copy of the database opens nothing; later it is a new request."""
    shown = await _made(platform, name)
    secrets = [text for text in _texts(shown) if text.startswith(("tr_", "http"))]
    kept = await platform.server.units.read(lambda u: _rows(u)["kept_answer"])
    assert len(kept) == 1
    assert not any(secret in row for row in kept for secret in secrets)
    assert "s1." in kept[0]

    platform.clock.advance(MINUTES_MS)
    other = await _ask(platform, name)
    assert other.status_code == 409 if name in CONFLICTING else other.json() != shown


def _texts(shown: Any) -> list[str]:
    if isinstance(shown, dict):
        return [text for value in shown.values() for text in _texts(value)]
    return [shown] if isinstance(shown, str) else []


@pytest.mark.parametrize("name", PLAIN)
async def test_what_is_no_secret_is_kept_for_a_day(platform: Platform, name: str) -> None:
    """Like the answers of environments."""
    first = await _made(platform, name)
    platform.clock.advance(DAY_MS - 1)
    assert await _made(platform, name) == first
    platform.clock.advance(1)
    assert (await _made(platform, name))["id"] != first["id"]


async def test_an_answer_is_for_whom_it_was_given(platform: Platform) -> None:
    """The same mark of another user, and of the same for something else, is another request."""
    acme, other = await settle(platform, "acme"), await settle(platform, "other")

    async def ask(tenant: Tenant, path: str, role: Role = Role.OWNER) -> str:
        headers = bearer(tenant.tokens[role], **{HEADER: "mark"})
        answer = await platform.http.post(path, json={"name": "n"}, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    own = "/api/v1/access-tokens"
    given = [
        await ask(acme, own),
        await ask(acme, own, Role.ADMIN),
        await ask(other, own),
        await ask(acme, f"/api/v1/orgs/{acme.home.id}/access-tokens"),
    ]
    assert len(set(given)) == 4


async def test_what_was_refused_is_not_kept(platform: Platform) -> None:
    """What was wrong may be right by then."""
    taken = {"name": "group"}
    headers = bearer(platform.server.local.access_token)
    await platform.http.post("/api/v1/workers", json=taken, headers=headers)
    assert (await _ask(platform, "worker group")).status_code == 409
    await platform.http.delete("/api/v1/workers/group", headers=headers)

    assert (await _ask(platform, "worker group")).status_code == 201


async def test_answers_are_swept(platform: Platform) -> None:
    """When nobody is given them any more."""
    await _made(platform, "personal access token")
    await _made(platform, "organisation")
    retention = Retention(platform.server.units, Periods())
    assert (await retention.run_once())["answers"] == 0
    platform.clock.advance(MINUTES_MS)
    assert (await retention.run_once())["answers"] == 1
    platform.clock.advance(DAY_MS)
    assert (await retention.run_once())["answers"] == 1


async def test_a_change_of_keys_seals_them_anew(platform: Platform) -> None:
    """So that the older key can be dropped."""
    first = await _made(platform, "personal access token")
    newest = Key("newest", bytes(reversed(range(32))))
    server, clock = platform.server, platform.clock

    async def rotate() -> None:
        ring = KeyRing((newest, *keys.KEYS))
        units = Units(server.units.db, clock, random.Random(1), ring)
        assert await units.read(resealing.is_pending)
        place: resealing.Place | None = resealing.START
        while place is not None:
            place = await units.write(resealing.reseal, place)
        assert not await units.read(resealing.is_pending)

    await rotate()
    server.units.keys = KeyRing((newest,))
    assert await _made(platform, "personal access token") == first
