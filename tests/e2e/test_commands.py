"""The commands against a running session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dev import Dev, run_cli, write_project
from trigger_core.errors import NotFoundError, UsageError
from trigger_sdk import Queue, TaskRef, queues

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("commands")]

TASKS = """
from trigger_sdk import task, AbortTaskRunError
import asyncio

@task
async def hello(name: str) -> str:
    print("greeting", name)
    return f"hello {name}"

@task
def fail() -> None:
    raise AbortTaskRunError("no")
"""


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One session for all."""
    session = Dev(write_project(tmp_path_factory.mktemp("project"), TASKS))
    yield session
    session.stop()


def test_run_prints_the_id_and_nothing_else_on_stdout(dev: Dev) -> None:
    """So that scripts can take it."""
    shown = run_cli("run", "hello", '"you"', cwd=dev.folder)

    assert dev.result(shown.stdout.strip()).output == "hello you"


def test_run_wait_shows_the_run_and_prints_its_output(dev: Dev) -> None:
    """Lines on stderr, the result on stdout."""
    shown = run_cli("run", "hello", '"you"', "--wait", cwd=dev.folder)

    assert (shown.returncode, shown.stdout) == (0, '"hello you"\n')
    assert "greeting you" in shown.stderr
    assert "completed in" in shown.stderr


def test_run_wait_json_prints_the_run(dev: Dev) -> None:
    """The whole object."""
    shown = run_cli("run", "hello", "-", "--wait", "--json", cwd=dev.folder, stdin='"stdin"')

    run = json.loads(shown.stdout)
    assert (run["status"], run["output"]) == ("COMPLETED", "hello stdin")


def test_run_wait_of_a_failing_run_exits_with_one(dev: Dev) -> None:
    """And shows the error."""
    shown = run_cli("run", "fail", "--wait", cwd=dev.folder)

    assert shown.returncode == 1
    assert "AbortTaskRunError: no" in shown.stderr


def test_runs_commands_tell_and_do_what_they_say(dev: Dev) -> None:
    """list, get, logs, why, replay, cancel."""
    run_id = run_cli("run", "hello", '"x"', cwd=dev.folder).stdout.strip()
    dev.result(run_id)

    assert run_id in run_cli("runs", "list", "--task", "hello", cwd=dev.folder).stdout
    assert "'hello x'" in run_cli("runs", "get", run_id, cwd=dev.folder).stdout
    assert "greeting x" in run_cli("runs", "logs", run_id, cwd=dev.folder).stdout
    assert "the run is final" in run_cli("runs", "why", run_id, cwd=dev.folder).stdout
    again = run_cli("runs", "replay", run_id, cwd=dev.folder).stdout.strip()
    assert dev.result(again).output == "hello x"
    later = run_cli("run", "hello", '"x"', "--delay", "1h", cwd=dev.folder).stdout.strip()
    assert "its delay, until" in run_cli("runs", "why", later, cwd=dev.folder).stdout
    assert "canceled" in run_cli("runs", "cancel", later, cwd=dev.folder).stdout


def test_an_unknown_run_exits_with_four(dev: Dev) -> None:
    """Not found."""
    shown = run_cli("runs", "get", "run_unknown", cwd=dev.folder)

    assert shown.returncode == 4
    assert "RUN_NOT_FOUND" in shown.stderr


def test_a_wrong_key_exits_with_three(dev: Dev) -> None:
    """Not authenticated; the variable beats the session file."""
    shown = run_cli("runs", "list", cwd=dev.folder, env={"TRIGGER_SECRET_KEY": "tr_dev_wrong"})

    assert shown.returncode == 3
    assert "AUTHENTICATION_FAILED" in shown.stderr


def test_the_session_is_found_from_a_folder_below(dev: Dev) -> None:
    """As git finds its repository."""
    below = Path(dev.folder) / "tasks"

    assert run_cli("runs", "list", cwd=below).returncode == 0


def test_a_run_of_an_unknown_task_waits_and_why_says_so(dev: Dev) -> None:
    """The run is accepted; a version with the task would take it."""
    run_id = run_cli("run", "unheard-of", cwd=dev.folder).stdout.strip()
    dev.run("hello", "x")

    assert "no version has the task" in run_cli("runs", "why", run_id, cwd=dev.folder).stdout


def test_a_queue_is_paused_limited_and_reset_from_the_command_line(dev: Dev) -> None:
    """And a run that it holds back says so."""
    shown = run_cli("queues", "limit", "task/hello", "50%", "--json", cwd=dev.folder)
    assert json.loads(shown.stdout)["concurrencyLimit"] == 50
    run_cli("queues", "pause", "task/hello", cwd=dev.folder)
    run_id = run_cli("run", "hello", '"you"', cwd=dev.folder).stdout.strip()

    listed = run_cli("queues", "list", cwd=dev.folder).stdout.splitlines()
    assert [line.split() for line in listed if "task/hello" in line] == [
        ["paused", "task/hello", "0", "1", "50", "(code:", "none)"]
    ]
    why = run_cli("runs", "why", run_id, cwd=dev.folder).stdout
    assert "blocked by   queue task/hello is paused" in why

    run_cli("queues", "reset", "task/hello", cwd=dev.folder)
    resumed = run_cli("queues", "resume", "task/hello", cwd=dev.folder).stdout
    assert "active" in resumed
    assert dev.result(run_id).output == "hello you"


def test_the_sdk_steers_queues_by_task_name_or_reference(
    dev: Dev, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocking here; the async functions make the same calls."""
    monkeypatch.chdir(dev.folder)
    by_task = TaskRef[str, str]("fail")

    assert queues.override_concurrency_limit_sync(by_task, 3).concurrency_limit == 3
    assert queues.pause_sync({"type": "task", "name": "fail"}).paused
    assert not asyncio.run(queues.resume("task/fail")).paused
    assert queues.reset_concurrency_limit_sync(by_task).concurrency_limit is None
    assert {"fail", "hello"} <= {queue.name for queue in queues.list_sync()}
    found = queues.retrieve_sync(by_task)
    assert queues.retrieve_sync(found.id) == found
    with pytest.raises(NotFoundError):
        queues.retrieve_sync(Queue("nowhere"))
    with pytest.raises(UsageError):
        queues.override_concurrency_limit_sync(by_task)


def test_a_limit_that_is_none_is_refused(dev: Dev) -> None:
    """Before anything is sent."""
    shown = run_cli("queues", "limit", "task/hello", "many", cwd=dev.folder)

    assert shown.returncode == 2
    assert "fix: write 10 or 50%" in shown.stderr
