"""Pages of other origins: which routes they may call, and what they may read (protocol 0.9)."""

from __future__ import annotations

import json

import pytest

from support.http import Platform
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
    """A browser is told nothing of the others."""
    path = endpoint.path.replace("{", "").replace("}", "").replace(":path", "")
    answer = await platform.http.options(path, headers=ASKS)
    is_for_pages = Credential.PUBLIC_TOKEN in endpoint.access.value.takes

    assert not is_for_pages or answer.status_code == 204
    if not any(one.path == endpoint.path and one.is_for_pages for one in ENDPOINTS):
        assert "access-control-allow-origin" not in answer.headers


async def test_nothing_is_said_to_who_is_no_page(platform: Platform) -> None:
    """Other clients send no origin."""
    answer = await platform.http.post(TRIGGER, json={})

    assert "access-control-allow-origin" not in answer.headers
