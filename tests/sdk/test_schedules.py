"""``@schedules.task`` and the schedules namespace."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from support.dev import clean_env, write_project
from trigger_core import superjson
from trigger_core.errors import ConfigError, InvalidScheduleError
from trigger_sdk import Context, Schedule, ScheduledPayload, schedules

NINE = datetime(2026, 1, 31, 9, tzinfo=UTC)
WIRE = {
    "scheduleId": "sched_x",
    "type": "IMPERATIVE",
    "timestamp": NINE,
    "lastTimestamp": NINE - timedelta(days=1),
    "externalId": "user_1",
    "timezone": "Europe/Berlin",
    "upcoming": [NINE + timedelta(days=1)],
}


@schedules.task(cron="0 9 * * 1-5", timezone="Europe/Berlin", window="30m", catch_up="last")
async def morning_report(payload: ScheduledPayload) -> str:
    """Send the report."""
    return payload.schedule_id


@schedules.task(every=timedelta(seconds=90), id="beat", max_duration="5m")
def heartbeat(ctx: Context, payload) -> Any:
    return payload


@schedules.task()
def for_customers(payload: ScheduledPayload) -> None: ...


@schedules.task(cron="@daily")
def nothing() -> None: ...


def test_a_declaration_is_kept_with_the_task() -> None:
    """And the options of ``@task`` are its options."""
    spec = morning_report.spec
    assert (spec.id, spec.is_scheduled, spec.description) == (
        "morning-report",
        True,
        "Send the report.",
    )
    assert spec.schedule is not None
    assert spec.schedule.to_wire() == {
        "cron": "0 9 * * 1-5",
        "timezone": "Europe/Berlin",
        "window": "30m",
        "catchUp": "last",
    }
    assert (heartbeat.spec.id, heartbeat.spec.max_duration_ms) == ("beat", 300_000)
    assert heartbeat.spec.schedule == Schedule(every=timedelta(seconds=90))
    assert heartbeat.spec.schedule.to_wire() == {
        "every": "1m30s",
        "timezone": "UTC",
        "catchUp": "none",
    }
    assert (for_customers.spec.is_scheduled, for_customers.spec.schedule) == (True, None)


def test_the_payload_is_typed_with_and_without_an_annotation() -> None:
    """Moments are aware datetimes."""
    payload = superjson.decode(superjson.encode(WIRE))
    for task in (morning_report, heartbeat):
        _, kwargs = task.signature.bind(payload, None)
        assert kwargs["payload"] == ScheduledPayload(
            timestamp=NINE,
            last_timestamp=NINE - timedelta(days=1),
            schedule_id="sched_x",
            type="IMPERATIVE",
            external_id="user_1",
            timezone="Europe/Berlin",
            upcoming=[NINE + timedelta(days=1)],
        )
    assert nothing.signature.bind(payload, None) == ((), {})


def test_a_scheduled_task_can_be_triggered_by_hand() -> None:
    """With a payload of one's own; a moment is enough."""
    packet = morning_report.encode_payload((ScheduledPayload(timestamp=NINE),), {})
    _, kwargs = morning_report.signature.bind(superjson.decode(packet.data or ""), None)

    assert kwargs["payload"] == ScheduledPayload(timestamp=NINE)
    assert kwargs["payload"].schedule_id == "sched_1234"
    _, kwargs = morning_report.signature.bind({"timestamp": "2026-01-31T09:00:00Z"}, None)
    assert kwargs["payload"].timestamp == NINE


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"cron": "0 0 9 * * *"}, "INVALID_CRON"),
        ({"cron": "@daily", "timezone": "Mars/Olympus"}, "INVALID_TIMEZONE"),
        ({"every": "10ms"}, "INVALID_INTERVAL"),
        ({"every": "soon"}, "INVALID_INTERVAL"),
        ({"cron": "@daily", "every": "1h"}, "INVALID_SCHEDULE"),
        ({"cron": "@daily", "window": "25h"}, "INVALID_WINDOW"),
        ({"cron": "@daily", "catch_up": "some"}, "INVALID_SCHEDULE"),
        ({"cron": "@daily", "environments": ["MOON"]}, "INVALID_SCHEDULE"),
    ],
)
def test_a_wrong_declaration_is_refused_where_it_stands(said: dict[str, Any], code: str) -> None:
    """At import, without a platform."""
    with pytest.raises(ConfigError) as caught:
        schedules.task(**said)

    assert caught.value.code == code


def test_a_schedule_may_be_an_object() -> None:
    """With everything in it."""
    said = Schedule("@hourly", environments=["production"], window="none")
    made = schedules.task(cron=said)(nothing.fn)

    assert made.spec.schedule is said
    assert said.to_wire()["environments"] == ["PRODUCTION"]


def test_the_indexer_reports_schedules_and_names_the_line_of_a_wrong_one(tmp_path: Path) -> None:
    """Protocol D.5."""
    code = (
        "from trigger_sdk import schedules\n"
        "@schedules.task(cron='0 9 * * *', timezone='Asia/Tokyo')\n"
        "def nightly(): ...\n"
        "@schedules.task()\n"
        "def on_demand(payload): ...\n"
    )
    index = (
        "import json, pathlib\n"
        "from trigger_core.errors import TriggerError\n"
        "from trigger_worker import indexer\n"
        "from trigger_worker.sources import Sources\n"
        "try:\n"
        "    found = indexer.index(Sources(pathlib.Path().resolve()))\n"
        "    print(json.dumps([task.to_wire() for task in found.metadata.tasks]))\n"
        "except TriggerError as error:\n"
        "    print(json.dumps(error.report()))\n"
    )

    def indexed(text: str) -> Any:
        write_project(tmp_path, text)
        shown = subprocess.run(
            [sys.executable, "-c", index],
            cwd=tmp_path,
            env=clean_env(),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(shown.stdout)

    nightly, on_demand = indexed(code)
    assert nightly["triggerSource"] == on_demand["triggerSource"] == "schedule"
    assert nightly["schedule"] == {
        "cron": "0 9 * * *",
        "timezone": "Asia/Tokyo",
        "catchUp": "none",
    }
    assert "schedule" not in on_demand
    error = indexed(code.replace("0 9 * * *", "0 25 * * *"))
    assert error["at"] == "tasks/main.py:2"
    assert error["because"] == "ConfigError: '0 25 * * *' is not a cron expression"
    assert "hour: 0 to 23" in error["fix"]


class _Recorder(BaseHTTPRequestHandler):
    """Answers every request with one schedule, or a page of two pages, and notes what was asked."""

    seen: list[tuple[str, str, Any]]

    def _serve(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.seen.append((self.command, self.path, body))  # type: ignore[attr-defined]
        schedule = {
            "id": "sched_x",
            "type": "IMPERATIVE",
            "task": "morning-report",
            "active": True,
            "generator": {"type": "CRON", "expression": "@daily", "description": "d"},
            "timezone": "UTC",
            "environments": [],
        }
        answer: Any = schedule
        if self.path.startswith("/api/v1/schedules?"):
            pages = {"currentPage": 1, "totalPages": 2, "count": 2}
            answer = {"data": [schedule], "pagination": pages}
        elif self.path.startswith("/api/v1/timezones"):
            answer = {"timezones": ["UTC"]}
        elif "/next" in self.path:
            answer = {"data": [{"timestamp": "t", "effectiveAt": "e"}]}
        content = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - names of the standard library

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str, Any]]]:
    """What a platform was asked."""
    server = HTTPServer(("127.0.0.1", 0), _Recorder)
    server.seen = []  # type: ignore[attr-defined]
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("TRIGGER_API_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("TRIGGER_SECRET_KEY", f"tr_dev_{server.server_port}")
    yield server.seen  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


BODY = {"task": "morning-report", "cron": "@daily", "timezone": "UTC", "catchUp": "none"}


def test_every_call_has_a_blocking_twin(asked: list[tuple[str, str, Any]]) -> None:
    """They ask the same."""
    made = schedules.create_sync(morning_report, cron="@daily", deduplication_key="k")
    assert made.id == "sched_x"
    schedules.update_sync("a/b", "morning-report", every="30s")
    schedules.retrieve_sync("k")
    schedules.activate_sync("k")
    schedules.deactivate_sync("k")
    schedules.delete_sync("k")
    assert len([one.id for one in schedules.list_sync()]) == 2
    assert [tick.timestamp for tick in schedules.upcoming_sync("k", 3)] == ["t"]
    assert schedules.timezones_sync(exclude_utc=True) == ["UTC"]
    blocking = asked.copy()
    asked.clear()
    asyncio.run(_ask_everything())

    assert asked == blocking
    assert blocking == [
        ("POST", "/api/v1/schedules", BODY | {"deduplicationKey": "k"}),
        (
            "PUT",
            "/api/v1/schedules/a%2Fb",
            {"task": "morning-report", "every": "30s", "timezone": "UTC", "catchUp": "none"},
        ),
        ("GET", "/api/v1/schedules/k", None),
        ("POST", "/api/v1/schedules/k/activate", None),
        ("POST", "/api/v1/schedules/k/deactivate", None),
        ("DELETE", "/api/v1/schedules/k", None),
        ("GET", "/api/v1/schedules?page=1&perPage=100", None),
        ("GET", "/api/v1/schedules?page=2&perPage=100", None),
        ("GET", "/api/v1/schedules/k/next?count=3", None),
        ("GET", "/api/v1/timezones?excludeUtc=true", None),
    ]


async def _ask_everything() -> None:
    await schedules.create(morning_report, cron="@daily", deduplication_key="k")
    await schedules.update("a/b", "morning-report", every="30s")
    await schedules.retrieve("k")
    await schedules.activate("k")
    await schedules.deactivate("k")
    await schedules.delete("k")
    assert len([one.id async for one in schedules.list()]) == 2
    await schedules.upcoming("k", 3)
    await schedules.timezones(exclude_utc=True)


def test_an_interval_that_is_none_is_refused_before_it_is_sent() -> None:
    """Without a platform."""
    with pytest.raises(InvalidScheduleError):
        schedules.create_sync("x", every="soon", deduplication_key="k")
