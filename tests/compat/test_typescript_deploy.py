"""The official ``trigger.dev deploy``, unmodified, deploys a TypeScript project; a supervisor executes it.

No image is built: ``docker`` is a stand-in that runs the indexer of the build and nothing else
(``support/buildx.py``). Everything the platform is asked on the way to a deployment, by the command line and
from within the build, is asked by the official programs. Our supervisor starts the official runner of the build,
the managed run controller, as a process; it and the process of the task are unmodified too. It looks at its run
by itself once a minute only, so whatever it learns earlier it was told.

The tests of one version share a project and run in the order they stand in. Where there is no internet, each
deployment takes seven seconds longer: the command line looks up a list there that it can do without.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from support.deployer import Deployer
from support.dev import Dev, alive, descendants, until, write_project
from support.npm import VERSIONS
from support.supervisor_process import SupervisorProcess
from support.traces import outline

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PYTHON = """
from trigger_sdk import *

@task
async def nothing() -> None: ...
"""
_TASK = re.compile(r'\bid: "(ts-[a-z-]+)"')


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(version, marks=pytest.mark.xdist_group(f"compat-deploy-{version}"))
        for version in VERSIONS
    ],
)
def ts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployer]:
    """A project, and a platform of its own to deploy it to."""
    folder = tmp_path_factory.mktemp("deploy")
    session = Dev(write_project(folder / "python", PYTHON))
    yield Deployer(request.param, session, folder / "project")
    assert session.stop() == 0


def test_it_says_who_is_logged_in(ts: Deployer) -> None:
    done = ts.run("whoami", "--skip-telemetry")

    assert done.returncode == 0, done.stdout
    known = ts.ask("GET", "/api/v2/whoami", key=ts.session.session["accessToken"])
    assert known["userId"] in done.stdout
    assert known["email"] in done.stdout
    assert f"Project details [{ts.ref}]" in done.stdout


def test_what_it_deploys_is_current_with_all_its_tasks(ts: Deployer) -> None:
    done = ts.deploy()

    assert done.returncode == 0, done.stdout
    [deployed] = ts.all
    assert (deployed["status"], deployed["version"]) == ("DEPLOYED", ts.current)
    assert f"Version {ts.current} deployed" in done.stdout
    worker = ts.ask("GET", f"/api/v1/projects/{ts.ref}/prod/workers/current")["worker"]
    assert (worker["version"], worker["sdkVersion"]) == (ts.current, ts.version)
    written = {
        name
        for file in (ts.folder / "src" / "trigger").iterdir()
        for name in _TASK.findall(file.read_text())
    }
    assert {task["slug"] for task in worker["tasks"]} == written
    declared = ts.ask("GET", "/api/v1/schedules")["data"]
    assert [(one["task"], one["timezone"]) for one in declared] == [("ts-ticking", "Europe/Berlin")]


def test_it_lists_what_productions_run_on(ts: Deployer) -> None:
    done = ts.run("projects", "list", "--skip-telemetry")

    assert done.returncode == 0, done.stdout
    assert ts.ref in done.stdout
    assert ts.all[0]["runtime"] in done.stdout


def test_a_run_is_queued_for_that_version(ts: Deployer) -> None:
    """A worker that serves the version is given it; a container would do so with the version's image."""
    body = {"payload": {"n": 1}, "options": {}}
    run_id = ts.ask("POST", "/api/v1/tasks/ts-double/trigger", body)["id"]
    assert ts.ask("GET", f"/api/v3/runs/{run_id}")["status"] == "QUEUED"

    deployed = ts.ask("GET", f"/api/v1/deployments/{ts.all[0]['id']}")
    image = rf"/{ts.ref}:{ts.current}\.prod\.\w+@sha256:[0-9a-f]{{64}}$"
    assert re.search(image, deployed["imageReference"])
    seat = {"instance": "here", "bootId": "boot"}
    ts.ask("POST", "/engine/v1/worker/connect", seat)
    asked = {"bootId": "boot", "workers": [deployed["worker"]["id"]], "limit": 1, "waitMs": 0}
    [given] = ts.ask("POST", "/engine/v1/worker/poll", asked)["runs"]
    assert (given["runId"], given["task"]) == (run_id, "ts-double")
    assert ts.ask("GET", f"/api/v3/runs/{run_id}")["version"] == ts.current


@dataclass(frozen=True)
class Running:
    """A supervisor at work, a run that it lost, and others that it was given all at once."""

    ts: Deployer
    supervisor: SupervisorProcess
    lost: str
    runs: dict[str, str]

    def result(self, name: str) -> dict[str, Any]:
        """Wait for the end of a run."""
        return self.ts.result(self.runs[name])


@pytest.fixture(scope="module")
def running(ts: Deployer) -> Iterator[Running]:
    """It was killed once, in the middle of a run; nothing that it had started was left then."""
    variable = {"name": "SECRET_OF_THE_ENVIRONMENT", "value": "kept"}
    ts.ask("POST", f"/api/v1/projects/{ts.ref}/envvars/prod", variable, key=ts.token)
    supervisor = SupervisorProcess(ts.session, ts.bundles, ts.folder / "supervisor.log")
    lost = ts.trigger("ts-survivor", {})
    until(lambda: ts.get(lost)["status"] == "EXECUTING", 60, "the first attempt")
    supervisor.kill()
    supervisor.start()
    runs = {
        name: ts.trigger(task, payload)
        for name, task, payload in (
            ("hello", "ts-hello", {"name": "Ada"}),
            ("within", "ts-within", {"n": 1, "foreign": False}),
            ("third time", "ts-third-time", {}),
            ("sleeps", "ts-sleeps", {"seconds": 1}),
            ("sleeps long", "ts-sleeps", {"seconds": 7}),
            ("parent", "ts-parent", {"n": 3}),
            ("exits", "ts-fails", {"how": "exit"}),
        )
    }
    yield Running(ts, supervisor, lost, runs)
    assert supervisor.stop() == 0


def test_a_deployed_task_is_given_what_it_needs_and_its_output_arrives(running: Running) -> None:
    run = running.result("hello")

    assert run["status"] == "COMPLETED", run
    got = run["output"]
    assert (got["greeting"], got["environment"], got["secret"]) == (
        "Hello, Ada", "PRODUCTION", "kept",
    )  # fmt: skip
    assert (got["runVersion"], got["version"]) == (running.ts.current, "one")


def test_a_deployed_task_that_failed_is_tried_again(running: Running) -> None:
    """By its runner, which is told to begin the next attempt at once."""
    run = running.result("third time")

    assert (run["status"], run["output"], run["attemptCount"]) == ("COMPLETED", 3, 3)


def test_a_deployed_task_waits_for_a_while(running: Running) -> None:
    """Short or long: its runner asks to be put away, is refused, waits on, and is told when it is over."""
    assert 900 < running.result("sleeps")["output"] < 30_000
    assert 6_900 < running.result("sleeps long")["output"] < 30_000


def test_a_deployed_task_waits_for_its_children(running: Running) -> None:
    """Each has a runner of its own."""
    assert running.result("parent")["output"] == {
        "one": 6,
        "again": None,
        "bad": "a type error",
    }


def test_the_process_of_a_deployed_task_crashes(running: Running) -> None:
    run = running.result("exits")

    assert (run["status"], run["error"]["code"]) == (
        "CRASHED", "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE",
    )  # fmt: skip


def test_a_deployed_task_tells_what_it_does(running: Running) -> None:
    """To the address that its attempt was given: spans, lines, and children where they were triggered."""
    ts = running.ts
    run_id = running.runs["within"]
    assert running.result("within")["status"] == "COMPLETED"
    names = ("outer", "inner", "ts-double")

    def told() -> list[str] | None:
        root = ts.ask("GET", f"/api/v1/runs/{run_id}/trace")["trace"]["rootSpan"]
        found = sorted(outline(root, *names))
        return found if {"outer", "outer > inner"} <= set(found) else None

    assert until(told) == [
        "outer",
        "outer > inner",
        "outer > inner > ts-double",
        *["outer > ts-double"] * 4,
        "ts-double",
    ]
    events = ts.ask("GET", f"/api/v1/runs/{run_id}/events")["events"]
    [outer] = [one for one in events if one["message"] == "outer"]
    lines = {one["message"]: one for one in events if one["kind"] == "LOG"}
    assert {lines[text]["parentId"] for text in ("a line", "printed")} == {outer["spanId"]}


def test_a_deployed_task_is_canceled_at_once(running: Running) -> None:
    """Platform, supervisor and runner pass it on; it has its say, and its processes end."""
    ts = running.ts
    run_id = ts.trigger("ts-endless", {"seconds": 100})
    until(lambda: (ts.get(run_id).get("metadata") or {}).get("running"), 60, "the task")
    processes = descendants(running.supervisor.runner_of(run_id))
    ts.ask("POST", f"/api/v2/runs/{run_id}/cancel")

    ended = until(lambda: ts.get(run_id).get("finishedAt") and ts.get(run_id), 20, "the end")
    assert ended["status"] == "CANCELED"
    until(lambda: not any(map(alive, processes)), what="the end of its process")


def test_a_runner_whose_run_is_over_executes_the_next_one(running: Running) -> None:
    """Once it rests, which it does a moment after the run is over."""
    ts, ways = running.ts, set()
    for n in range(6):
        run_id = ts.trigger("ts-double", {"n": n})
        ended = ts.result(run_id)
        assert ended.get("output") == 2 * n, ended
        ways.add(running.supervisor.given(run_id)[0])
    assert "given" in ways


def test_a_runner_that_is_killed_is_missed_at_once(running: Running) -> None:
    """Nobody waits for its lease to run out: the run is tried again by the policy of its task."""
    ts = running.ts
    run_id = ts.trigger("ts-survivor", {})
    until(lambda: ts.get(run_id)["status"] == "EXECUTING", 60, "the first attempt")
    os.kill(running.supervisor.runner_of(run_id), signal.SIGKILL)

    run = ts.result(run_id)
    assert (run["status"], run["output"], run["attemptCount"]) == ("COMPLETED", 2, 2)


def test_a_second_deployment_is_the_next_version_and_may_wait_for_its_promotion(
    ts: Deployer,
) -> None:
    first = ts.current
    ts.edit('VERSION = "one"', 'VERSION = "two"')
    done = ts.deploy("--skip-promotion")

    assert done.returncode == 0, done.stdout
    second = ts.all[0]["version"]
    day, number = first.split(".")
    assert (second, ts.all[0]["status"]) == (f"{day}.{int(number) + 1}", "DEPLOYED")
    assert ts.current == first
    promoted = ts.promote(second)
    assert promoted.returncode == 0, promoted.stdout
    assert ts.current == second


def test_the_first_version_comes_back_only_when_that_is_allowed(ts: Deployer) -> None:
    """The command line does not know the word for it, so it is refused, with the reason."""
    first = ts.all[-1]["version"]
    refused = ts.promote(first)

    assert refused.returncode == 1
    assert f"version {first} is older than the current one" in refused.stdout
    ts.ask("POST", f"/api/v1/deployments/{first}/promote?allowRollbacks=true")
    assert ts.current == first


def test_a_run_executes_the_code_of_its_version(running: Running) -> None:
    """The one that is current, unless it is locked to another."""
    ts = running.ts
    second, first = (ts.all[at]["version"] for at in (0, -1))
    current, locked = (
        ts.trigger("ts-hello", {"name": "x"}),
        ts.trigger("ts-hello", {"name": "x"}, lockToVersion=second),
    )

    got = ts.result(current)["output"]
    assert (got["runVersion"], got["version"]) == (first, "one")
    got = ts.result(locked)["output"]
    assert (got["runVersion"], got["version"]) == (second, "two")


def test_the_run_of_a_supervisor_that_was_killed_is_executed_again(running: Running) -> None:
    """Nobody could say that its runner was gone, so its lease ran out."""
    run = running.ts.result(running.lost)

    assert (run["status"], run["output"], run["attemptCount"]) == ("COMPLETED", 2, 2)


def test_tasks_that_cannot_be_loaded_fail_the_deployment_and_change_nothing(ts: Deployer) -> None:
    before = ts.current
    ts.edit(
        "export const VERSION", 'throw new Error("no luck while indexing");\nexport const VERSION'
    )
    done = ts.deploy()

    assert done.returncode == 1
    assert "no luck while indexing in src/trigger/tasks.ts" in done.stdout
    failed = ts.all[0]
    assert (failed["status"], failed["error"]["name"]) == ("FAILED", "TaskIndexingImportError")
    assert ts.current == before
