"""The whole system with its data on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import postgres
from support.dev import Dev, run_cli, until, write_project
from trigger_core.errors import ConnectionFailedError

pytestmark = pytest.mark.slow

TASKS = """
from trigger_sdk import task, wait

@task
async def double(n: int) -> int:
    await wait.for_(seconds=0.05)
    return 2 * n

@task
async def total(count: int) -> int:
    results = await double.batch_trigger_and_wait(list(range(count)))
    return sum(result.unwrap() for result in results)
"""


def test_runs_are_executed_and_survive_the_platform(tmp_path: Path) -> None:
    """Children, waits and a platform that is killed in between."""
    address = postgres.emptied_database()
    dev = Dev(write_project(tmp_path, TASKS), "--database", address)
    try:
        first = dev.run("total", 5)
        assert first.output == 20
        before = len(dev.events)
        dev.kill("trigger_platform")
        dev.event("notice", before)
        until(lambda: _answers(dev, first.id), what="an answer of the new platform")

        assert dev.run("total", 3).output == 6
        assert dev.get(first.id).output == 20
        assert not list((tmp_path / ".trigger").glob("*.db"))
    finally:
        dev.stop()


def _answers(dev: Dev, run_id: str) -> bool:
    try:
        dev.get(run_id)
    except ConnectionFailedError:
        return False
    return True


def test_an_address_that_leads_nowhere_is_one_error_with_a_fix(tmp_path: Path) -> None:
    """Not a traceback."""
    write_project(tmp_path, TASKS)
    ended = run_cli(
        "dev", "--port", "0", "--database", "postgresql://u:secret@127.0.0.1:1/x", cwd=tmp_path
    )

    assert ended.returncode == 1
    assert "STORE_UNREACHABLE" in ended.stderr
    assert "fix:" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "secret" not in ended.stderr
