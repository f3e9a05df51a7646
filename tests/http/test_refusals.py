"""What is refused, and how the refusal reads."""

from __future__ import annotations

from typing import Any

import pytest

from support.http import Platform
from trigger_platform.app import ENDPOINTS
from trigger_platform.http.access import Credential
from trigger_platform.http.endpoint import Endpoint

TRIGGER = "/api/v1/tasks/x/trigger"
GUARDED = [
    one
    for one in ENDPOINTS
    if one.access.value.takes and Credential.BROWSER not in one.access.value.takes
]


def _path(endpoint: Endpoint) -> str:
    return endpoint.path.replace("{", "").replace("}", "")


@pytest.mark.parametrize("endpoint", GUARDED, ids=lambda one: f"{one.method} {one.path}")
@pytest.mark.parametrize("key", ["", "tr_dev_wrong", "tr_pat_wrong", "a.b.c"])
async def test_every_guarded_route_refuses_wrong_credentials(
    platform: Platform, endpoint: Endpoint, key: str
) -> None:
    """Whatever kind they are of."""
    headers = {"authorization": f"Bearer {key}" if key else ""}
    answer = await platform.http.request(endpoint.method, _path(endpoint), headers=headers)

    assert answer.status_code == 401
    assert endpoint.method == "HEAD" or isinstance(answer.json()["error"], str)


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "EMPTY_BODY"),
        (b"{not json", 400, "INVALID_JSON"),
        (b'{"options": {"maxAttempts": 0}}', 400, "INVALID_BODY"),
        (b'{"options": {"machine": "huge"}}', 400, "INVALID_BODY"),
        (b'{"options": {"delay": "soonish"}}', 422, "INVALID_DURATION"),
        (b'{"options": {"ttl": "soonish"}}', 422, "INVALID_DURATION"),
        (b'{"options": {"lockToVersion": "20200101.1"}}', 422, "VERSION_UNKNOWN"),
        (b'{"options": {"metadata": "no object"}}', 400, "INVALID_METADATA"),
        (b'{"payload": "' + b"x" * (3 * 1024 * 1024 + 20_000) + b'"}', 413, "PAYLOAD_TOO_LARGE"),
    ],
)
async def test_a_bad_trigger_is_refused_and_nothing_is_written(
    platform: Platform, content: bytes, status: int, code: str
) -> None:
    """One text for every client, a code, and a way out."""
    answer = await platform.http.post(TRIGGER, content=content)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await platform.http.get("/api/v1/runs")).json()["data"] == []


async def test_an_unknown_run_is_not_worth_another_try(platform: Platform) -> None:
    """There is no replica that may lag behind."""
    for path in ("/api/v3/runs/run_x", "/api/v1/runs/run_x/logs", "/api/v1/runs/run_x/follow"):
        answer = await platform.http.get(path)
        assert (answer.status_code, answer.headers["x-should-retry"]) == (404, "false")
        assert (answer.json()["error"], "run_x" in answer.json()["because"]) == (
            "Run not found",
            True,
        )


async def test_a_token_of_a_person_is_no_environment_key(platform: Platform) -> None:
    """And the other way round."""
    pat = {"authorization": f"Bearer {platform.server.local.access_token}"}

    assert (await platform.http.get("/api/v1/runs", headers=pat)).status_code == 401
    assert (await platform.http.get("/api/v2/whoami", headers=pat)).status_code == 200
    assert (await platform.http.get("/api/v2/whoami")).status_code == 401


async def test_unknown_paths_and_methods_answer_in_json(platform: Platform) -> None:
    """With the allowed methods."""
    missing = await platform.http.get("/api/v9/nothing")
    wrong = await platform.http.delete(TRIGGER)

    assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"host": "evil.example:8030"}, 403),
        ({"host": "localhost:8030"}, 200),
        ({"host": "[::1]:8030"}, 200),
        ({"origin": "http://evil.example", "authorization": ""}, 403),
        ({"origin": "http://evil.example", "authorization": "Basic YTpi"}, 403),
        ({"origin": "null", "authorization": ""}, 403),
        ({"origin": "http://127.0.0.1:8030"}, 200),
        ({"origin": "http://127.0.0.1:8030", "authorization": ""}, 401),
    ],
)
async def test_a_foreign_page_gets_nothing_through_the_users_browser(
    platform: Platform, headers: dict[str, str], status: int
) -> None:
    """Host against rebinding, Origin against forms from elsewhere."""
    answer = await platform.http.post(TRIGGER, json={}, headers=headers)

    assert answer.status_code == status


async def test_the_description_lists_every_route(platform: Platform) -> None:
    """It is made from the same table."""
    description: dict[str, Any] = (await platform.http.get("/openapi.json")).json()

    assert description["openapi"].startswith("3.1")
    listed = {
        (method.upper(), path) for path, item in description["paths"].items() for method in item
    }
    assert listed == {(one.method, one.shown_path) for one in ENDPOINTS}
    for item in description["paths"].values():
        for operation in item.values():
            assert operation["summary"]


async def test_pages_escape_what_runs_contain_and_allow_no_foreign_script(
    platform: Platform,
) -> None:
    """A payload is shown, not executed."""
    run_id = await platform.trigger("x", {"html": "<script>alert(1)</script>"})
    page = await platform.http.get(f"/runs/{run_id}", headers={"authorization": ""})

    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;" in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]
    listed = await platform.http.get("/")
    assert run_id in listed.text


async def test_a_key_with_a_branch_that_is_not_there_is_told_of_the_branch(
    platform: Platform,
) -> None:
    """The key may be right."""
    answer = await platform.http.get("/api/v1/runs", headers={"x-trigger-branch": "gone"})

    assert answer.status_code == 401
    assert "no branch gone" in answer.json()["because"]
