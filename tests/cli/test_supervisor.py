"""``trigger supervisor``, and the token it needs: ``trigger server create-worker-group``."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from support.dev import run_cli
from support.live import listening

TOKEN = {"TRIGGER_WORKER_TOKEN": "tr_wgt_x"}


@pytest.mark.parametrize(
    ("arguments", "env", "code", "fix"),
    [
        ([], {}, "WORKER_TOKEN_MISSING", "trigger server create-worker-group"),
        ([], {"TRIGGER_WORKER_TOKEN": "file:///none"}, "SECRET_UNREADABLE", "readable"),
        (["--bundles", "none"], TOKEN, "BUNDLES_MISSING", "--bundles"),
    ],
)
def test_what_it_lacks_is_said_with_what_to_do(
    tmp_path: Path, arguments: list[str], env: dict[str, str], code: str, fix: str
) -> None:
    done = run_cli("supervisor", "start", *arguments, cwd=tmp_path, env=env)

    assert done.returncode != 0
    assert f"error {code}:" in done.stderr
    assert fix in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = ["--bundles", str(tmp_path), "--port", port]
        done = run_cli("supervisor", "start", *words, cwd=tmp_path, env=TOKEN)

    assert "error PORT_IN_USE:" in done.stderr


async def test_a_token_that_is_wrong_is_said(tmp_path: Path) -> None:
    """And exits as a login that failed does."""
    async with listening() as platform:
        words = ["--bundles", str(tmp_path), "--port", "0", "--api-url", platform.server.url]
        call: Any = lambda: run_cli("supervisor", "start", *words, cwd=tmp_path, env=TOKEN)  # noqa: E731
        done = await asyncio.to_thread(call)

    assert done.returncode == 3
    assert "Invalid or missing worker token" in done.stderr


def test_a_group_is_made_once_and_its_token_shown(tmp_path: Path) -> None:
    database = str(tmp_path / "platform.db")
    made = run_cli("server", "create-worker-group", "--database", database, cwd=tmp_path)
    other = run_cli(
        *("server", "create-worker-group", "other", "--database", database, "--json"), cwd=tmp_path
    )
    again = run_cli("server", "create-worker-group", "--database", database, cwd=tmp_path)

    assert made.stdout.startswith("tr_wgt_")
    shown = json.loads(other.stdout)
    assert (shown["name"], shown["token"][:7]) == ("other", "tr_wgt_")
    assert shown["token"] != made.stdout.strip()
    assert again.returncode == 5
    assert "error WORKER_GROUP_EXISTS:" in again.stderr
