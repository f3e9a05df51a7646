"""Error leakage: neither SQL, nor a path, nor a key in any answer or log line."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from support.http import Platform
from support.routes import filled
from trigger_platform import log_lines
from trigger_platform.app import ENDPOINTS

SOURCE = Path(__file__).parents[2] / "src"


def _break(server: Any) -> None:
    """Take the tables away from under the server."""

    def drop(tx: Any) -> None:
        connection = tx._connection
        found = "select name from sqlite_master where type = 'table' and name not like 'sqlite_%'"
        for (name,) in connection.execute(found).fetchall():
            if name not in {"environment", "project", "access_token", "app_user", "member"}:
                connection.execute(f"drop table {name}")

    server.units.db.submit(drop).result()


BODIES: dict[str, Any] = {"payload": 1, "options": {}, "items": [{"task": "t"}], "runCount": 1}


async def test_error_leakage_no_route_shows_what_broke(platform: Platform) -> None:
    """Neither SQL, nor a path of this machine, nor a key, on any route; the number of a log line instead."""
    _break(platform.server)
    broken = 0
    for one in ENDPOINTS:
        if one.path.startswith("/live"):
            continue
        answer = await platform.http.request(one.method, filled(one), json=BODIES)
        text = answer.text.lower()
        assert "no such table" not in text, one.path
        assert "sqlite" not in text, one.path
        assert "traceback" not in text, one.path
        assert str(SOURCE).lower() not in text, one.path
        assert platform.key.lower() not in text, one.path
        broken += answer.status_code in {500, 503}
    assert broken > 10


async def test_error_leakage_a_path_begins_no_line_of_the_log(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    """Line breaks and escapes in what somebody asks for are spelled out, as text and as JSON."""
    _break(platform.server)
    evil = "/api/v3/runs/x%0a2026-01-01%20ERROR%20forged%1b[2J%0d%c2%9b31m"
    with caplog.at_level(logging.INFO):
        assert (await platform.http.get(evil)).status_code == 503
    records = [record for record in caplog.records if "forged" in record.getMessage()]
    assert records
    for record in records:
        for formatter in (log_lines.TextLines(), log_lines.JsonLines()):
            record.exc_info = None
            line = formatter.format(record)
            assert not set(line) & {"\n", "\r", "\x1b"}
    assert "\\x0a2026" in log_lines.TextLines().format(records[0])


async def test_error_leakage_no_log_line_has_a_credential(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither of the headers, nor of the query, nor of the body, also of a request that fails."""
    _break(platform.server)
    with caplog.at_level(logging.DEBUG):
        for one in ENDPOINTS:
            if one.path.startswith("/live"):
                continue
            body = {"password": "s3cret-in-body", "value": "s3cret-in-body"} | BODIES
            address = f"{filled(one)}?token=s3cret-in-query"
            await platform.http.request(
                one.method,
                address,
                json=body,
                headers={"cookie": "trigger_session=s3cret-in-cookie"},
            )
    ours = [one for one in caplog.records if one.name.startswith("trigger_")]
    assert ours
    lines = log_lines.JsonLines()
    told = "\n".join(map(lines.format, ours))
    for secret in (platform.key, "s3cret-in-body", "s3cret-in-query", "s3cret-in-cookie"):
        assert secret not in told
