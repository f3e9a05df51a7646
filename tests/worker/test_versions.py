"""A run's version is the version whose code it executed, whatever is saved, killed or slow meanwhile."""

from __future__ import annotations

import os
import py_compile
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from support.dev import alive, descendants, until
from worker.harness import Pair

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("versions")]

Start = Callable[..., Pair]

WHICH = """
from trigger_sdk import task
@task
def which() -> int:
    return {version}
"""
WAITS_FOR_A_FILE = """
import os, time
from pathlib import Path
from trigger_sdk import Retry, task
COLOR = os.environ.get("COLOR")
@task(retry=Retry(max_attempts=2, min_delay="10ms"))
def color(number: int, file: str) -> str:
    print("here")
    while not Path(file).exists():
        time.sleep(0.01)
    if number and not Path(file + ".again").exists():
        Path(file + ".again").touch()
        raise ValueError("again")
    return COLOR
@task
def at_once() -> str:
    return COLOR
"""
THREADS = """
import threading, time
threading.Thread(target=time.sleep, args=(1000,), daemon=True, name="pesky").start()
"""


def test_once_a_version_is_announced_no_run_executes_in_an_older_one(start: Start) -> None:
    """The poll that was waiting, made with the older versions, gets no run any more."""
    pair = start(WHICH.format(version=0))
    pair.load()
    for version in range(1, 16):
        loaded = pair.load(WHICH.format(version=version))
        run = pair.run("which")
        assert (run.output, run.version) == (version, loaded["version"])


def test_code_saved_back_is_a_version_that_executes_it(start: Start) -> None:
    """The code of an earlier version gets a version of its own, and takes the runs."""
    pair = start(WHICH.format(version=1))
    first = pair.load()
    pair.load(WHICH.format(version=2))
    again = pair.load(WHICH.format(version=1))
    run = pair.run("which")
    assert (run.output, run.version) == (1, again["version"])
    assert again["version"] != first["version"]


def test_a_save_during_the_import_is_a_change(start: Start) -> None:
    """What a version is compared by is the code it imported, not what the file holds a moment later."""
    rewrite = WHICH.format(version=2)
    pair = start(
        WHICH.format(version=1) + f"open(__file__, 'w').write({rewrite!r})\n",
    )
    first = pair.load()
    second = pair.load()
    assert (second["unchanged"], pair.run("which").output) == (False, 2)
    assert second["version"] != first["version"]


def test_bytecode_is_no_source(start: Start) -> None:
    """Bytecode that somebody else wrote for text of the same second and size is not taken for the save."""
    pair = start(WHICH.format(version=1))
    file = pair.folder / "tasks" / "main.py"
    py_compile.compile(str(file))
    before = file.stat()
    file.write_text(WHICH.format(version=2))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    pair.load()
    assert pair.run("which").output == 2


def test_a_save_does_not_change_a_version_of_fresh_interpreters(
    start: Start, tmp_path: Path
) -> None:
    """Where attempts start in new interpreters, they import the code of their version, not of the disk."""
    tasks = THREADS + WAITS_FOR_A_FILE.replace("return COLOR", "return {version}")
    pair = start(tasks.format(version=1), config=", max_concurrent_runs=1")
    first = pair.load()
    file = tmp_path / "go"
    held = pair.started("color", {"number": 1, "file": str(file)})
    pair.load(tasks.format(version=2))
    file.touch()
    run = pair.result(held)
    assert (run.output, run.version, run.attempt_count) == (1, first["version"], 2)


def test_a_run_goes_on_when_only_the_variables_change(start: Start, tmp_path: Path) -> None:
    """One version with other variables: what executes goes on, what comes has the new ones."""
    pair = start(WAITS_FOR_A_FILE)
    first = pair.load(COLOR="red")
    file = tmp_path / "go"
    going_on = pair.started("color", {"number": 0, "file": str(file)})
    retried = pair.started("color", {"number": 1, "file": str(file)})
    second = pair.load(COLOR="blue")
    assert (second["version"], second["unchanged"]) == (first["version"], False)
    assert pair.run("at-once").output == "blue"
    file.touch()
    assert pair.result(going_on).output == "red"
    assert pair.result(retried).output == "blue"
    for color in ("green", "white", "black"):
        pair.load(COLOR=color)
        assert pair.run("at-once").output == color
    for version in range(4):
        pair.load(WHICH.format(version=version))
    until(lambda: len(pair.version_processes()) <= 3, what="the end of old versions")


def test_a_removed_variable_is_gone(start: Start) -> None:
    """It does not stay in the next version's environment, and taking it away is a change."""
    pair = start(
        WAITS_FOR_A_FILE.replace("-> str:\n    return COLOR", "-> object:\n    return COLOR")
    )
    pair.load(COLOR="red")
    assert pair.load()["unchanged"] is False
    assert pair.run("at-once").output is None


def test_many_variables_are_carried(start: Start) -> None:
    """An environment of more than a datagram."""
    pair = start(WAITS_FOR_A_FILE)
    pair.load(COLOR="c" * 100_000, OTHER="o" * 100_000)
    assert pair.run("at-once").output == "c" * 100_000


def test_the_last_of_many_saves_wins(start: Start) -> None:
    """Loads asked for faster than they are done end with the last one."""
    pair = start(WHICH.format(version=0))
    pair.load()
    main = pair.folder / "tasks" / "main.py"
    for version in range(1, 20):
        main.write_text(WHICH.format(version=version))
        before = pair.worker.tell("load", env={})
    pair.worker.event("loaded", before)
    assert pair.run("which").output == 19
    until(lambda: len(pair.version_processes()) <= 3, what="the end of superseded loads")


def test_a_run_is_not_forgotten_between_a_version_without_its_task_and_the_next(
    start: Start,
) -> None:
    """The older version's last question may put it aside after the newer one was registered."""
    pair = start(WHICH.format(version=0))
    pair.load()
    run_ids: list[str] = []
    for version in range(1, 16):
        pair.load("# nothing yet\n")
        (pair.folder / "tasks" / "main.py").write_text(WHICH.format(version=version))
        before = pair.worker.tell("load", env={})
        while not any(one["event"] == "loaded" for one in pair.worker.events[before:]):
            run_ids.append(pair.trigger("which"))
    assert {pair.result(run_id).status for run_id in run_ids} == {"COMPLETED"}


def test_more_runs_at_once_than_one_call_may_ask_for(start: Start) -> None:
    """A large ``max_concurrent_runs`` is asked for in portions."""
    pair = start(WHICH.format(version=1), config=", max_concurrent_runs=2000")
    pair.load()
    assert pair.run("which").output == 1


def test_files_named_like_modules_of_the_standard_library_are_harmless(start: Start) -> None:
    """The worker's own processes do not import them."""
    pair = start(WHICH.format(version=1) + THREADS)
    for name in ("select", "queue", "tempfile"):
        (pair.folder / f"{name}.py").write_text("raise RuntimeError('not mine')\n")
    pair.worker.close()
    pair.start_worker()
    pair.load()
    assert pair.run("which").output == 1


def test_a_fork_that_fails_is_tried_again(start: Start) -> None:
    """When the system has no room for a process, runs wait for it instead of being lost."""
    pair = start(
        WHICH.format(version=1) + "import os\nreal, left = os.fork, [12]\n"
        "def fork():\n"
        "    if left[0]:\n"
        "        left[0] -= 1\n"
        "        raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
        "    return real()\n"
        "os.fork = fork\n"
    )
    pair.load()
    assert pair.run("which").output == 1
    assert "temporarily unavailable" in pair.worker.event("notice")["message"]


def test_an_executor_that_never_becomes_ready_is_replaced(start: Start) -> None:
    """A process that hangs before it can take a run is killed, and the run goes to another."""
    pair = start(
        WHICH.format(version=1) + "import os, time\nfrom pathlib import Path\nmark = Path('hung')\n"
        "def hang():\n"
        "    with mark.open('a') as file:\n"
        "        file.write(f'{os.getpid()}\\n')\n"
        "    if len(mark.read_text().split()) <= 4:\n"
        "        time.sleep(600)\n"
        "os.register_at_fork(after_in_child=hang)\n"
    )
    pair.load()
    assert pair.run("which").output == 1
    hung = [int(pid) for pid in (pair.folder / "hung").read_text().split()[:4]]
    until(lambda: not any(alive(pid) for pid in hung), 40, what="the end of what hangs")


def test_a_run_whose_executors_all_die_at_once_fails_with_their_words(start: Start) -> None:
    """Nobody waits for ever for a process that cannot start, and none is started over and over."""
    pair = start(
        "import os\nfrom trigger_sdk import Retry, task\n"
        "def leave():\n"
        "    os.write(2, b'no, thanks\\n')\n"
        "    os._exit(7)\n"
        "os.register_at_fork(after_in_child=leave)\n"
        "@task(retry=Retry(max_attempts=1))\n"
        "def never() -> None:\n"
        "    pass\n"
    )
    pair.load()
    run = pair.run("never")
    assert run.status == "CRASHED"
    assert run.error is not None
    assert "could start" in run.error.message


def test_the_death_of_an_idle_executor_costs_no_run(start: Start) -> None:
    """Executors that are killed while they have nothing to do are replaced."""
    pair = start(WHICH.format(version=1))
    pair.load()
    (version,) = pair.version_processes()
    idle = until(lambda: descendants(version), what="executors forked ahead")
    for pid in idle:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in idle), what="the end of the executors")
    until(lambda: descendants(version), what="new executors")
    run = pair.run("which")
    assert (run.output, run.attempt_count) == (1, 1)


def test_a_run_handed_to_a_process_that_was_just_killed_goes_to_another(start: Start) -> None:
    """The worker cannot know yet that it is dead: nothing has begun, and no attempt is used up."""
    pair = start(WHICH.format(version=1))
    pair.load()
    (version,) = pair.version_processes()
    worker = pair.worker.process.pid
    for _ in range(20):
        until(lambda: any(alive(pid) for pid in descendants(version)), what="executors")
        os.kill(worker, signal.SIGSTOP)
        for pid in descendants(version):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        run_id = pair.trigger("which")
        os.kill(worker, signal.SIGCONT)
        run = pair.result(run_id)
        assert (run.output, run.attempt_count, run.error) == (1, 1, None)


def test_the_death_of_a_version_is_retried_by_the_tasks_policy(
    start: Start, tmp_path: Path
) -> None:
    """An attempt that ended with its version's process is followed by the next one."""
    file = tmp_path / "go"
    pair = start(WAITS_FOR_A_FILE)
    pair.load(COLOR="red")
    run_id = pair.started("color", {"number": 0, "file": str(file)})
    (version,) = pair.version_processes()
    executors = descendants(version)
    os.kill(version, signal.SIGKILL)
    until(lambda: not any(alive(pid) for pid in executors), what="the end of the attempt")
    file.touch()
    run = pair.result(run_id)
    assert (run.status, run.output, run.attempt_count) == ("COMPLETED", "red", 2)


def test_after_the_death_of_a_version_its_code_has_to_be_the_same(start: Start) -> None:
    """A file that was changed, and not loaded, since then makes another version."""
    pair = start(WHICH.format(version=1))
    first = pair.load()
    (pair.folder / "tasks" / "main.py").write_text(WHICH.format(version=2))
    before = len(pair.worker.events)
    os.kill(pair.version_processes()[0], signal.SIGKILL)
    pair.worker.event("loaded", before)
    run = pair.run("which")
    assert run.output == 2
    assert run.version != first["version"]


def test_the_death_of_the_base_process_ends_the_worker_with_a_reason(start: Start) -> None:
    """The session can start another one at once."""
    pair = start(WHICH.format(version=1))
    pair.load()
    worker = pair.worker.process
    (version,) = pair.version_processes()
    base = int(Path(f"/proc/{version}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(base, signal.SIGKILL)
    assert "killed by signal 9" in pair.worker.event("failed")["error"]["because"]
    assert worker.wait(10) == 1


def test_a_wrong_key_is_reported(start: Start) -> None:
    """The worker ends and says why."""
    pair = start(WHICH.format(version=1))
    pair.worker.close()
    pair.start_worker(secret_key="tr_dev_wrong")
    pair.worker.event("failed")
    assert pair.worker.process.wait(10) == 1


def test_a_module_that_forks_and_lets_the_child_run_on_is_indexed_once(start: Start) -> None:
    """Only the process that was asked reports."""
    pair = start("import os\nif os.fork() == 0:\n    raise SystemExit\n" + WHICH.format(version=1))
    pair.load()
    assert pair.run("which").output == 1
