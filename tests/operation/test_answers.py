"""What every answer carries, what is logged of a request, and JSON that is nested too deeply."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator

import pytest

from support.http import Platform, serving
from trigger_platform.log_lines import JsonLines, request_id


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """A platform with its loops running."""
    async with serving() as platform:
        yield platform


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/api/v1/runs", "/nothing", "/static/style.css", "/openapi.json"]
)
async def test_every_answer_tells_browsers_what_they_must_not_do(
    platform: Platform, path: str
) -> None:
    """Pages, data, errors and files; a page may load its own scripts and be framed by nobody."""
    headers = (await platform.http.get(path)).headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers.get_list("content-security-policy") == [policy]
    assert "server" not in headers


async def test_over_tls_browsers_are_to_stay_there() -> None:
    """A plain server cannot ask for that."""
    async with serving() as platform:
        answer = await platform.http.get("/healthz")
        assert "strict-transport-security" not in answer.headers
    async with serving(public_url="https://t.example") as platform:
        answer = await platform.http.get("/healthz")
        assert "max-age" in answer.headers["strict-transport-security"]


async def test_every_answer_has_the_number_of_its_request(platform: Platform) -> None:
    """A proxy may have given it; what is not well-formed is not repeated."""
    first, second = [await platform.http.get("/healthz") for _ in range(2)]
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    given = {"x-request-id": "from-the-proxy.1"}
    assert (await platform.http.get("/healthz", headers=given)).headers[
        "x-request-id"
    ] == "from-the-proxy.1"
    odd = {"x-request-id": "<script>"}
    answer = await platform.http.get("/healthz", headers=odd)
    assert "script" not in answer.headers["x-request-id"]


async def test_a_defect_is_logged_under_the_number_that_the_client_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And the client is told nothing else; the log has no key."""
    async with serving(log_requests=True) as platform:
        hub, platform.server.hub = platform.server.hub, None  # type: ignore[assignment]
        with caplog.at_level(logging.INFO):
            poll = {"bootId": "b", "workers": [], "limit": 1, "waitMs": 0}
            path = "/engine/v1/worker/poll?secret=in-the-query"
            answer = await platform.http.post(path, json=poll)
        platform.server.hub = hub

    assert answer.status_code == 500
    number = answer.headers["x-request-id"]
    assert number in answer.json()["because"]
    assert "NoneType" not in answer.text
    ours = [one for one in caplog.records if one.name.startswith("trigger_platform")]
    text = "\n".join(JsonLines().format(one) for one in ours)
    assert "AttributeError" in text
    assert "POST /engine/v1/worker/poll 500" in text
    assert platform.key not in text
    assert "in-the-query" not in text


@pytest.mark.parametrize(
    "path",
    [
        "/setup/0pens-the-first-account",
        "/join/0pens-the-first-account",
        "/account/authorization-code/0pens-the-first-account",
        "/api/v1/waitpoints/tokens/waitpoint_x/callback/0pens-the-first-account",
        "/otel/tr_otlp_0opensthefirstaccount0.x.y.z.1/v1/traces",
        "/nothing/tr_otlp_0opensthefirstaccount0",
    ],
)
async def test_what_a_path_opens_is_not_logged(path: str, caplog: pytest.LogCaptureFixture) -> None:
    """The rest of the path is."""
    async with serving(log_requests=True) as platform:
        with caplog.at_level(logging.INFO):
            await platform.http.post(path, json={})

    ours = [one.getMessage() for one in caplog.records if one.name == "trigger_platform.requests"]
    assert len(ours) == 1
    assert "<redacted>" in ours[0]
    assert "first" not in ours[0]


def test_a_line_has_the_number_of_the_request_it_was_written_for() -> None:
    """Others have none."""
    record = logging.LogRecord("x", logging.INFO, "f", 1, "hello", (), None)
    assert "request" not in json.loads(JsonLines().format(record))
    token = request_id.set("r1")
    assert json.loads(JsonLines().format(record))["request"] == "r1"
    request_id.reset(token)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("prefix", ["", '{"payload":', '{"options":{"metadata":'])
async def test_three_mebibytes_of_brackets_are_refused_cheaply(
    platform: Platform, prefix: str, opening: str
) -> None:
    """Whatever they stand in: 400, in the time it takes to read a few of them."""
    body = prefix + opening * (3 * 1024 * 1024 // len(opening))
    began = time.process_time()
    answer = await platform.http.post("/api/v1/tasks/x/trigger", content=body)

    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_JSON")
    assert time.process_time() - began < 1


@pytest.mark.parametrize("depth", [150, 300, 900, 100_000])
@pytest.mark.parametrize("kind", ["application/json", "application/super+json"])
async def test_a_text_with_deep_json_can_be_kept_shown_and_replayed(
    platform: Platform, depth: int, kind: str
) -> None:
    """What is too deep to be shown as a value is shown as the text that it came as."""
    deep = "[" * depth + "]" * depth
    text = deep if kind == "application/json" else f'{{"json":{deep}}}'
    options = {"payloadType": kind}
    run_id = await platform.trigger("x", text, **options)
    answer = await platform.http.get(f"/api/v3/runs/{run_id}")

    assert answer.status_code == 200
    if kind == "application/super+json":
        assert isinstance(answer.json()["payload"], list if depth == 150 else str)
    assert (await platform.http.get(f"/runs/{run_id}")).status_code == 200
    assert (await platform.http.get("/api/v1/runs")).status_code == 200


async def test_deep_json_in_a_text_that_must_be_read_is_refused(platform: Platform) -> None:
    """Metadata, for one; and a replay of what cannot be read."""
    deep = "[" * 100_000
    options = {"metadata": deep, "metadataType": "application/json"}
    answer = await platform.http.post("/api/v1/tasks/x/trigger", json={"options": options})
    assert (answer.status_code, answer.json()["because"]) == (400, "it is nested too deeply")
