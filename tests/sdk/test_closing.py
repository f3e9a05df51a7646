"""The end of a program that called the platform and blocked."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from support.dev import clean_env
from support.live import listening

_LAST_CALL = """
import atexit
from trigger_sdk import task, runs

@task
def greet() -> None: ...

@atexit.register
def bye() -> None:
    print(len(list(runs.list_sync())))

greet.trigger_sync()
"""
_SENT = """
from trigger_sdk import task

@task
def greet() -> None: ...

print(greet.trigger_sync().id)
"""


async def _run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run a program that says what it left open."""
    async with listening() as platform:
        env = clean_env() | {
            "TRIGGER_API_URL": platform.server.url,
            "TRIGGER_SECRET_KEY": platform.key,
        }
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-W", "always::ResourceWarning", "-c", code],
            env=env,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )


async def test_a_program_leaves_no_connection_open(tmp_path: Path) -> None:
    """It need not close anything itself."""
    shown = await _run(tmp_path, _SENT)

    assert shown.stdout.startswith("run_")
    assert (shown.stderr, shown.returncode) == ("", 0)


async def test_a_program_may_call_at_its_very_end(tmp_path: Path) -> None:
    """After its connections were closed."""
    shown = await _run(tmp_path, _LAST_CALL)

    assert (shown.stdout, shown.returncode) == ("1\n", 0)
    assert "Error" not in shown.stderr
