"""How often a caller may call (protocol 0.8)."""

from __future__ import annotations

import httpx
import pytest

from support.http import Platform, serving
from trigger_core.clock import SystemClock
from trigger_platform.http import public_token
from trigger_platform.http.rate_limit import RateLimits
from trigger_platform.settings import Settings

RUNS = "/api/v1/runs"


async def _statuses(platform: Platform, count: int, path: str = RUNS, **headers: str) -> list[int]:
    answers = [await platform.http.get(path, headers=headers) for _ in range(count)]
    return [answer.status_code for answer in answers]


async def test_a_caller_is_refused_when_the_bucket_is_empty() -> None:
    """Until some of it has come back; answers tell how much is left."""
    async with serving(rate_limit=3, rate_refill=0.5) as platform:
        first = await platform.http.get(RUNS)
        assert first.headers["x-ratelimit-limit"] == "3"
        assert first.headers["x-ratelimit-remaining"] == "2"
        assert int(first.headers["x-ratelimit-reset"]) == platform.clock.now() + 2_000
        refused_read = await platform.http.get("/api/v3/runs/run_unknown")
        assert refused_read.headers["x-ratelimit-remaining"] == "1"
        assert await _statuses(platform, 3) == [200, 429, 429]
        refused = await platform.http.get(RUNS)
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["x-ratelimit-reset"]) == platform.clock.now() + 2_000
        assert refused.headers["x-should-retry"] == "true"
        body = refused.json()
        assert {"title", "type", "detail", "error"} <= set(body)
        assert (body["status"], body["limit"], body["remaining"]) == (429, 3, 0)
        assert body["secondsUntilReset"] == 2
        platform.clock.advance(2_000)
        assert await _statuses(platform, 2) == [200, 429]


async def test_what_the_worker_and_the_packets_need_is_not_counted() -> None:
    """Nor what anybody may read."""
    async with serving(rate_limit=1, rate_refill=0.01) as platform:
        assert await _statuses(platform, 2) == [200, 429]
        for path in ("/api/v1/timezones", "/api/v1/packets/x", "/healthz"):
            answer: httpx.Response = await platform.http.get(path)
            assert answer.status_code != 429
            assert "x-ratelimit-limit" not in answer.headers
        assert (await platform.http.post("/api/v1/auth/jwt/claims")).status_code == 200
        seat = {"instance": "dev", "bootId": "b1"}
        assert (await platform.http.post("/engine/v1/worker/connect", json=seat)).status_code == 200


async def test_who_deploys_has_a_bucket_of_his_own() -> None:
    """Triggers take nothing from it, nor it from triggers; what running code asks is no part of it."""
    limits = {"rate_limit": 2, "rate_refill": 0.01, "deployment_rate_limit": 3}
    async with serving(**limits, deployment_rate_refill=0.5) as platform:
        project = f"/api/v1/projects/{platform.server.local.project.ref}"
        first = await platform.http.get("/api/v1/deployments")
        assert first.headers["x-ratelimit-limit"] == "3"
        assert (await _statuses(platform, 1, "/api/v3/deployments/x/finalize")) == [405]
        assert await _statuses(platform, 1, f"{project}/dev") == [200]
        assert await _statuses(platform, 2, f"{project}/envvars") == [200, 429]
        assert await _statuses(platform, 1, "/api/v1/deployments/current") == [404]
        assert await _statuses(platform, 2) == [200, 429]
        refused = await platform.http.post("/api/v1/deployments", json={"contentHash": "x"})
        assert (refused.status_code, refused.json()["limit"]) == (429, 3)
        platform.clock.advance(2_000)
        made = await platform.http.post("/api/v1/deployments", json={"contentHash": "x"})
        assert made.status_code == 200


async def test_who_was_not_let_in_takes_nothing_from_others() -> None:
    """Guessing keys empties no bucket."""
    async with serving(rate_limit=2, rate_refill=0.01) as platform:
        wrong = await _statuses(platform, 5, authorization="Bearer tr_dev_wrong")
        assert set(wrong) == {401}
        assert await _statuses(platform, 2) == [200, 200]


async def test_public_tokens_have_buckets_of_their_own() -> None:
    """Each one."""
    async with serving(public_rate_limit=2) as platform:
        environment, now = platform.server.local.environment, SystemClock().now()
        run_id = await platform.trigger()
        tokens = []
        for number in range(2):
            claims = {
                "sub": environment.id,
                "pub": True,
                "scopes": ["read:runs"],
                "number": number,
            }
            tokens.append(public_token.mint(platform.server.units.keys, environment, claims, now))
        path = f"/api/v3/runs/{run_id}"
        for token in tokens:
            found = await _statuses(platform, 3, path, authorization=f"Bearer {token}")
            assert found == [200, 200, 429]
        assert await _statuses(platform, 3, path) == [200, 200, 200]


@pytest.mark.parametrize(
    ("settings", "limit"),
    [
        ({}, None),
        ({"public_url": "https://trigger.example.com"}, 750),
        ({"public_url": "https://trigger.example.com", "rate_limit": 0}, None),
        ({"rate_limit": 5}, 5),
    ],
)
def test_a_machine_of_ones_own_is_not_limited_unless_asked(
    settings: dict[str, object], limit: int | None
) -> None:
    """A server that others reach is."""
    verdict = RateLimits(Settings.model_validate(settings)).take("key", is_public=False, now=0)

    assert (None if verdict is None else verdict.limit) == limit
