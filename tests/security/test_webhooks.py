"""Webhooks in: the one there is, the callback of a waitpoint token. The platform sends none out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from support import postgres
from support.http import Platform, serving
from support.tenants import bearer, settle
from trigger_platform.store.sqlite import MEMORY


@pytest.fixture(params=["sqlite", "postgres"])
async def platform(request: pytest.FixtureRequest) -> AsyncIterator[Platform]:
    """A platform on either database."""
    address = postgres.emptied_database() if request.param == "postgres" else MEMORY
    async with serving(address) as platform:
        yield platform


async def _token(platform: Platform, key: str | None = None) -> dict[str, Any]:
    headers = {} if key is None else bearer(key)
    answer = await platform.http.post("/api/v1/waitpoints/tokens", json={}, headers=headers)
    return dict(answer.json()) | {"path": httpx.URL(answer.json()["url"]).path}


async def _status(platform: Platform, token: dict[str, Any]) -> str:
    answer = await platform.http.get(f"/api/v1/waitpoints/tokens/{token['id']}")
    return str(answer.json()["status"])


async def test_webhooks_in_an_address_completes_its_own_token_alone(platform: Platform) -> None:
    """Not another one of the environment, nor one of another tenant, nor with half of the secret."""
    acme = await settle(platform, "acme")
    mine, next_one = await _token(platform), await _token(platform)
    theirs = await _token(platform, acme.root)
    head, _, secret = mine["path"].rpartition("/")
    nobody = {"authorization": ""}
    for path in (
        f"{head}/", f"{head}/x", f"{head}/{secret[:-1]}", f"{head}/{secret}0", f"{head}/{secret.upper()}",
        f"{head}/{'0' * 64}", next_one["path"].rpartition("/")[0] + f"/{secret}",
        theirs["path"].rpartition("/")[0] + f"/{secret}", f"{head}/é", f"{head}/%00",
    ):  # fmt: skip
        answer = await platform.http.post(path, content=b"1", headers=nobody)
        assert answer.status_code in {401, 404}, path
    assert await _status(platform, mine) == await _status(platform, next_one) == "WAITING"

    assert (await platform.http.post(mine["path"], content=b"1", headers=nobody)).status_code == 200
    assert await _status(platform, mine) == "COMPLETED"
    assert await _status(platform, next_one) == "WAITING"


async def test_webhooks_in_looking_at_an_address_completes_nothing(platform: Platform) -> None:
    """What follows links in messages is no sender."""
    token = await _token(platform)
    for method in ("GET", "HEAD", "OPTIONS", "PUT"):
        answer = await platform.http.request(method, token["path"], headers={"authorization": ""})
        assert answer.status_code == 405, method
    assert await _status(platform, token) == "WAITING"


async def test_webhooks_in_a_second_call_changes_nothing(platform: Platform) -> None:
    """Who sends again, or replays what he saw, finds it completed."""
    token = await _token(platform)
    for body in (b'"first"', b'"second"'):
        await platform.http.post(token["path"], content=body, headers={"authorization": ""})
    shown = await platform.http.get(f"/api/v1/waitpoints/tokens/{token['id']}")
    assert shown.json()["output"] in {"first", '"first"'}


async def test_webhooks_in_opens_nothing_else(platform: Platform) -> None:
    """The secret of the address is no key."""
    token = await _token(platform)
    secret = token["path"].rpartition("/")[2]
    for path in ("/api/v1/runs", f"/api/v1/waitpoints/tokens/{token['id']}"):
        assert (await platform.http.get(path, headers=bearer(secret))).status_code == 401
