"""The official command line in a project that it deploys, with a stand-in for docker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from support import buildx
from support.dev import Dev, until
from support.npm import NODE
from support.typescript import Project

__all__ = ["Deployer"]

_OFFLINE = ("--skip-telemetry", "--skip-update-check")


class Deployer(Project):
    """The command line in a project that is deployed to ``prod``."""

    def __init__(self, version: str, session: Dev, folder: Path) -> None:
        super().__init__(version, session, folder)
        self.tools = folder / "bin"
        self.tools.mkdir()
        (self.tools / "node").symlink_to(NODE)
        docker = self.tools / "docker"
        self.bundles = folder / "bundles"
        self.bundles.mkdir()
        docker.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" "{buildx.__file__}" "{self.bundles}" "$@"\n'
        )
        docker.chmod(0o755)
        (folder / "tmp").mkdir()
        self._log_in()
        self.ref = session.session["projectRef"]
        environment = self.ask("GET", f"/api/v1/projects/{self.ref}/prod", key=self.token)
        self.key: str = environment["apiKey"]

    @property
    def token(self) -> str:
        """The token of the user."""
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
            headers={
                "authorization": f"Bearer {key or self.key}",
                "x-trigger-api-version": "2025-07-16",
            },
            timeout=30,
        )
        assert answer.status_code < 300, answer.text
        return answer.json()

    def trigger(self, task: str, payload: Any, **options: Any) -> str:
        """Trigger a run in ``prod``."""
        body = {"payload": payload, "options": options}
        return str(self.ask("POST", f"/api/v1/tasks/{task}/trigger", body)["id"])

    def get(self, run_id: str) -> dict[str, Any]:
        """Read a run."""
        return dict(self.ask("GET", f"/api/v3/runs/{run_id}"))

    def result(self, run_id: str) -> dict[str, Any]:
        """Wait for the end of a run."""

        def ended() -> dict[str, Any] | None:
            run = self.get(run_id)
            return run if run["isCompleted"] else None

        return dict(until(ended, 90, f"the end of {run_id}"))

    def edit(self, old: str, new: str) -> None:
        """Change its tasks."""
        file = self.folder / "src" / "trigger" / "tasks.ts"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    @property
    def all(self) -> list[dict[str, Any]]:
        """The deployments of ``prod``, newest first."""
        return list(self.ask("GET", "/api/v1/deployments")["data"])

    @property
    def current(self) -> str:
        """The version on which new runs execute."""
        return str(self.ask("GET", "/api/v1/deployments/current")["version"])
