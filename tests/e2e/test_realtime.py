"""Streams and input for real, through every process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.dev import Dev, until, write_project
from trigger_sdk import runs, streams

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("realtime")]

TASKS = """
import asyncio
from trigger_sdk import *

numbers = streams.define("numbers", int)
approval = streams.input("approval", dict)

async def count():
    for number in range(10):
        await asyncio.sleep(0.01)
        yield number

@task
async def piping() -> int:
    await numbers.append(-1)
    return await numbers.pipe(count())

@task
def blocking() -> int:
    numbers.append_sync(7)
    return numbers.pipe_sync(range(3))

@task
async def parent() -> int:
    return await child.trigger_and_wait().unwrap()

@task
async def child() -> int:
    return await numbers.pipe([5, 6], target="parent")

@task
async def asking() -> list:
    first = await approval.receive()
    pair = await asyncio.gather(approval.receive(), approval.receive())
    return [first["n"], *(one["n"] for one in pair)]

@task
def asking_sync() -> int:
    return approval.receive_sync()["n"]

@task(retry=Retry(max_attempts=2, min_delay="100ms"))
async def again(fails: bool) -> list:
    value = (await approval.receive())["n"]
    if current_context().attempt.number == 1:
        raise ValueError("once more")
    return [value]

@task
def large() -> str:
    return "x" * 1_500_000

@task
async def nobody() -> str:
    try:
        await approval.receive(timeout="1s")
    except TokenTimeoutError:
        return "nobody answered"
"""


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One session for all."""
    session = Dev(write_project(tmp_path_factory.mktemp("project"), TASKS))
    yield session
    session.stop()


@pytest.fixture(autouse=True)
def credentials(dev: Dev, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK find the session."""
    monkeypatch.setenv("TRIGGER_API_URL", dev.session["apiUrl"])
    monkeypatch.setenv("TRIGGER_SECRET_KEY", dev.session["secretKey"])


def _statuses(run_id: str) -> list[str]:
    return [run.status for run in runs.subscribe_sync(run_id)]


def test_a_task_streams_while_it_runs(dev: Dev) -> None:
    """Readers get everything, and the run's feed ends with the run."""
    run_id = dev.trigger("piping")
    read = list(streams.define("numbers", int).read_sync(run_id))

    assert read == [-1, *range(10)]
    assert dev.result(run_id).output == 10
    assert _statuses(run_id) == ["COMPLETED"]


@pytest.mark.parametrize(("task", "values"), [("blocking", [7, 0, 1, 2]), ("parent", [5, 6])])
def test_a_task_streams_in_other_ways(dev: Dev, task: str, values: list[int]) -> None:
    """Blocking, and to the run that waits for it."""
    run_id = dev.trigger(task)

    assert list(streams.define("numbers", int).read_sync(run_id)) == values
    assert dev.result(run_id).is_success


def test_a_task_receives_what_it_is_sent(dev: Dev) -> None:
    """Before or while it waits, one after another and in parallel."""
    run_id = dev.trigger("asking")
    approval = streams.input("approval")
    until(lambda: "WAITING" in dev.get(run_id).status)
    for number in (1, 2, 3):
        approval.send_sync(run_id, {"n": number})

    assert dev.result(run_id).output == [1, 2, 3]


def test_a_large_output_comes_with_the_last_state(dev: Dev) -> None:
    """Wherever it is kept."""
    states = list(runs.subscribe_sync(dev.trigger("large")))

    assert states[-1].output == "x" * 1_500_000


def test_a_blocking_task_receives_too(dev: Dev) -> None:
    """What was sent before it asked."""
    run_id = dev.trigger("asking-sync")
    streams.input("approval").send_sync(run_id, {"n": 4})

    assert dev.result(run_id).output == 4


def test_an_attempt_that_is_repeated_receives_the_same_again(dev: Dev) -> None:
    """From the first value on."""
    run_id = dev.trigger("again", True)
    streams.input("approval").send_sync(run_id, {"n": 9})

    assert dev.result(run_id).output == [9]


def test_a_task_stops_waiting_for_input(dev: Dev) -> None:
    """After the time it gave."""
    assert dev.result(dev.trigger("nobody")).output == "nobody answered"
