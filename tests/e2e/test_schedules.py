"""Scheduled tasks in a real session."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from support.dev import Dev, run_cli, until
from trigger_core.api.calls import runs as run_calls
from trigger_core.schemas.runs import RunSummary

pytestmark = pytest.mark.slow

TASKS = """
from trigger_sdk import ScheduledPayload, schedules, task

@schedules.task(every="1s")
def beat(payload: ScheduledPayload) -> dict:
    return {
        "type": type(payload).__name__,
        "at": payload.timestamp,
        "last": payload.last_timestamp,
        "upcoming": len(payload.upcoming),
    }

@schedules.task(cron="0 9 * * 1-5", timezone="Europe/Berlin")
async def report() -> None: ...

@schedules.task()
def customer(payload: ScheduledPayload) -> str:
    return payload.external_id or ""
"""


def beats(dev: Dev) -> list[RunSummary]:
    """Return the runs of ``beat``, newest first."""
    return dev.client.send(run_calls.list_page(size=100, task=["beat"])).data


def test_a_task_runs_by_itself_while_a_worker_is_there(start: Callable[..., Dev]) -> None:
    """Every second, its payload typed; a worker that is silent for 15 s stops it, its return starts it."""
    dev = start(TASKS)
    loaded = {one["id"]: one.get("schedule") for one in dev.event("loaded")["tasks"]}
    assert loaded["beat"] == {"expression": "@every 1s", "timezone": "UTC"}
    assert loaded["report"] == {"expression": "0 9 * * 1-5", "timezone": "Europe/Berlin"}
    assert loaded["customer"] is None

    until(lambda: len(beats(dev)) >= 4, what="four beats")
    outputs = [dev.result(run.id).output for run in beats(dev)[:4]][::-1]
    assert {output["type"] for output in outputs} == {"ScheduledPayload"}
    assert {output["upcoming"] for output in outputs} == {10}
    for earlier, later in pairwise(outputs):
        assert later["last"] == earlier["at"]
        moments = [datetime.fromisoformat(one["at"]) for one in (earlier, later)]
        assert moments[1] - moments[0] == timedelta(seconds=1)

    worker = dev.child("trigger_worker")
    os.kill(worker, signal.SIGSTOP)
    try:
        time.sleep(17)
        silent = len(beats(dev))
        time.sleep(3)
        assert len(beats(dev)) == silent
        shown = run_cli("schedules", "get", "beat", cwd=dev.folder)
        assert "no dev session was there" in shown.stdout
    finally:
        os.kill(worker, signal.SIGCONT)
    until(lambda: len(beats(dev)) > silent, what="another beat")


def test_schedules_are_managed_from_the_command_line(start: Callable[..., Dev]) -> None:
    """Create, list, look ahead, change, switch, delete."""
    dev = start(TASKS)

    def cli(*arguments: str) -> str:
        shown = run_cli("schedules", *arguments, cwd=dev.folder)
        assert shown.returncode == 0, shown.stderr
        return str(shown.stdout)

    made = json.loads(
        cli("create", "customer", "k1", "--every", "1s", "--external-id", "acme", "--json")
    )
    run_id = until(
        lambda: dev.client.send(run_calls.list_page(task=["customer"])).data, what="a run"
    )[0].id
    run = dev.result(run_id)
    assert (run.output, run.schedule and run.schedule.deduplication_key) == ("acme", "k1")

    listed = cli("list")
    assert made["id"] in listed
    assert "0 9 * * 1-5" in listed
    assert cli("next", "report", "-n", "3").count(":00:00 CE") == 3
    assert cli("next", "-n", "4").count("beat") >= 1
    changed = json.loads(cli("update", "k1", "--cron", "@hourly", "--json"))
    assert (changed["generator"]["expression"], changed["externalId"]) == ("@hourly", "acme")
    assert "active    no" in cli("deactivate", "k1")
    assert "active    yes" in cli("activate", "k1")
    assert made["id"] in cli("delete", "k1")
    gone = run_cli("schedules", "get", "k1", cwd=dev.folder)
    assert (gone.returncode, "SCHEDULE_NOT_FOUND" in gone.stderr) == (4, True)
