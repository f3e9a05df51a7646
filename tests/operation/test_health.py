"""Alive, ready, and what is counted."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from support.http import METRICS_TOKEN, Platform, serving

TOKEN = {"authorization": f"Bearer {METRICS_TOKEN}"}


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """A platform with its loops running."""
    async with serving() as platform:
        yield platform


async def _metrics(platform: Platform) -> dict[str, float]:
    answer = await platform.http.get("/metrics", headers=TOKEN)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_a_server_that_ends_is_alive_and_not_ready(platform: Platform) -> None:
    """So that balancers send no more, and nobody restarts it."""
    answer = await platform.http.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ok": True})

    platform.server.is_draining = True
    answer = await platform.http.get("/readyz")
    assert (answer.status_code, answer.json()["because"]) == (503, "the server is ending")
    assert (await platform.http.get("/healthz")).status_code == 200


async def test_a_server_whose_database_does_not_answer_is_not_ready() -> None:
    """It is alive: a restart would not help."""
    async with serving() as platform:
        platform.server.units.db.close()
        answer = await platform.http.get("/readyz")

        assert answer.status_code == 503
        assert answer.json()["because"]
        assert (await platform.http.get("/healthz")).status_code == 200


async def test_what_runs_do_is_counted(platform: Platform) -> None:
    """Made, waiting, handed out, ended; and how often the routes were called."""
    for _ in range(3):
        await platform.trigger("task")
    platform.clock.advance(5_000)
    before = await _metrics(platform)
    assert before['trigger_runs{state="QUEUED"}'] == 3
    assert before["trigger_queue_oldest_seconds"] == 5
    assert before["trigger_runs_created_total"] == 3
    assert before["trigger_workers"] == 0

    [first, *_] = await platform.work("task")
    run = {"runId": first["runId"], "lease": first["lease"]}
    await platform.report(started=[run | {"at": platform.clock.now()}])
    after = await _metrics(platform)
    assert after['trigger_runs{state="QUEUED"}'] == 0
    assert after["trigger_runs_claimed_total"] == 3
    assert after["trigger_workers"] == 1
    assert after["trigger_database_writes_total"] > before["trigger_database_writes_total"]
    route = 'method="POST",route="/api/v1/tasks/{task_id}/trigger",status="200"'
    assert after[f"trigger_http_request_seconds_count{{{route}}}"] == 3
    assert after[f'trigger_http_request_seconds_bucket{{{route},le="+Inf"}}'] == 3


async def test_the_loops_say_when_they_last_did_their_work(platform: Platform) -> None:
    """A loop that stands still is seen."""
    await platform.trigger("task")
    await platform.server.loops["reconciler"].run_once()  # type: ignore[attr-defined]
    found = await _metrics(platform)

    assert found['trigger_loop_passed_timestamp_seconds{loop="timers"}'] > 0
    assert found['trigger_loop_passed_timestamp_seconds{loop="reconciler"}'] > 0


async def test_the_text_is_what_prometheus_reads(platform: Platform) -> None:
    """Every family has its help and its type; every line is a name, labels and a number."""
    await platform.http.get("/api/v3/runs/run_x")
    text = (await platform.http.get("/metrics", headers=TOKEN)).text

    number = r"-?[0-9.]+(e[+-]?[0-9]+)?"
    label = r'[a-z_]+="([^"\\\n]|\\.)*"'
    sample = re.compile(rf"(trigger_[a-z_]+)(\{{{label}(,{label})*\}})? {number}")
    described = set(re.findall(r"^# TYPE (\w+) (?:counter|gauge|histogram)$", text, re.MULTILINE))
    assert described == set(re.findall(r"^# HELP (\w+) .+$", text, re.MULTILINE))
    for line in text.splitlines():
        if not line.startswith("#"):
            match = sample.fullmatch(line)
            assert match, line
            assert re.sub("_(bucket|sum|count)$", "", match[1]) in described | {match[1]}


@pytest.mark.parametrize(
    ("settings", "given", "status"),
    [
        ({}, "", 401),
        ({}, "Bearer wrong", 401),
        ({}, f"Bearer {METRICS_TOKEN}", 200),
        ({"metrics_token": None}, "", 200),
        ({"metrics_token": None, "public_url": "https://t.example"}, "", 401),
    ],
)
async def test_metrics_are_for_those_who_have_the_token(
    settings: dict[str, str | None], given: str, status: int
) -> None:
    """Without one a public server shows them to nobody, and a private one to this machine."""
    async with serving(**settings) as platform:
        answer = await platform.http.get("/metrics", headers={"authorization": given})

    assert answer.status_code == status
