"""Runs executed for real: a dev session, its platform, its fork server, its processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dev import Dev, alive, until, write_project

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("executing")]

TASKS = """
import asyncio, logging, os, signal, subprocess, sys, time, warnings
from pydantic import BaseModel
from trigger_sdk import *

class Item(BaseModel):
    price: float

class Order(BaseModel):
    items: list[Item]

ONCE = Retry(max_attempts=1)

@task
async def echo(value: str) -> str:
    return value

@task
def total(order: Order) -> float:
    return sum(item.price for item in order.items)

@task
def pair(left: int, right: int = 2) -> list[int]:
    return [left, right]

@task
def noisy() -> None:
    print("one")
    print("two", file=sys.stderr)
    logging.getLogger("lib").warning("three")
    logger.info("four", n=4)
    warnings.warn("five")
    print("six", end="")

@task
def raw() -> None:
    subprocess.run(["echo", "from a child"], check=True)
    os.write(2, b"raw bytes\\n")

@task(retry=ONCE)
def leave(code: int) -> None:
    print("last words", file=sys.stderr)
    os._exit(code)

@task(retry=ONCE)
def kill(number: int) -> None:
    os.kill(os.getpid(), number)

@task(retry=ONCE)
def sys_exit() -> None:
    sys.exit(3)

@task(retry=ONCE)
def memory_error() -> None:
    raise MemoryError("too much")

@task(retry=ONCE, machine="micro")
def hungry() -> int:
    held = []
    while True:
        held.append(bytearray(8 * 1024 * 1024))
        time.sleep(0.005)

@task(retry=ONCE)
def unserializable():
    return {"ok": [1, open]}

@task
def abort() -> None:
    raise AbortTaskRunError("never again")

@task(retry=Retry(max_attempts=3, min_delay="10ms", randomize=False))
def flaky(ctx: Context) -> int:
    if ctx.attempt.number < 3:
        raise ValueError("not yet")
    return ctx.attempt.number

@task(retry=Retry(max_attempts=2, min_delay="10ms"))
def later(ctx: Context) -> int:
    if ctx.attempt.number == 1:
        raise RetryTaskError(delay="50ms")
    return ctx.attempt.number

@task
def process_id() -> int:
    return os.getpid()

@task(isolation="reuse")
def warm_process_id() -> int:
    return os.getpid()

@task
async def parallel_waits() -> float:
    began = time.monotonic()
    await asyncio.gather(wait.for_(seconds=0.6), wait.for_(seconds=0.6), wait.for_("600ms"))
    return time.monotonic() - began

@task
def blocking_wait() -> float:
    began = time.monotonic()
    wait.for_sync(seconds=0.3)
    return time.monotonic() - began

@task
async def cancelable() -> None:
    try:
        await asyncio.sleep(60)
    finally:
        print("cleaned up")

@task
def blocking() -> None:
    try:
        time.sleep(60)
    finally:
        print("cleaned up")

@task
def polite(ctx: Context) -> str:
    while not ctx.signal.is_canceled:
        time.sleep(0.01)
    return "stopped by itself"

@task(isolation="reuse")
def with_subprocess() -> None:
    child = subprocess.Popen(["sleep", "60"])
    print(child.pid)
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass

@task(max_duration="5s", retry=ONCE)
async def too_long() -> None:
    await wait.for_(seconds=0.1)
    while True:
        pass

@task
async def parent() -> str:
    handle = await echo.trigger("from the parent")
    run = await runs.poll(handle, interval="20ms")
    return run.output
"""


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One session for all tests of this file."""
    folder = write_project(tmp_path_factory.mktemp("project"), TASKS, config=', cancel_grace="3s"')
    session = Dev(folder)
    yield session
    session.stop()


@pytest.mark.parametrize(
    ("task", "payload", "output"),
    [
        ("echo", "héllo", "héllo"),
        ("total", {"items": [{"price": 1.5}, {"price": 2}]}, 3.5),
        ("pair", {"left": 1}, [1, 2]),
        ("flaky", None, 3),
        ("later", None, 2),
        ("parent", None, "from the parent"),
    ],
)
def test_a_run_returns_its_output(dev: Dev, task: str, payload: object, output: object) -> None:
    """One parameter is the payload, several are its keys; retries are taken."""
    run = dev.run(task, payload)

    assert (run.status, run.output) == ("COMPLETED", output)


def test_a_child_run_knows_its_parent(dev: Dev) -> None:
    """A trigger inside a run makes a child."""
    run = dev.run("parent")

    [child] = run.related_runs.children
    assert (child.task_identifier, child.depth) == ("echo", 1)


def test_everything_a_run_writes_is_kept_in_order(dev: Dev) -> None:
    """Print, stderr, logging, the logger, warnings, and a last line without an end."""
    run = dev.run("noisy")

    lines = dev.logs(run.id)
    assert [line.source for line in lines] == [
        "stdout",
        "stderr",
        "logging",
        "logger",
        "logging",
        "stdout",
    ]
    assert [line.message for line in lines if "five" not in line.message] == [
        "one",
        "two",
        "three",
        "four",
        "six",
    ]
    assert lines[3].attributes == {"n": 4}


def test_what_bypasses_python_is_kept_as_well(dev: Dev) -> None:
    """Subprocesses and raw writes."""
    run = dev.run("raw")

    assert {(line.source, line.message) for line in dev.logs(run.id)} == {
        ("stdout", "from a child"),
        ("stderr", "raw bytes"),
    }


@pytest.mark.behaviour(234, 240)
@pytest.mark.parametrize(
    ("task", "payload", "status", "code", "text"),
    [
        ("leave", 3, "CRASHED", "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE", "code 3"),
        ("leave", 3, "CRASHED", "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE", "last words"),
        ("kill", 9, "CRASHED", "TASK_PROCESS_MAYBE_OOM_KILLED", "SIGKILL"),
        ("kill", 11, "CRASHED", "TASK_PROCESS_SIGSEGV", "SIGSEGV"),
        ("kill", 6, "CRASHED", "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE", "SIGABRT"),
        ("sys_exit", None, "CRASHED", "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE", "sys.exit(3)"),
        ("memory_error", None, "CRASHED", "TASK_PROCESS_OOM_KILLED", "too much"),
        ("hungry", None, "CRASHED", "TASK_PROCESS_OOM_KILLED", "memory"),
        ("unserializable", None, "FAILED", "TASK_OUTPUT_ERROR", "output.ok[1]"),
        ("total", {"items": [{"price": "x"}]}, "FAILED", "TASK_INPUT_ERROR", "items[0].price"),
        ("echo", 5, "FAILED", "TASK_INPUT_ERROR", "payload: Input should be a valid string"),
        ("abort", None, "FAILED", None, "never again"),
    ],
)
def test_each_way_to_fail_is_told_apart(
    dev: Dev, task: str, payload: object, status: str, code: str | None, text: str
) -> None:
    """The error names what happened; nothing is retried that should not be."""
    task = task.replace("_", "-")
    run = dev.run(task, payload)

    assert run.error is not None
    assert (run.status, run.error.code, run.attempt_count) == (status, code, 1)
    assert text in run.error.message


def test_a_traceback_shows_the_users_code_only(dev: Dev) -> None:
    """It begins in the task."""
    run = dev.run("abort")

    assert run.error is not None
    trace = run.error.stack_trace or ""
    assert "tasks/main.py" in trace
    assert "trigger_worker" not in trace


def test_each_attempt_has_a_process_of_its_own(dev: Dev) -> None:
    """Unless the task asks for warm ones."""
    fresh = {dev.run("process-id").output for _ in range(4)}
    warm = {dev.run("warm-process-id").output for _ in range(4)}

    assert (len(fresh), len(warm)) == (4, 1)


def test_waits_run_in_parallel(dev: Dev) -> None:
    """Three waits of 0.6 s take 0.6 s."""
    run = dev.run("parallel-waits")

    assert isinstance(run.output, float)
    assert 0.6 <= run.output < 1.5


def test_a_blocking_task_can_wait(dev: Dev) -> None:
    """The process sleeps until it is woken."""
    run = dev.run("blocking-wait")

    assert isinstance(run.output, float)
    assert 0.29 <= run.output < 1.5


@pytest.mark.behaviour(237)
@pytest.mark.parametrize("task", ["cancelable", "blocking", "polite"])
def test_a_canceled_run_ends_and_cleans_up(dev: Dev, task: str) -> None:
    """Asynchronous, blocking, and one that watches the signal."""
    run_id = dev.trigger(task)
    dev.event("run_started", runId=run_id)
    dev.cancel(run_id)

    dev.event("run_finished", runId=run_id, outcome="canceled")
    assert dev.get(run_id).status == "CANCELED"
    if task != "polite":
        assert [line.message for line in dev.logs(run_id)] == ["cleaned up"]


@pytest.mark.behaviour(237)
def test_a_run_that_ignores_its_cancel_is_killed_with_everything_it_started(dev: Dev) -> None:
    """After the grace period."""
    run_id = dev.trigger("with-subprocess")
    [line] = until(lambda: dev.logs(run_id))
    dev.cancel(run_id)

    dev.event("run_finished", runId=run_id, outcome="canceled")
    until(lambda: not alive(int(line.message)), what="the end of the subprocess")


def test_an_attempt_ends_at_its_max_duration(dev: Dev) -> None:
    """Even in a tight loop."""
    run = dev.run("too-long")

    assert run.status == "TIMED_OUT"
    assert run.error is not None
    assert run.error.code == "MAX_DURATION_EXCEEDED"


def test_a_waiting_run_can_be_canceled(dev: Dev) -> None:
    """A delayed one too."""
    run_id = dev.trigger("echo", "x", delay="1h")
    dev.cancel(run_id)

    assert dev.get(run_id).status == "CANCELED"


def test_the_session_file_is_private(dev: Dev) -> None:
    """It holds keys; so does the database."""
    for name in ("dev.json", "trigger.db"):
        assert Path(dev.folder / ".trigger" / name).stat().st_mode & 0o077 == 0
