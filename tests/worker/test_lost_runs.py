"""Processes of a worker whose runs were given to somebody else, and of attempts that wait for long."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.dev import alive, until
from trigger_core.api.calls import runs as run_calls
from trigger_core.api.calls import workers as calls
from trigger_core.schemas.workers import Connect
from worker.harness import Pair

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("worker")]

Start = Callable[..., Pair]

TASKS = """
import os, time
from trigger_sdk import Retry, task, wait
@task(retry=Retry(max_attempts=1))
def forever() -> None:
    print(os.getpid())
    time.sleep(600)
@task(max_duration="5s")
async def patient() -> str:
    await wait.for_(seconds=6)
    return "still here"
"""


@pytest.mark.behaviour(238)
def test_a_worker_that_lost_its_seat_ends_its_processes_and_says_nothing(start: Start) -> None:
    """Another instance has the seat; the run ends with the word of the platform, not of the old worker."""
    pair = start(TASKS)
    pair.load()
    run_id = pair.started("forever")
    (line,) = pair.messages(run_id)
    pair.client.send(calls.connect(Connect(instance="dev", boot_id="boot_of_another")))
    run = pair.result(run_id, 5)

    assert run.error is not None
    assert run.error.code == "TASK_RUN_STALLED_EXECUTING"
    until(lambda: not alive(int(line)), what="the end of the process")
    assert pair.messages(run_id) == [line]
    assert pair.get(run_id).error == run.error


def test_what_a_run_wrote_is_never_known_before_that_it_began(start: Start) -> None:
    """Or a run whose worker is lost would be executed once more without a failed attempt."""
    pair = start(TASKS)
    pair.load()
    for _ in range(20):
        run_id = pair.trigger("forever")
        while not pair.logs(run_id):
            pass
        assert pair.get(run_id).attempt_count == 1
        pair.client.send(run_calls.cancel(run_id))
        pair.result(run_id)


@pytest.mark.behaviour(241)
def test_waiting_does_not_count_towards_the_maximum_duration(start: Start) -> None:
    """Six seconds of waiting fit into five of work."""
    pair = start(TASKS)
    pair.load()
    run = pair.run("patient")

    assert (run.status, run.output) == ("COMPLETED", "still here")
