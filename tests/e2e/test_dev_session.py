"""The dev session: reloading, failing well, and leaving nothing behind."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from support.dev import Dev, alive, descendants, run_cli, until
from trigger_core.errors import ConnectionFailedError

pytestmark = pytest.mark.slow

HELLO = """
from trigger_sdk import task

@task
async def hello() -> str:
    return "{}"
"""

SLOW = """
import time
from trigger_sdk import Retry, task

@task(retry=Retry(max_attempts=5, min_delay="50ms"))
def slow(seconds: float) -> str:
    time.sleep(seconds)
    return "done"
"""

Start = Callable[..., Dev]


def test_saving_a_file_makes_a_new_version(start: Start) -> None:
    """And runs that start afterwards execute the new code."""
    dev = start(HELLO.format("old"))
    assert dev.run("hello").output == "old"

    before = dev.save("tasks/main.py", HELLO.format("new"))
    loaded = dev.event("loaded", before)

    run = dev.run("hello")
    assert (run.output, run.version) == ("new", loaded["version"])


def test_a_broken_save_keeps_the_last_good_version(start: Start) -> None:
    """The error names file, line and cause; the correction is picked up."""
    dev = start(HELLO.format("good"))
    before = dev.save("tasks/main.py", "from trigger_sdk import task\n\ndef broken(:\n")
    error = dev.event("load_failed", before)["error"]
    assert (error["code"], error["at"]) == ("TASK_IMPORT_FAILED", "tasks/main.py:3")
    assert "SyntaxError" in error["because"]
    assert dev.run("hello").output == "good"

    before = dev.save("tasks/main.py", "x = 1 / 0\n")
    error = dev.event("load_failed", before)["error"]
    assert (error["at"], error["because"]) == (
        "tasks/main.py:1",
        "ZeroDivisionError: division by zero",
    )

    before = dev.save("tasks/main.py", HELLO.format("mended"))
    dev.event("loaded", before)
    assert dev.run("hello").output == "mended"


def test_a_session_that_starts_broken_waits_for_the_correction(start: Start) -> None:
    """It does not end."""
    dev = start("import nothing_of_this_name\n", wait=False)
    error = dev.event("load_failed")["error"]
    assert error["at"] == "tasks/main.py:1"

    dev.save("tasks/main.py", HELLO.format("now"))
    dev.event("loaded")
    assert dev.run("hello").output == "now"


def test_two_tasks_with_one_id_are_named_with_their_places(start: Start) -> None:
    """File and line of both."""
    dev = start(HELLO.format("one"))
    before = dev.save("tasks/other.py", HELLO.format("two"))

    error = dev.event("load_failed", before)["error"]
    assert error["code"] == "TASK_ID_DUPLICATE"
    assert "tasks/main.py:4 and tasks/other.py:4" in error["because"]


def test_a_new_file_is_found(start: Start) -> None:
    """Without a restart."""
    dev = start(HELLO.format("x"))
    before = dev.save("tasks/more.py", HELLO.format("more").replace("hello", "more"))
    dev.event("loaded", before)

    assert dev.run("more").output == "more"


def test_env_files_are_loaded_and_reloaded(start: Start) -> None:
    """``.env`` is read at the start and after each save of it."""
    tasks = (
        "import os\nfrom trigger_sdk import task\n"
        "@task\ndef env() -> str:\n    return os.environ['COLOR']\n"
    )
    dev = start(tasks, wait=False)
    dev.event("loaded")
    before = dev.save(".env", "COLOR=red\n")
    dev.event("loaded", before)
    assert dev.run("env").output == "red"

    before = dev.save(".env.local", "COLOR=blue\n")
    dev.event("loaded", before)
    assert dev.run("env").output == "blue"


def test_a_run_in_progress_ends_in_the_version_it_started_with(start: Start) -> None:
    """The old generation lives until then."""
    dev = start(SLOW)
    run_id = dev.trigger("slow", 1.5)
    dev.event("run_started", runId=run_id)
    before = dev.save("tasks/main.py", SLOW.replace('"done"', '"other"'))
    loaded = dev.event("loaded", before)

    run = dev.result(run_id)
    assert (run.output, run.attempt_count) == ("done", 1)
    assert run.version != loaded["version"]


def test_a_module_that_starts_threads_still_runs(start: Start) -> None:
    """Forking with threads is unsafe: attempts start in new interpreters, and the session says so."""
    tasks = (
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(1000,), daemon=True, name='pesky').start()\n"
    )
    dev = start(tasks + HELLO.format("with threads"))

    assert "pesky" in dev.event("notice")["message"]
    assert dev.run("hello").output == "with threads"


def test_a_second_session_in_the_folder_says_so(start: Start) -> None:
    """And names the first one."""
    dev = start(HELLO.format("x"))
    second = run_cli("dev", "--port", "0", cwd=dev.folder)

    assert second.returncode == 5
    assert "SESSION_RUNNING" in second.stderr
    assert str(dev.process.pid) in second.stderr
    assert "Traceback" not in second.stderr


def test_a_port_in_use_is_an_error_with_a_way_out(start: Start) -> None:
    """``--port 0`` picks a free one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        dev = start(HELLO.format("x"), "--port", str(taken.getsockname()[1]), wait=False)
        error = dev.event("error")["error"]

        assert error["code"] == "PORT_IN_USE"
        assert "--port 0" in error["fix"]
        assert dev.process.wait(timeout=20) == 1


def test_ctrl_c_ends_cleanly_and_leaves_no_process(start: Start) -> None:
    """Even while a run is in progress; it goes on in the next session."""
    dev = start(SLOW)
    run_id = dev.trigger("slow", 30)
    dev.event("run_started", runId=run_id)
    family = descendants(dev.process.pid)

    assert dev.stop() == 0

    assert not (dev.folder / ".trigger" / "dev.json").exists()
    until(lambda: not any(alive(pid) for pid in family), what="the end of all processes")


@pytest.mark.parametrize("victim", ["trigger_worker", "trigger_platform", "session"])
def test_kill_9_loses_nothing(start: Start, victim: str) -> None:
    """Whichever process dies amid runs: all of them complete, none twice, and nothing is left behind."""
    dev = start(SLOW)
    run_ids = [dev.trigger("slow", 0.2) for _ in range(40)]
    dev.event("run_finished", outcome="completed")
    family = descendants(dev.process.pid)
    if victim == "session":
        dev.process.kill()
        until(lambda: not any(alive(pid) for pid in family), what="the end of all processes")
        dev.stop()
        dev = start(SLOW)
    else:
        os.kill(dev.child(victim), signal.SIGKILL)
        dev.event("notice")

    results = [dev.result(run_id) for run_id in run_ids]

    assert {run.status for run in results} == {"COMPLETED"}
    for run in results:
        completed = [attempt for attempt in run.attempts if attempt.status == "COMPLETED"]
        assert len(completed) == 1


def test_saves_while_the_worker_starts_again_are_not_missed(start: Start) -> None:
    """Whenever they come, the session lives on and the last one is what executes."""
    dev = start(HELLO.format("0"))
    for number in range(1, 4):
        before = len(dev.events)
        os.kill(dev.child("trigger_worker"), signal.SIGKILL)

        def another_worker(before: int = before) -> bool:
            dev.save("tasks/main.py", HELLO.format("meanwhile"))
            notices = [one for one in dev.events[before:] if one.get("event") == "notice"]
            commands = [_command(pid) for pid in descendants(dev.process.pid)]
            return bool(notices) and any("trigger_worker" in command for command in commands)

        until(another_worker, what="another worker")
        dev.save("tasks/main.py", HELLO.format(number))
        until(lambda number=number: dev.run("hello").output == str(number), what="the last save")


def test_files_named_like_modules_of_the_standard_library_are_harmless(start: Start) -> None:
    """Platform and worker start although the project has a ``select.py``."""
    dev = start(HELLO.format("x"))
    (dev.folder / "select.py").write_text("raise RuntimeError('not mine')\n")
    for module in ("trigger_worker", "trigger_platform"):
        before = len(dev.events)
        os.kill(dev.child(module), signal.SIGKILL)
        dev.event("notice", before)

    def output() -> object:
        try:
            return dev.run("hello").output
        except ConnectionFailedError:  # the platform is not back yet
            return None

    assert until(output, what="the session's recovery") == "x"


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    except OSError:
        return []


def test_a_corrupt_configuration_is_shown_with_its_line(start: Start) -> None:
    """At the start the session ends with the usage code."""
    dev = start(HELLO.format("x"))
    folder = dev.folder
    dev.stop()
    (folder / "trigger_config.py").write_text("from trigger_sdk import define_config\nconfig = (\n")
    broken = run_cli("dev", "--port", "0", cwd=folder)

    assert broken.returncode == 2
    assert "CONFIG_INVALID" in broken.stderr
    assert "trigger_config.py:2" in broken.stderr
    assert "Traceback" not in broken.stderr


def test_a_damaged_database_is_reported_and_left_alone(start: Start) -> None:
    """It is never recreated."""
    dev = start(HELLO.format("x"))
    folder = dev.folder
    dev.stop()
    file = folder / ".trigger" / "trigger.db"
    content = b"this is no database" * 500
    file.write_bytes(content)
    broken = run_cli("dev", "--port", "0", cwd=folder)

    assert broken.returncode == 1
    assert "STORE_DAMAGED" in broken.stderr
    assert file.read_bytes() == content
