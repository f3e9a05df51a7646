"""Waiting for real: children, batches, tokens, in parallel and in recursion, through every process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.dev import Dev, until, write_project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("waiting")]

TASKS = """
import asyncio
from pydantic import BaseModel
from trigger_sdk import *

class Point(BaseModel):
    x: int
    y: int = 0

@task(isolation="reuse")
async def double(n: int) -> int:
    return 2 * n

@task(retry=Retry(max_attempts=1))
def broken(n: int) -> int:
    raise ValueError(f"no {n}")

@task
async def move(point: Point) -> Point:
    return Point(x=point.x + 1, y=point.y)

@task
async def one() -> int:
    return await double.trigger_and_wait(21).unwrap()

@task
def one_blocking() -> int:
    return double.trigger_and_wait_sync(21).unwrap()

@task
async def typed() -> str:
    result = await move.trigger_and_wait(Point(x=1))
    return f"{result.ok} {type(result.output).__name__} {result.output.x} {result.task}"

@task
async def failing() -> str:
    result = await broken.trigger_and_wait(3)
    return f"{result.ok} {result.error.name} {result.error.message}"

@task(retry=Retry(max_attempts=1))
async def unwrapping() -> None:
    await broken.trigger_and_wait(3).unwrap()

@task
async def many(count: int) -> int:
    result = await double.batch_trigger_and_wait(range(count))
    assert result.outputs() == [2 * n for n in range(count)]
    return len(result)

@task
async def mixed() -> list[str]:
    result = await batch.trigger_and_wait([double.item(1), broken.item(2), move.item(Point(x=5))])
    return [f"{one.task} {one.ok}" for one in result]

@task
async def parallel() -> list[int]:
    return await asyncio.gather(*(double.trigger_and_wait(n).unwrap() for n in range(5)))

@task(queue=Queue("narrow", concurrency_limit=1))
async def factorial(n: int) -> int:
    return 1 if n <= 1 else n * await factorial.trigger_and_wait(n - 1).unwrap()

@task
async def approval() -> str:
    token = await wait.create_token(timeout="1h", tags=["approval"])
    print(token.id)
    print(token.url)
    decision = await wait.for_token(token, Point).unwrap()
    return f"{decision.x} {decision.y}"

@task
async def too_late() -> str:
    token = await wait.create_token(timeout="1s")
    result = await wait.for_token(token)
    return f"{result.ok} {result.error.code}"

@task
async def impatient() -> str:
    token = await wait.create_token()
    try:
        async with asyncio.timeout(0.3):
            await wait.for_token(token)
    except TimeoutError:
        return f"gave up, then {await double.trigger_and_wait(1).unwrap()}"

@task
async def refused() -> str:
    try:
        await double.with_options(tags=[str(n) for n in range(11)]).trigger_and_wait(1)
    except ApiError as error:
        return error.code

@task
async def nested() -> list:
    doubled = lambda n: double.trigger_and_wait(n).unwrap()
    slept = asyncio.gather(wait.for_(seconds=0.1), wait.for_(seconds=0.1))
    inner = asyncio.gather(doubled(1), asyncio.gather(doubled(2), doubled(3)), slept)
    first, second, _ = await asyncio.gather(inner, doubled(4), double.batch_trigger_and_wait([5]))
    return [first[0], first[1], second]

@task(retry=Retry(max_attempts=2, min_delay="10ms"))
async def scopes(ctx: Context) -> list:
    made = []
    for scope in ("run", "attempt", "global"):
        key = idempotency_keys.create("child", scope=scope)
        made.append((await double.with_options(idempotency_key=key).trigger(1)).id)
    print(*made)
    if ctx.attempt.number == 1:
        raise RuntimeError("once more")
    return made

@task
async def races() -> list[int]:
    keyed = double.with_options(idempotency_key="same")
    return await asyncio.gather(*(keyed.trigger_and_wait(7).unwrap() for n in range(4)))
"""


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One session for all."""
    session = Dev(write_project(tmp_path_factory.mktemp("project"), TASKS))
    yield session
    session.stop()


@pytest.mark.parametrize(
    ("task", "payload", "output"),
    [
        ("one", None, 42),
        ("one-blocking", None, 42),
        ("typed", None, "True Point 2 move"),
        ("failing", None, "False ValueError no 3"),
        ("many", 25, 25),
        ("mixed", None, ["double True", "broken False", "move True"]),
        ("parallel", None, [0, 2, 4, 6, 8]),
        ("factorial", 8, 40320),
        ("too-late", None, "False TRIGGER_WAITPOINT_TIMEOUT"),
        ("impatient", None, "gave up, then 2"),
        ("refused", None, "TOO_MANY_TAGS"),
        ("races", None, [14, 14, 14, 14]),
        ("nested", None, [2, [4, 6], 8]),
    ],
)
def test_a_task_waits_for_others(dev: Dev, task: str, payload: Any, output: Any) -> None:
    """One, many, mixed, in parallel, in recursion through a queue of one; results are typed."""
    run = dev.run(task, payload)

    assert (run.status, run.output) == ("COMPLETED", output), run.error


def test_an_idempotency_key_counts_for_the_run_the_attempt_or_everywhere(dev: Dev) -> None:
    """The second attempt finds the run of the first one, unless the key is the attempt's own."""
    one, other = dev.run("scopes"), dev.run("scopes")
    first, second = (line.message.split() for line in dev.logs(one.id) if "run_" in line.message)
    same = [before == after for before, after in zip(first, second, strict=True)]

    assert same == [True, False, True]
    assert isinstance(other.output, list)
    assert [a == b for a, b in zip(second, other.output, strict=True)] == [False, False, True]


def test_unwrapping_a_failure_fails_the_parent(dev: Dev) -> None:
    """With the child's error as the cause."""
    run = dev.run("unwrapping")

    assert run.status == "FAILED"
    assert run.error is not None
    assert "ValueError: no 3" in run.error.message


def test_a_token_is_completed_by_its_address(dev: Dev) -> None:
    """No key is needed; the body is read into the type that the task asks for."""
    run_id = dev.trigger("approval")
    lines = until(lambda: len(dev.logs(run_id)) == 2 and dev.logs(run_id), what="the token")
    until(lambda: dev.get(run_id).status == "WAITING", what="the wait")
    assert httpx.post(lines[1].message, json={"x": 3, "y": 4}).status_code == 200

    assert dev.result(run_id).output == "3 4"


def test_a_batch_of_five_hundred_comes_back(dev: Dev) -> None:
    """Fan-out and fan-in; the parent's attempt is one."""
    began = time.monotonic()
    run = dev.run("many", 500)

    assert (run.output, run.attempt_count) == (500, 1)
    assert time.monotonic() - began < 30


def test_waiting_survives_a_restart_of_the_platform(dev: Dev) -> None:
    """The wait is in the database; the worker finds its end when the platform is back."""
    run_id = dev.trigger("approval")
    lines = until(lambda: len(dev.logs(run_id)) == 2 and dev.logs(run_id), what="the token")
    until(lambda: dev.get(run_id).status == "WAITING", what="the wait")
    before = len(dev.events)
    dev.kill("trigger_platform")
    dev.event("notice", before)

    def completed() -> bool:
        try:
            return httpx.post(lines[1].message, json={"x": 1}).status_code == 200
        except httpx.TransportError:
            return False

    until(completed, what="an answer of the new platform")
    assert dev.result(run_id).output == "1 0"
