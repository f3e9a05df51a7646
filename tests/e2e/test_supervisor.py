"""A supervisor, its runners and their platform: real processes all of them, of which one is killed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.deploying import deploy
from support.dev import Dev, until, write_project
from support.http import Platform
from support.supervised import lay_down
from support.supervisor_process import SupervisorProcess

pytestmark = pytest.mark.slow

PYTHON = """
from trigger_sdk import *

@task
async def nothing() -> None: ...
"""


async def _deploy(url: str, headers: dict[str, str]) -> str:
    """Deploy a task; return its image."""
    async with httpx.AsyncClient(base_url=url, headers=headers) as http:
        prod: Any = Platform(server=None, clock=None, http=http)
        return str((await deploy(prod, "task"))["imageTag"])


def test_an_attempt_that_ends_while_the_platform_is_away_has_ended(tmp_path: Path) -> None:
    """Its end is told again and again, and it is not tried again."""
    go, mark = tmp_path / "go", tmp_path / "mark"
    session = Dev(write_project(tmp_path / "python", PYTHON))
    url, ref = session.session["apiUrl"], session.session["projectRef"]
    token = {"authorization": f"Bearer {session.session['accessToken']}"}
    key = httpx.get(f"{url}/api/v1/projects/{ref}/prod", headers=token).json()["apiKey"]
    headers = {"authorization": f"Bearer {key}", "x-trigger-api-version": "2025-07-16"}
    bundles = tmp_path / "bundles"
    lay_down(bundles, asyncio.run(_deploy(url, headers)))
    supervisor = SupervisorProcess(session, bundles, tmp_path / "supervisor.log")
    with httpx.Client(base_url=url, headers=headers, timeout=10) as http:
        wanted = {"do": "wait", "until": str(go), "file": str(mark)}
        body = {"payload": wanted, "options": {"maxAttempts": 3}}
        run_id = http.post("/api/v1/tasks/task/trigger", json=body).json()["id"]
        until(mark.exists)
        session.kill("trigger_platform")
        go.touch()

        def ended() -> Any:
            try:
                run = http.get(f"/api/v3/runs/{run_id}").json()
            except httpx.TransportError:
                return None
            return run if run.get("isCompleted") else None

        run = until(ended, 60, "the end of the run")
    assert (run["status"], run["attemptCount"]) == ("COMPLETED", 1)
    assert supervisor.stop() == 0
    assert session.stop() == 0
