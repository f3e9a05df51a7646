"""Versions of the user's code side by side, and what happens when one of their processes dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from support.dev import alive, until
from worker.harness import Pair

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("worker")]

Start = Callable[..., Pair]

VERSIONED = """
import os, time
from trigger_sdk import task, Retry
VERSION = {version}
@task
def which() -> int:
    return VERSION
@task
def slow() -> int:
    print(os.getpid())
    time.sleep(0.7)
    return VERSION
@task(isolation="reuse")
def warm() -> int:
    time.sleep(0.05)
    return os.getpid()
@task
def own() -> int:
    return os.getpid()
@task(retry=Retry(max_attempts=1))
def forever() -> None:
    print(os.getpid())
    time.sleep(600)
"""


def test_executors_of_two_versions_are_never_mixed_up(start: Start) -> None:
    """While a version is replaced over and over, every run reports the version it was executed in."""
    pair = start(VERSIONED.format(version=1))
    expected: dict[str, int] = {}
    names: dict[str, int] = {}
    for version in range(1, 6):
        names[pair.load(VERSIONED.format(version=version))["version"]] = version
        for _ in range(12):
            expected[pair.trigger("which")] = version
    for run_id in expected:
        run = pair.result(run_id)
        assert run.version is not None
        assert run.output == names[run.version]


def test_a_task_with_its_own_process_never_gets_a_used_one(start: Start) -> None:
    """Warm executors that become free are not handed to attempts that were promised a fresh process."""
    pair = start(VERSIONED.format(version=1), config=", max_concurrent_runs=64")
    pair.load()
    warm = [pair.trigger("warm") for _ in range(30)]
    own = [pair.trigger("own") for _ in range(30)]
    used = {pair.result(run_id).output for run_id in warm}
    fresh = [pair.result(run_id).output for run_id in own]
    assert len(set(fresh)) == len(fresh)
    assert not used & set(fresh)


def test_the_death_of_a_version_process_ends_its_runs_and_it_is_started_again(start: Start) -> None:
    """Killing the fork server fails what it executed and leaves no run stuck; the next runs execute."""
    pair = start(VERSIONED.format(version=1))
    pair.load()
    run_id = pair.started("forever")
    (version,) = pair.version_processes()
    before = len(pair.worker.events)
    os.kill(version, signal.SIGKILL)
    assert pair.result(run_id, 10).status == "CRASHED"
    assert pair.run("which").output == 1
    assert "killed" in pair.worker.event("notice", before)["message"]


def test_a_hanging_import_gives_way_to_the_next_save(start: Start) -> None:
    """A module that never finishes importing holds up neither the correction nor the end of the worker."""
    pair = start("import time\ntime.sleep(600)\n")
    pair.worker.event("connected")
    pair.worker.tell("load", env={})
    until(pair.version_processes, what="the version process")
    (hanging,) = pair.version_processes()
    pair.load(VERSIONED.format(version=2))
    assert pair.run("which").output == 2
    until(lambda: not alive(hanging), what="the end of the hanging import")


def test_the_worker_ends_with_its_session_while_an_import_hangs(start: Start) -> None:
    """Closing stdin ends the worker although it is busy loading."""
    pair = start("import time\ntime.sleep(600)\n")
    pair.worker.event("connected")
    pair.worker.tell("load", env={})
    until(pair.version_processes, what="the version process")
    pair.worker.close()


def test_the_worker_ends_with_its_session_while_the_platform_is_away(start: Start) -> None:
    """Closing stdin ends a worker that cannot reach its platform."""
    pair = start(VERSIONED.format(version=1))
    pair.load()
    pair.platform.kill()
    pair.start_worker()
    pair.worker.close()


def test_subprocesses_of_an_import_have_exit_codes(start: Start) -> None:
    """Code at module level may run commands and look at how they ended."""
    pair = start(
        "import subprocess\n"
        "from trigger_sdk import task\n"
        "CODE = subprocess.run(['false']).returncode\n"
        "@task\n"
        "def code() -> int:\n"
        "    return CODE\n"
    )
    pair.load()
    assert pair.run("code").output == 1


def test_an_unchanged_project_keeps_its_version(start: Start) -> None:
    """Loading the same code again, with the same variables, makes nothing new."""
    pair = start(VERSIONED.format(version=1))
    first = pair.load(GREETING="hello")
    again = pair.load(GREETING="hello")
    assert (again["version"], again["unchanged"]) == (first["version"], True)
    assert not pair.load(GREETING="bye")["unchanged"]
    assert pair.run("which").output == 1


def test_old_versions_are_let_go_of(start: Start) -> None:
    """However often the code changes, at most three versions without runs keep a process."""
    pair = start(VERSIONED.format(version=1))
    for version in range(1, 8):
        pair.load(VERSIONED.format(version=version))
    until(lambda: len(pair.version_processes()) <= 3, what="the end of old versions")
