"""The official ``trigger.dev deploy``, unmodified, deploys a TypeScript project to this platform.

No image is built: ``docker`` is a stand-in that runs the indexer of the build and nothing else
(``support/buildx.py``). Everything the platform is asked on the way to a deployment, by the command line and
from within the build, is asked by the official programs.

The tests of one version share a project and run in the order they stand in. Where there is no internet, each
deployment takes seven seconds longer: the command line looks up a list there that it can do without.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import buildx
from support.dev import Dev, write_project
from support.npm import NODE, VERSIONS
from support.typescript import Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PYTHON = """
from trigger_sdk import *

@task
async def nothing() -> None: ...
"""
_OFFLINE = ("--skip-telemetry", "--skip-update-check")
_TASK = re.compile(r'\bid: "(ts-[a-z-]+)"')


class Deployer(Project):
    """The command line in a project that is deployed to ``prod``."""

    def __init__(self, version: str, session: Dev, folder: Path) -> None:
        super().__init__(version, session, folder)
        self.tools = folder / "bin"
        self.tools.mkdir()
        (self.tools / "node").symlink_to(NODE)
        docker = self.tools / "docker"
        docker.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{buildx.__file__}" "$@"\n')
        docker.chmod(0o755)
        (folder / "tmp").mkdir()
        self._log_in()
        self.ref = session.session["projectRef"]
        environment = self.ask("GET", f"/api/v1/projects/{self.ref}/prod", key=self._token)
        self.key: str = environment["apiKey"]

    @property
    def _token(self) -> str:
        return str(self.session.session["accessToken"])

    def _log_in(self) -> None:
        """Leave behind what ``login`` does; ``whoami`` looks nowhere else."""
        known = self.session.session
        profile = {"accessToken": known["accessToken"], "apiUrl": known["apiUrl"]}
        file = self.folder / "config" / "trigger" / "config.json"
        file.parent.mkdir(parents=True)
        content = {"version": 2, "currentProfile": "default", "profiles": {"default": profile}}
        file.write_text(json.dumps(content))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        path = f"{self.tools}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [NODE, self.program, *words],
            cwd=self.folder,
            env=self.env | {"PATH": path, "TMPDIR": str(self.folder / "tmp")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    def deploy(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Deploy to ``prod``."""
        return self.run("deploy", "--env", "prod", *_OFFLINE, *words)

    def promote(self, version: str) -> subprocess.CompletedProcess[str]:
        """Promote a version in ``prod``."""
        return self.run("promote", version, "--env", "prod", *_OFFLINE)

    def ask(self, method: str, path: str, body: Any = None, key: str = "") -> Any:
        """Ask the platform, with the key of ``prod`` unless another is named."""
        answer = httpx.request(
            method,
            self.session.session["apiUrl"] + path,
            json=body,
            headers={"authorization": f"Bearer {key or self.key}"},
            timeout=30,
        )
        assert answer.status_code < 300, answer.text
        return answer.json()

    @property
    def all(self) -> list[dict[str, Any]]:
        """The deployments of ``prod``, newest first."""
        return list(self.ask("GET", "/api/v1/deployments")["data"])

    @property
    def current(self) -> str:
        """The version on which new runs execute."""
        return str(self.ask("GET", "/api/v1/deployments/current")["version"])


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
