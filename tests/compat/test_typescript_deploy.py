"""The official ``trigger.dev deploy``, unmodified, deploys a TypeScript project to this platform.

No image is built: ``docker`` is a stand-in that runs the indexer of the build and nothing else
(``support/buildx.py``). Everything the platform is asked on the way to a deployment, by the command line and
from within the build, is asked by the official programs.

The tests of one version share a project and run in the order they stand in. Where there is no internet, each
deployment takes seven seconds longer: the command line looks up a list there that it can do without.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from support.deployer import Deployer
from support.dev import Dev, write_project
from support.npm import VERSIONS

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


def test_a_second_deployment_is_the_next_version_and_may_wait_for_its_promotion(
    ts: Deployer,
) -> None:
    first = ts.current
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


def test_tasks_that_cannot_be_loaded_fail_the_deployment_and_change_nothing(ts: Deployer) -> None:
    before = ts.current
    file = ts.folder / "src" / "trigger" / "tasks.ts"
    file.write_text(file.read_text() + '\nthrow new Error("no luck while indexing");\n')
    done = ts.deploy()

    assert done.returncode == 1
    assert "no luck while indexing in src/trigger/tasks.ts" in done.stdout
    failed = ts.all[0]
    assert (failed["status"], failed["error"]["name"]) == ("FAILED", "TaskIndexingImportError")
    assert ts.current == before
