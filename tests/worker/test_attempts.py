"""What user code may do to its process, and what becomes of the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dev import until
from trigger_core.api.calls import runs as run_calls
from trigger_core.api.client import Client
from trigger_core.errors import AuthenticationError
from worker.harness import Pair

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("attempts")]

TASKS = """
import asyncio, contextvars, logging, os, subprocess, sys, threading, time
from trigger_sdk import *

ONCE = Retry(max_attempts=1)
MARK = contextvars.ContextVar("mark", default="clean")

@task(retry=ONCE)
def leave_politely() -> None:
    sys.exit(0)

@task(retry=ONCE)
def interrupted() -> None:
    raise KeyboardInterrupt

@task(retry=ONCE)
async def interrupted_async() -> None:
    raise KeyboardInterrupt

@task(retry=ONCE)
def copy_returns() -> str:
    if os.fork() == 0:
        print("from the copy")
        return "copy"
    os.wait()
    return "original"

@task(retry=ONCE)
def copy_survives(code: int) -> None:
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
    os._exit(code)

@task(retry=ONCE)
def closes_its_output() -> str:
    os.close(1)
    os.close(2)
    print("still heard")
    return "ok"

@task(retry=ONCE)
def long_lines() -> None:
    print("a" * 200_000 + "z")
    sys.stdout.write("b" * 200_000 + "z")
    sys.stdout.flush()
    subprocess.run([sys.executable, "-c", "print('c' * 200_000 + 'z')"], check=True)

@task(retry=ONCE)
def many_threads() -> None:
    def talk(number: int) -> None:
        for line in range(200):
            print(f"{number}:{line}:" + "x" * 500 + "\\n", end="")
    threads = [threading.Thread(target=talk, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

@task(retry=ONCE)
def flood() -> str:
    subprocess.run(["sh", "-c", "yes | head -n 30000"], check=True)
    return "ok"

@task(isolation="reuse", retry=ONCE)
async def leaves_a_task_behind() -> int:
    async def late() -> None:
        try:
            await asyncio.sleep(0.2)
            print("from the last run")
        finally:
            print("ended with its run")
    asyncio.ensure_future(late())
    await asyncio.sleep(0)
    return os.getpid()

@task(isolation="reuse", retry=ONCE)
async def sleeps_on() -> int:
    await asyncio.sleep(0.5)
    return os.getpid()

@task(isolation="reuse", retry=ONCE)
def spoils_its_process() -> int:
    MARK.set("dirty")
    logging.basicConfig(force=True, level=logging.CRITICAL)
    sys.stdout = open(os.devnull, "w")
    return os.getpid()

@task(isolation="reuse", retry=ONCE)
def looks_around() -> list:
    logging.getLogger("lib").warning("logged")
    print("printed")
    return [os.getpid(), MARK.get()]

@task(isolation="reuse", retry=ONCE)
def data_limit() -> list:
    import resource
    return [os.getpid(), resource.getrlimit(resource.RLIMIT_DATA)[0]]

ASKS = '''
import json, os, urllib.request
run, token = os.environ["TRIGGER_RUN_ID"], os.environ["TRIGGER_JWT"]
address = os.environ["TRIGGER_API_URL"] + "/api/v3/runs/" + run
asked = urllib.request.Request(address, headers={"authorization": "Bearer " + token})
with urllib.request.urlopen(asked) as answer:
    print(json.load(answer)["id"], token)
'''

@task(isolation="reuse", retry=Retry(max_attempts=2, min_delay="1ms"))
def asks_for_itself(ctx: Context) -> list:
    command = [sys.executable, "-c", ASKS]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()
    if ctx.attempt.number == 1:
        print(told[1])
        raise ValueError("once more")
    return told

@task(retry=ONCE)
def chatters() -> None:
    try:
        while True:
            print("x" * 2_000)
            time.sleep(0.0001)
    finally:
        print("cleaned up")

@task(retry=ONCE)
def big(text: str) -> int:
    time.sleep(60)

@task(retry=ONCE)
async def big_async(text: str) -> int:
    await asyncio.sleep(60)

@task(retry=ONCE)
def waits_blocking() -> None:
    print("waiting")
    wait.for_sync(hours=1)

@task(retry=ONCE, max_duration="5s")
async def gives_up_waiting() -> None:
    try:
        await asyncio.wait_for(wait.for_(hours=1), 0.2)
    except TimeoutError:
        print("went on")
    while True:
        pass

@task(retry=ONCE)
async def half_a_gather() -> str:
    long = asyncio.ensure_future(wait.for_(hours=1))
    await asyncio.gather(wait.for_(seconds=0.2), asyncio.sleep(0.1))
    long.cancel()
    await wait.for_(seconds=0.2)
    return "done"
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """One worker for all tests of this file."""
    made = Pair(
        tmp_path_factory.mktemp("attempts") / "project", TASKS, config=', cancel_grace="6s"'
    )
    made.load()
    yield made
    made.close()


def test_leaving_with_exit_code_zero_is_no_success(pair: Pair) -> None:
    """``sys.exit(0)`` in a task ends the attempt without an output."""
    run = pair.run("leave-politely")
    assert run.status == "CRASHED"
    assert run.error is not None
    assert "sys.exit(0)" in run.error.message


@pytest.mark.parametrize("task", ["interrupted", "interrupted-async"])
def test_a_keyboard_interrupt_fails_the_attempt(pair: Pair, task: str) -> None:
    """It is an error like any other, and the process does not hang."""
    run = pair.run(task)
    assert run.status == "FAILED"
    assert run.error is not None
    assert run.error.name == "KeyboardInterrupt"


def test_a_copy_of_the_process_does_not_speak_for_it(pair: Pair) -> None:
    """A child that the task forks may return from the task: the run's end is its parent's."""
    run = pair.run("copy-returns")
    assert (run.status, run.output) == ("COMPLETED", "original")
    assert "from the copy" in pair.messages(run.id)


def test_the_end_of_a_process_is_seen_although_a_copy_of_it_lives_on(pair: Pair) -> None:
    """A forked child holds the streams open; the run does not wait for it."""
    run = pair.result(pair.trigger("copy-survives", 3), 10)
    assert run.error is not None
    assert "code 3" in run.error.message


def test_a_task_may_close_its_output(pair: Pair) -> None:
    """What Python prints takes another way."""
    run = pair.run("closes-its-output")
    assert (run.output, pair.messages(run.id)) == ("ok", ["still heard"])


def test_of_a_long_line_nothing_is_lost(pair: Pair) -> None:
    """It becomes several records of at most 64 KiB."""
    messages = pair.messages(pair.run("long-lines").id)
    assert max(map(len, messages)) <= 64 * 1024
    joined = "".join(messages)
    for letter in "abc":
        assert joined.count(letter) == 200_000
    assert joined.count("z") == 3


def test_lines_of_many_threads_stay_whole(pair: Pair) -> None:
    """Threads that write at once neither lose lines nor break into each other's."""
    lines = pair.messages(pair.run("many-threads").id)
    expected = [f"{n}:{line}:" + "x" * 500 for n in range(8) for line in range(200)]
    assert len(lines) == len(expected)
    assert set(lines) == set(expected)


def test_a_flood_of_output_is_kept_whole(pair: Pair) -> None:
    """The writer waits while its lines are reported."""
    run = pair.run("flood")
    assert run.output == "ok"
    assert len(pair.messages(run.id)) == 30_000


def test_asynchronous_code_left_running_ends_with_its_run(pair: Pair) -> None:
    """It cleans up in its own run and says nothing in the next one of the process."""
    first = pair.run("leaves-a-task-behind")
    second = pair.run("sleeps-on")
    assert first.output == second.output
    assert pair.messages(first.id) == ["ended with its run"]
    assert pair.messages(second.id) == []


def test_a_used_process_is_like_new_where_it_is_ours(pair: Pair) -> None:
    """Context variables, logging and streams that a run changed do not reach the next one."""
    spoiled = pair.run("spoils-its-process")
    run = pair.run("looks-around")
    assert run.output == [spoiled.output, "clean"]
    assert pair.messages(run.id) == ["logged", "printed"]


def test_a_memory_limit_ends_with_its_run(pair: Pair) -> None:
    """A process that ran with a small machine is not small for the next run."""
    before, free = pair.run("data-limit").output
    small, limited = pair.run("data-limit", machine="micro").output
    after, again = pair.run("data-limit").output
    assert before == small == after
    assert limited != free
    assert again == free


def test_a_run_is_canceled_cleanly_in_the_midst_of_a_line(pair: Pair) -> None:
    """However much it writes at that moment, it cleans up and nothing of the stream breaks."""
    run_id = pair.started("chatters")
    pair.cancel(run_id)
    pair.worker.event("run_finished", runId=run_id, outcome="canceled")
    *lines, last = pair.messages(run_id)
    assert last == "cleaned up"
    assert set(map(len, lines)) <= {2_000}


@pytest.mark.parametrize("task", ["big", "big-async"])
def test_a_cancel_right_after_the_trigger_ends_the_run(pair: Pair, task: str) -> None:
    """Wherever it meets the run on its way to the process, with a payload of many reads."""
    run_ids = [pair.trigger(task, "x" * 300_000) for _ in range(6)]
    for run_id in run_ids:
        pair.cancel(run_id)
    assert {pair.get(run_id).status for run_id in run_ids} == {"CANCELED"}

    def still_executing() -> set[str]:
        events = [one for one in pair.worker.events if one.get("runId") in run_ids]
        ended = {one["runId"] for one in events if one.get("outcome") == "canceled"}
        return {one["runId"] for one in events} - ended

    until(lambda: not still_executing(), what="the end of canceled attempts")


def test_a_blocking_wait_ends_with_a_cancel(pair: Pair) -> None:
    """The process that sleeps is told."""
    run_id = pair.started("waits-blocking")
    pair.worker.event("run_finished", runId=run_id, outcome="waiting")
    pair.cancel(run_id)
    pair.worker.event("run_finished", runId=run_id, outcome="canceled")


def test_code_that_gave_up_a_wait_is_executing_again(pair: Pair) -> None:
    """Its active time counts: ``max_duration`` holds although the wait would last for an hour."""
    run = pair.run("gives-up-waiting")
    assert pair.messages(run.id) == ["went on"]
    assert run.status == "TIMED_OUT"


def test_a_gather_of_waits_may_be_given_up_half_way(pair: Pair) -> None:
    """The other waits go on, and so does the run."""
    run = pair.run("half-a-gather")
    assert (run.status, run.output) == ("COMPLETED", "done")


def test_two_thousand_runs_leave_no_descriptor_open(tmp_path: Path) -> None:
    """Neither in the worker nor in the version's process."""
    tasks = "from trigger_sdk import task\n@task\ndef nothing(n: int) -> int:\n    return n\n"
    made = Pair(tmp_path / "project", tasks)
    try:
        made.load()
        (version,) = made.version_processes()
        watched = [made.worker.process.pid, version]

        def settled() -> list[int]:
            return [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in watched]

        def burst(count: int) -> None:
            for run_id in [made.trigger("nothing", n) for n in range(count)]:
                made.result(run_id)

        burst(100)
        idle = until(lambda: settled() if settled() == settled() else None)
        burst(2_000)
        until(
            lambda: all(now <= was + 8 for now, was in zip(settled(), idle, strict=True)),
            what="the closing of descriptors",
        )
    finally:
        made.close()


def test_what_a_task_starts_speaks_for_its_run_while_the_attempt_lasts(pair: Pair) -> None:
    """Each attempt has another ``TRIGGER_JWT``, in the same process too, and it ends with the attempt."""
    runs = [pair.run("asks-for-itself") for _ in range(2)]
    tokens = []
    for run in runs:
        [told, second] = run.output
        [first] = pair.messages(run.id)
        assert told == run.id
        tokens += [first, second]
    assert len(set(tokens)) == 4

    for run, token in zip([run for run in runs for _ in range(2)], tokens, strict=True):
        stranger = Client(pair.ready["url"], token)
        with pytest.raises(AuthenticationError):
            stranger.send(run_calls.retrieve(run.id))
        stranger.close()
