"""A supervisor takes runs, places each with a runner of its own, and misses none that ends without a word."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from support.dev import alive, clean_env
from support.supervised import Supervised, eventually, lay_down, supervised
from trigger_core.errors import AuthenticationError
from trigger_supervisor import supervisor

RETRY = {"options": {"maxAttempts": 2}}


async def _gone(pid: int) -> None:
    """Wait until a process is gone."""
    await eventually(lambda: not alive(pid))


async def _is(one: Supervised, run_id: str, status: str) -> bool:
    return bool((await one.status(run_id))["status"] == status)


@pytest.fixture
def resting(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged of runners that rest."""
    caplog.set_level(logging.DEBUG, logger="trigger_supervisor.crew")
    return caplog


async def _rests(log: pytest.LogCaptureFixture) -> None:
    """Wait until a runner rests."""
    await eventually(lambda: " rests" in log.text)
    log.clear()


async def test_a_run_is_executed_by_a_runner_of_its_own(tmp_path: Path) -> None:
    """It is told where it belongs (protocol F.3), and nothing of what its supervisor knows."""
    async with supervised(tmp_path, otlp_url="http://spans.example.com/otel") as one:
        first, second = await one.run("return"), await one.run("return")
        env = first["output"]["env"]
        assert first["status"] == "COMPLETED"
        assert first["output"]["attempt"] == 1
        assert env["TRIGGER_RUN_ID"] == first["id"]
        assert env["TRIGGER_SNAPSHOT_ID"].startswith("snapshot_")
        assert env["TRIGGER_DEPLOYMENT_VERSION"] == first["version"]
        assert (env["TRIGGER_MACHINE_CPU"], env["TRIGGER_MACHINE_MEMORY"]) == ("0.5", "0.5")
        assert env["TRIGGER_WORKER_INSTANCE_NAME"] == "one"
        assert env["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://spans.example.com/otel"
        assert env["TRIGGER_ENV_ID"]
        assert int(env["TRIGGER_DEQUEUED_AT_MS"]) > 0
        assert int(env["TRIGGER_POD_SCHEDULED_AT_MS"]) > 0
        assert env["TRIGGER_RUNNER_ID"] != second["output"]["env"]["TRIGGER_RUNNER_ID"]
        assert one.token not in json.dumps(env)


async def test_what_a_bundle_says_of_itself_is_in_the_runners_environment(tmp_path: Path) -> None:
    """As the environment of an image would be; what the supervisor says goes before it."""
    async with supervised(tmp_path, has_bundle=False) as one:
        said = {"NODE_ENV": "production", "TRIGGER_RUN_ID": "another"}
        lay_down(tmp_path, one.image, env=said)
        run = await one.run("return")

    assert run["output"]["env"]["NODE_ENV"] == "production"
    assert run["output"]["env"]["TRIGGER_RUN_ID"] == run["id"]


@pytest.mark.parametrize(
    ("do", "code", "message"),
    [
        ({"do": "exit", "code": 3}, "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE", "code 3"),
        ({"do": "exit", "code": 0}, "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE", "code 0"),
        ({"do": "garble"}, "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE", "code 0"),
        ({"do": "kill"}, "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE", "SIGKILL"),
    ],
)
async def test_a_runner_that_ends_without_a_word_ends_its_attempt_at_once(
    tmp_path: Path, do: dict[str, object], code: str, message: str
) -> None:
    """Nobody waits for its lease to run out; the task's policy decides whether it is tried again."""
    async with supervised(tmp_path) as one:
        run_id = await one.prod.trigger("task", do, maxAttempts=2)
        run = await one.result(run_id)

    assert (run["status"], run["attemptCount"]) == ("CRASHED", 2)
    assert run["error"]["code"] == code
    assert message in run["error"]["message"]


async def test_a_runner_that_was_to_begin_again_and_did_not_is_missed_too(tmp_path: Path) -> None:
    """It was told to retry at once, and exits."""
    async with supervised(tmp_path) as one:
        run = await one.run("fail", **RETRY)

    assert (run["status"], run["attemptCount"]) == ("CRASHED", 2)


async def test_a_build_that_is_not_here_fails_the_run_and_says_why(tmp_path: Path) -> None:
    """It is not tried over and over."""
    async with supervised(tmp_path, has_bundle=False) as one:
        run = await one.run("return", options={"maxAttempts": 3})

    assert (run["status"], run["attemptCount"]) == ("SYSTEM_FAILURE", 1)
    assert "is not here" in run["error"]["message"]
    assert "bundle.json" in run["error"]["message"]


async def test_a_program_that_is_not_here_fails_the_run_and_says_why(tmp_path: Path) -> None:
    async with supervised(tmp_path, has_bundle=False) as one:
        lay_down(tmp_path, one.image, command=["no-such-program"])
        run = await one.run("return")

    assert run["status"] == "SYSTEM_FAILURE"
    assert "no-such-program cannot be started" in run["error"]["message"]


async def test_what_a_runner_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    """Task processes are its children."""
    mark = tmp_path / "mark"
    async with supervised(tmp_path) as one:
        await one.run("exit", code=3, file=str(mark), child=True)
        child, _ = await one.mark(mark)
        await _gone(child)


async def test_a_runner_whose_run_is_over_is_given_the_next_one(
    tmp_path: Path, resting: pytest.LogCaptureFixture
) -> None:
    """One of the same deployment and machine; another needs a runner of its own."""
    async with supervised(tmp_path, keep_warm_s=60) as one:
        first = await one.run("return")
        await _rests(resting)
        second = await one.run("return")
        await _rests(resting)
        other = await one.run("return", options={"machine": "small-2x"})

    assert [run["status"] for run in (first, second, other)] == ["COMPLETED"] * 3
    assert first["output"]["pid"] == second["output"]["pid"]
    assert first["output"]["pid"] != other["output"]["pid"]


async def test_a_runner_that_rests_makes_place_for_another(
    tmp_path: Path, resting: pytest.LogCaptureFixture
) -> None:
    """There are never more of them than runs may be executed at once."""
    async with supervised(tmp_path, keep_warm_s=60, max_runs=1) as one:
        first = await one.run("return")
        await _rests(resting)
        other = await one.run("return", options={"machine": "small-2x"})
        await _gone(first["output"]["pid"])

    assert other["status"] == "COMPLETED"


async def test_a_runner_that_does_not_hear_of_its_next_run_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resting: pytest.LogCaptureFixture
) -> None:
    """It is ended first: two runners never begin the same run."""
    monkeypatch.setattr(supervisor, "_HEARS_WITHIN_S", 0.5)
    async with supervised(tmp_path, has_bundle=False, keep_warm_s=60) as one:
        lay_down(tmp_path, one.image, env={"deaf": "1"})
        first = await one.run("return")
        await _rests(resting)
        second = await one.run("return")
        await _gone(first["output"]["pid"])

    assert (second["status"], second["attemptCount"]) == ("COMPLETED", 1)
    assert first["output"]["pid"] != second["output"]["pid"]


async def test_told_to_end_it_lets_those_go_that_rest(
    tmp_path: Path, resting: pytest.LogCaptureFixture
) -> None:
    async with supervised(tmp_path, keep_warm_s=60) as one:
        run = await one.run("return")
        await _rests(resting)
        await one.stop()
        assert not alive(run["output"]["pid"])
        await one.start()


async def test_as_many_runs_are_placed_as_there_is_room_for(tmp_path: Path) -> None:
    """The others stay queued with the platform, for other supervisors to take."""
    go = tmp_path / "go"
    async with supervised(tmp_path, max_runs=2) as one:
        marks = [tmp_path / f"mark{n}" for n in range(3)]
        runs = [await one.trigger("wait", until=str(go), file=str(mark)) for mark in marks]
        for mark in marks[:2]:
            await one.mark(mark)
        assert (await one.status(runs[2]))["status"] == "QUEUED"
        assert not marks[2].exists()
        go.touch()
        for run_id in runs:
            assert (await one.result(run_id))["status"] == "COMPLETED"


async def test_a_run_that_is_too_large_for_now_waits_for_room(tmp_path: Path) -> None:
    """Two of one core each fit into one core one after the other, and so does one of two cores."""
    go, marks = tmp_path / "go", [tmp_path / f"mark{n}" for n in range(3)]
    async with supervised(tmp_path, cpu=1, memory_gb=1) as one:
        sizes = ["small-2x", "small-2x", "medium-2x"]
        runs = [
            await one.trigger(
                "wait", until=str(go), file=str(mark), options={"machine": size, "priority": -n}
            )
            for n, (mark, size) in enumerate(zip(marks, sizes, strict=True))
        ]
        await one.mark(marks[0])
        assert not marks[1].exists()
        go.touch()
        for run_id in runs:
            assert (await one.result(run_id))["status"] == "COMPLETED"


async def test_a_run_that_waited_for_room_and_was_canceled_is_not_placed(tmp_path: Path) -> None:
    go, marks = tmp_path / "go", [tmp_path / f"mark{n}" for n in range(2)]
    async with supervised(tmp_path, cpu=1.5, memory_gb=8) as one:
        large = {"machine": "small-2x"}
        first, second = [
            await one.trigger("wait", until=str(go), file=str(mark), options=large)
            for mark in marks
        ]
        await one.mark(marks[0])
        await eventually(partial(_is, one, second, "DEQUEUED"))
        await one.prod.http.post(f"/api/v2/runs/{second}/cancel")
        go.touch()
        assert (await one.result(first))["status"] == "COMPLETED"
        last = await one.run("return")

    assert last["status"] == "COMPLETED"
    assert not marks[1].exists()


async def test_told_to_end_it_takes_no_more_runs_and_waits_for_those_it_has(tmp_path: Path) -> None:
    go, mark = tmp_path / "go", tmp_path / "mark"
    async with supervised(tmp_path, max_runs=1) as one:
        run_id = await one.trigger("wait", until=str(go), file=str(mark))
        await one.mark(mark)
        one.end.tell()
        later = await one.trigger("return")
        go.touch()
        await one.stop()

        assert (await one.status(run_id))["status"] == "COMPLETED"
        assert (await one.status(later))["status"] == "QUEUED"


async def test_told_twice_it_ends_its_runners_and_their_runs_go_on_elsewhere(
    tmp_path: Path,
) -> None:
    """The next supervisor has them at once."""
    go, mark = tmp_path / "go", tmp_path / "mark"
    async with supervised(tmp_path) as one:
        run_id = await one.trigger("wait", until=str(go), file=str(mark), **RETRY)
        pid, _ = await one.mark(mark)
        one.end.tell()
        one.end.tell()
        await one.stop()
        assert not alive(pid)
        assert (await one.status(run_id))["attemptCount"] == 1
        go.touch()
        await one.start()

        run = await one.result(run_id)
    assert (run["status"], run["attemptCount"]) == ("COMPLETED", 2)


async def test_a_token_that_is_not_valid_ends_it(tmp_path: Path) -> None:
    async with supervised(tmp_path) as one:
        right, one.token = one.token, "tr_wgt_wrong"
        await one.stop()
        with pytest.raises(AuthenticationError, match="Invalid or missing worker token"):
            await one.start()
        one.token = right
        await one.start()


@pytest.mark.slow
async def test_killed_it_leaves_no_runner_behind_and_loses_no_run(tmp_path: Path) -> None:
    """The guard sees to the first, the lease to the second: the next supervisor executes the run again."""
    go, mark = tmp_path / "go", tmp_path / "mark"
    async with supervised(tmp_path) as one:
        await one.stop()
        command = [
            *(sys.executable, "-m", "trigger_cli.app", "supervisor", "start", "--json"),
            *("--port", "0", "--bundles", str(tmp_path)),
        ]
        where = {"TRIGGER_API_URL": one.prod.server.url, "TRIGGER_WORKER_TOKEN": one.token}
        with subprocess.Popen(  # noqa: ASYNC220 - a moment
            command, env=clean_env() | where, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            run_id = await one.trigger("wait", until=str(go), file=str(mark), child=True, **RETRY)
            child, _ = await one.mark(mark)
            os.kill(process.pid, signal.SIGKILL)
            await _gone(child)
        mark.unlink()
        go.touch()
        await one.start()
        one.prod.clock.advance(60_000)
        await one.prod.sweep()

        run = await one.result(run_id)
    assert (run["status"], run["attemptCount"]) == ("COMPLETED", 2)
