"""Values that are marked secret stay out of everything that runs and servers write."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from support import dump, otlp
from support.http import PROJECT, Platform, serving
from trigger_core.redaction import Hidden
from trigger_platform import log_lines

SECRET = "hunter2-hunter2-hunter2"
ENVVARS = f"/api/v1/projects/{PROJECT}/envvars/dev"


async def _set(platform: Platform, value: str, *, is_secret: bool = True) -> None:
    body = {"name": "TOKEN", "value": value, "isSecret": is_secret}
    assert (await platform.http.post(ENVVARS, json=body)).status_code == 200


async def _begun(platform: Platform) -> dict[str, Any]:
    await platform.trigger("task")
    [run] = await platform.work("task")
    held = {"runId": run["runId"], "lease": run["lease"]}
    await platform.report(started=[held | {"at": platform.clock.now()}])
    return held


def _line(held: dict[str, Any], number: int, message: str, **more: Any) -> dict[str, Any]:
    record = {
        "attempt": 1,
        "time": "2026-01-01T00:00:00.000Z",
        "level": "INFO",
        "source": "stdout",
        "message": message,
    }
    return held | {"number": number, "record": record | more}


async def _told(platform: Platform, held: dict[str, Any]) -> list[str]:
    path = f"/api/v1/runs/{held['runId']}/logs"
    data = (await platform.http.get(path)).json()["data"]
    return [one["message"] + json.dumps(one.get("attributes", "")) for one in data]


async def test_what_a_run_writes_and_fails_with_has_no_secrets(address: str) -> None:
    """Lines, attributes, errors with traces, and what comes over OpenTelemetry; nor has the database."""
    async with serving(address) as platform:
        await _set(platform, SECRET)
        held = await _begun(platform)
        lines = [
            _line(held, 1, f"token={SECRET};"),
            _line(held, 2, "half of it is hunter2-hun"),
            _line(held, 3, "ter2-hunter2 the other"),
            _line(held, 4, "x", attributes={"headers": [{"auth": f"Bearer {SECRET}"}]}),
        ]
        error = {
            "type": "BUILT_IN_ERROR",
            "name": "ValueError",
            "message": f"bad token {SECRET}",
            "stackTrace": f'File "a.py"\n    raise ValueError("bad token {SECRET}")',
        }
        who = {"ctx.run.id": held["runId"]}
        span = otlp.span(
            "a" * 16,
            f"GET /?token={SECRET}",
            status={"code": 2, "message": SECRET},
            attributes=otlp.attributes({"http.header": SECRET, "n": 1}),
            events=[
                {
                    "name": "exception",
                    "timeUnixNano": "1764000000001000000",
                    "attributes": otlp.attributes({"message": SECRET}),
                }
            ],
        )
        record = otlp.line(SECRET, attributes=otlp.attributes({"k": SECRET}))
        await platform.http.post("/otel/v1/traces", json=otlp.traces(who, span))
        await platform.http.post("/otel/v1/logs", json=otlp.logs(who, record))
        failed = held | {"ok": False, "error": error}
        await platform.report(logs=lines, completions=[failed])

        told = await _told(platform, held)
        assert len(told) == 5
        assert not any("hunter2" in one for one in told)
        assert 'token=<redacted>;""' in told
        run = await platform.http.get(f"/api/v3/runs/{held['runId']}")
        assert run.json()["error"]["message"] == "bad token <redacted>"
        assert "hunter2" not in run.text
    stolen = dump.bytes_of(address)
    assert b"bad token <redacted>" in stolen
    assert b"hunter2" not in stolen


async def test_a_change_counts_at_once_and_for_attempts_that_have_the_old_value(
    address: str,
) -> None:
    """On every server of the database."""
    async with serving(address) as platform, serving(address) as other:
        await _set(platform, "old-value-old-value")
        held = await _begun(other)
        await other.report(logs=[_line(held, 1, "old-value-old-value")])
        await _set(platform, "new-value-new-value")
        both = "old-value-old-value new-value-new-value"
        await other.report(logs=[_line(held, 2, both)])

        assert await _told(platform, held) == ['<redacted>""', '<redacted> <redacted>""']


async def test_a_value_that_is_no_secret_is_told(address: str) -> None:
    """Only what is marked is hidden."""
    async with serving(address) as platform:
        await _set(platform, "production", is_secret=False)
        held = await _begun(platform)
        await platform.report(logs=[_line(held, 1, "in production")])

        assert await _told(platform, held) == ['in production""']


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.mark.parametrize("as_json", [True, False])
def test_the_log_of_a_server_has_no_secrets(root: logging.Logger, as_json: bool) -> None:
    """Neither in the words, nor in what they are filled with, nor in a traceback."""
    stream, hidden = io.StringIO(), Hidden()
    log_lines.configure(as_json=as_json, stream=stream)
    log_lines.hide(hidden)
    hidden.add(SECRET)
    root.warning("with %s and %s", SECRET, {"k": SECRET})
    try:
        int(f"bad {SECRET}")
    except ValueError:
        root.exception("it failed: tr_prod_%s", "x1" * 12)
    told = stream.getvalue()

    assert "hunter2" not in told
    assert "x1x1" not in told
    assert "'bad <redacted>'" in told
    assert told.count("<redacted>") >= 4
    if as_json:
        assert len([json.loads(line) for line in told.splitlines()]) == 2


async def test_a_server_knows_the_secrets_it_wrote_and_read(address: str) -> None:
    """Those alone."""
    async with serving(address) as platform:
        await _set(platform, SECRET)
        hidden = platform.server.units.keys.hidden
        assert hidden.text(SECRET) == "<redacted>"
    async with serving(address) as platform:
        hidden = platform.server.units.keys.hidden
        assert hidden.text(SECRET) == SECRET
        await platform.http.get(f"/api/v1/projects/{PROJECT}/envvars")
        assert hidden.text(SECRET) == "<redacted>"
