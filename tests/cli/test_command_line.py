"""The command line without a session: help, failures in one shape, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.dev import run_cli, write_project

UNREACHABLE = {"TRIGGER_API_URL": "http://127.0.0.1:9", "TRIGGER_SECRET_KEY": "tr_dev_x"}


def test_help_lists_every_command(tmp_path: Path) -> None:
    """With one line each."""
    shown = run_cli("--help", cwd=tmp_path)

    assert shown.returncode == 0
    for command in ("init", "dev", "run", "runs", "schedules", "idempotency", "public-tokens"):
        assert f"  {command} " in shown.stdout


@pytest.mark.parametrize(
    "command", ["init", "dev", "run", "runs", "schedules", "idempotency", "public-tokens"]
)
def test_every_command_has_help(tmp_path: Path, command: str) -> None:
    """And needs nothing for it."""
    assert run_cli(command, "--help", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (["nonsense"], 2, "USAGE"),
        (["run"], 2, "USAGE"),
        (["run", "x", "{not json"], 2, "PAYLOAD_NOT_JSON"),
        (["run", "x", "@missing.json"], 2, "PAYLOAD_UNREADABLE"),
        (["run", "x", "--delay", "soonish"], 2, "INVALID_DURATION"),
        (["run", "x", "--machine", "huge"], 2, "USAGE"),
        (["run", "x"], 3, "NO_SESSION"),
        (["runs", "list"], 3, "NO_SESSION"),
        (["schedules", "list"], 3, "NO_SESSION"),
        (["schedules", "next", "--cron", "0 0 9 * * *"], 2, "INVALID_CRON"),
        (["schedules", "next", "--cron", "@daily", "--timezone", "Mars"], 2, "INVALID_TIMEZONE"),
        (["schedules", "next", "x", "--cron", "@daily"], 2, "USAGE"),
        (["schedules", "create", "x", "k", "--cron", "@daily", "--catch-up", "some"], 2, "USAGE"),
        (["schedules", "create", "x", "k"], 2, "INVALID_SCHEDULE"),
        (["dev"], 2, "CONFIG_MISSING"),
        (["init"], 2, "CONFIRMATION_NEEDED"),
    ],
)
def test_a_mistake_is_answered_in_one_shape(
    tmp_path: Path, arguments: list[str], exit_code: int, code: str
) -> None:
    """``error CODE: what``, with the documentation's place, and never a traceback."""
    shown = run_cli(*arguments, cwd=tmp_path)

    assert shown.returncode == exit_code
    assert shown.stderr.startswith(f"error {code}: ")
    assert f"docs: docs/reference/errors.md#{code.lower()}" in shown.stderr
    assert "Traceback" not in shown.stderr
    assert shown.stdout == ""


def test_with_json_a_failure_is_json(tmp_path: Path) -> None:
    """The same keys, on stdout."""
    shown = run_cli("runs", "list", "--json", cwd=tmp_path)

    error = json.loads(shown.stdout)["error"]
    assert error["code"] == "NO_SESSION"
    assert {"what", "because", "fix", "docs"} <= set(error)


def test_a_platform_that_is_away_is_named(tmp_path: Path) -> None:
    """With the address that was tried."""
    shown = run_cli("runs", "list", cwd=tmp_path, env=UNREACHABLE)

    assert shown.returncode == 1
    assert "CONNECTION_FAILED" in shown.stderr
    assert "127.0.0.1:9" in shown.stderr


def test_a_payload_over_three_mebibytes_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    """Nothing is asked of the platform."""
    (tmp_path / "big.json").write_text(json.dumps("x" * (3 * 1024 * 1024)))
    shown = run_cli("run", "x", "@big.json", cwd=tmp_path, env=UNREACHABLE)

    assert "PAYLOAD_TOO_LARGE" in shown.stderr


def test_an_unwritable_folder_is_an_error_with_a_fix(tmp_path: Path) -> None:
    """Where a file stands in the way of the data folder, for root too."""
    write_project(tmp_path, "")
    (tmp_path / ".trigger").write_text("in the way")
    shown = run_cli("dev", "--port", "0", cwd=tmp_path)

    assert shown.returncode == 1
    assert "FOLDER_NOT_WRITABLE" in shown.stderr


def test_a_session_that_died_is_recognised(tmp_path: Path) -> None:
    """Its file is there, its process is not."""
    folder = tmp_path / ".trigger"
    folder.mkdir()
    session = {
        "apiUrl": "http://127.0.0.1:9",
        "secretKey": "k",
        "accessToken": "t",
        "projectRef": "p",
        "dashboardUrl": "http://127.0.0.1:9",
        "pid": 2**22 - 1,
    }
    (folder / "dev.json").write_text(json.dumps(session))
    shown = run_cli("runs", "list", cwd=tmp_path)

    assert shown.returncode == 3
    assert "has ended" in shown.stderr


def test_the_next_ticks_of_an_expression_need_no_session(tmp_path: Path) -> None:
    """Nominal and effective, as text and as JSON."""
    arguments = ["schedules", "next", "--every", "90s", "-n", "3", "--timezone", "Asia/Tokyo"]
    shown = run_cli(*arguments, cwd=tmp_path)
    assert shown.returncode == 0
    assert shown.stdout.startswith("NOMINAL (Asia/Tokyo)")
    assert shown.stdout.count(" JST") == 3

    ticks = json.loads(run_cli(*arguments, "--json", cwd=tmp_path).stdout)
    assert len(ticks) == 3
    assert all(tick["timestamp"] == tick["effectiveAt"] for tick in ticks)
    assert "Europe/Berlin\n" in run_cli("schedules", "timezones", cwd=tmp_path).stdout
