"""Pages of other origins: which routes they may call, and what they may read (protocol 0.9)."""

from __future__ import annotations

import json

import pytest

from support.http import Platform, serving
from trigger_platform.app import ENDPOINTS
from trigger_platform.http.access import Credential
from trigger_platform.http.endpoint import Endpoint

ORIGIN = {"origin": "https://app.example.com"}
ASKS = ORIGIN | {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-trigger-client",
    "authorization": "",
}
TRIGGER = "/api/v1/tasks/a/trigger"


async def test_a_page_with_a_token_triggers_and_reads_the_new_token(platform: Platform) -> None:
    """The browser asks first; what the page needs is exposed."""
    asked = await platform.http.options(TRIGGER, headers=ASKS)
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == "*"
    assert "POST" in asked.headers["access-control-allow-methods"]
    allowed = asked.headers["access-control-allow-headers"].split(",")
    assert {"authorization", "content-type", "x-trigger-client"} <= set(allowed)

    answer = await platform.http.post(TRIGGER, json={}, headers=ORIGIN)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"x-trigger-jwt", "x-trigger-jwt-claims", "electric-handle"} <= set(exposed)
    assert json.loads(answer.headers["x-trigger-jwt-claims"])["pub"] is True


async def test_a_page_reads_refusals_too(platform: Platform) -> None:
    """Else it would be told of a network error."""
    path = "/api/v3/runs/run_unknown"
    for headers, status in ((ORIGIN, 404), (ORIGIN | {"authorization": "Bearer x"}, 401)):
        answer = await platform.http.get(path, headers=headers)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, "*")


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: f"{one.method} {one.path}")
async def test_only_what_takes_public_tokens_is_for_pages(
    platform: Platform, endpoint: Endpoint
) -> None:
    """A browser is told nothing of the others, and never to add what it knows by itself."""
    path = endpoint.path.replace("{", "").replace("}", "").replace(":path", "")
    asked = await platform.http.options(path, headers=ASKS)
    is_for_pages = Credential.PUBLIC_TOKEN in endpoint.access.value.takes

    assert not is_for_pages or endpoint.method in asked.headers["access-control-allow-methods"]
    if not any(one.path == endpoint.path and one.is_for_pages for one in ENDPOINTS):
        assert "access-control-allow-origin" not in asked.headers
    assert "access-control-allow-credentials" not in asked.headers
    if endpoint.is_page:  # some never end
        return
    nobody = ORIGIN | {"authorization": "Bearer nobody"}
    answer = await platform.http.request(endpoint.method, path, headers=nobody)
    is_signed = endpoint.path.startswith("/blobs/")
    assert ("access-control-allow-origin" in answer.headers) == (is_for_pages or is_signed)
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_browser_need_not_ask_again_for_a_day(platform: Platform) -> None:
    """What it may do with an address; caches on the way tell what was asked apart."""
    asked = await platform.http.options(TRIGGER, headers=ASKS)

    assert asked.headers["access-control-max-age"] == "86400"
    assert asked.headers["vary"] == "origin, access-control-request-headers"


async def test_a_page_learns_that_there_is_no_such_route(platform: Platform) -> None:
    """Newer clients look elsewhere after a 404; without it they would be told of a network error."""
    path = "/api/v9/of-the-future"
    asked = await platform.http.options(path, headers=ASKS)
    answer = await platform.http.get(path, headers=ORIGIN)

    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, "*")
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (404, "*")


async def test_only_pages_of_allowed_origins_may_call() -> None:
    """Where the settings name some; the others are told why before they send anything."""
    async with serving(
        allowed_origins="https://App.example.com, http://localhost:3000"
    ) as platform:
        for origin in ("https://app.example.com", "http://localhost:3000"):
            asked = await platform.http.options(TRIGGER, headers=ASKS | {"origin": origin})
            answer = await platform.http.post(TRIGGER, json={}, headers={"origin": origin})
            for one in (asked, answer):
                assert one.headers["access-control-allow-origin"] == origin
                assert one.headers["vary"].startswith("origin")
        for origin in ("https://app.example.com.evil.example", "http://app.example.com", "null"):
            asked = await platform.http.options(TRIGGER, headers=ASKS | {"origin": origin})
            answer = await platform.http.get("/api/v1/runs", headers={"origin": origin})
            nowhere = await platform.http.get("/nowhere", headers={"origin": origin})
            assert (asked.status_code, asked.json()["code"]) == (403, "ORIGIN_NOT_ALLOWED")
            for one in (asked, answer, nowhere):
                assert "access-control-allow-origin" not in one.headers
                assert one.headers["vary"] == "origin"


async def test_nothing_is_said_to_who_is_no_page(platform: Platform) -> None:
    """Other clients send no origin."""
    answer = await platform.http.post(TRIGGER, json={})

    assert "access-control-allow-origin" not in answer.headers
