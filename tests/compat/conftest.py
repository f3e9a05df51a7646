"""The official npm clients, unmodified, before a real session with Python tasks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dev import Dev, write_project
from support.npm import VERSIONS, Official

TASKS = """
from datetime import timedelta
from trigger_sdk import *

@task(isolation="reuse")
async def hello(message: str = "nobody", mark: str = "!") -> dict:
    return {"greeting": f"Hello, {message}{mark}"}

@task(isolation="reuse")
async def double(n: int) -> int:
    return 2 * n

@task(isolation="reuse", retry=Retry(max_attempts=1))
async def broken() -> None:
    raise ValueError("no luck")

@task(isolation="reuse", retry=Retry(max_attempts=3, min_delay="10ms", max_delay="10ms"))
async def third_time(ctx: Context) -> int:
    if ctx.attempt.number < 3:
        raise RuntimeError("not yet")
    return ctx.attempt.number

@task(isolation="reuse")
async def echo(payload: object) -> object:
    return payload

@task(isolation="reuse", queue=Queue("narrow", concurrency_limit=2))
async def narrow() -> None: ...

@task(isolation="reuse")
async def approval(token: str) -> object:
    return await wait.for_token(token).unwrap()

@schedules.task(id="ticking")
async def ticking(payload: ScheduledPayload) -> None: ...

@task
async def long() -> None:
    await wait.for_(hours=1)
"""


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One session for all tests of a worker."""
    folder: Path = write_project(tmp_path_factory.mktemp("compat"), TASKS)
    dev = Dev(folder)
    yield dev
    assert dev.stop() == 0


@pytest.fixture(params=VERSIONS)
def official(request: pytest.FixtureRequest, session: Dev) -> Official:
    """The official SDK, each pinned version of it."""
    return Official(request.param, session.session["apiUrl"], session.session["secretKey"])
