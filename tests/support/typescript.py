"""The official command line on a TypeScript project, before the platform of a session of ours."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from support.dev import Session, clean_env, until
from support.npm import LOCKS, NODE, installed

__all__ = ["Project", "TypeScript", "ask"]

PROJECT = Path(__file__).parents[1] / "compat" / "typescript"
_READY = re.compile(r"Local worker ready.*-> (\S+)")


def ask(session: Session, method: str, path: str, body: Any = None) -> Any:
    """Ask the platform of a session with the environment's key."""
    known = session.session
    answer = httpx.request(
        method,
        known["apiUrl"] + path,
        json=body,
        headers={"authorization": f"Bearer {known['secretKey']}"},
        timeout=30,
    )
    assert answer.status_code < 300, answer.text
    return answer.json()


class Project:
    """A TypeScript project, and the official command line in it, one version of it."""

    def __init__(self, version: str, session: Session, folder: Path) -> None:
        self.version = version
        self.session = session
        self.folder = folder
        clients = installed(version)
        shutil.copytree(PROJECT, folder, dirs_exist_ok=True)
        shutil.copy(LOCKS / version / "package-lock.json", folder)
        (folder / "node_modules").symlink_to(clients / "node_modules")
        self.program = clients / "node_modules" / "trigger.dev" / "dist" / "esm" / "index.js"

    @property
    def env(self) -> dict[str, str]:
        """What points the command line at the platform."""
        known = self.session.session
        return clean_env() | {
            "TRIGGER_ACCESS_TOKEN": known["accessToken"],
            "TRIGGER_API_URL": known["apiUrl"],
            "TRIGGER_PROJECT_REF": known["projectRef"],
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "CI": "1",
        }


class TypeScript(Project):
    """A running session of the command line."""

    def __init__(self, version: str, session: Session, folder: Path) -> None:
        super().__init__(version, session, folder)
        self.output = folder / "output.log"
        self._groups: list[int] = []
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Start it; it is ready once it has registered its code."""
        before = len(self.versions)
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [NODE, self.program, "dev", "--skip-telemetry", "--skip-update-check"],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._groups.append(self.process.pid)
        self.ready(before)
        return self.process

    @property
    def text(self) -> str:
        """What it has printed."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    @property
    def versions(self) -> list[str]:
        """The versions it said were ready."""
        return _READY.findall(self.text)

    def ready(self, before: int) -> str:
        """Wait until it says that another version is ready; return its name."""

        def more() -> list[str] | None:
            assert self.process.poll() is None, self.text[-4000:]
            found = self.versions
            return found if len(found) > before else None

        return str(until(more, 90, f"a version ({self.text[-2000:]})")[-1])

    def save(self, old: str, new: str) -> str:
        """Change its tasks; return the name of the version that comes of it."""
        file = self.folder / "src" / "trigger" / "tasks.ts"
        before = len(self.versions)
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        return self.ready(before)

    def kill(self) -> None:
        """End the process without warning; what it started to watch over it stays."""
        self.process.kill()
        self.process.wait(timeout=20)

    def stop(self) -> int:
        """End it as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=30)
        self.end()
        return code

    def end(self) -> None:
        """Let nothing of it survive the test."""
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self.process.wait(timeout=20)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the platform with the environment's key."""
        return ask(self.session, method, path, body)

    def output_of(self, task: str, payload: Any = None, **options: Any) -> Any:
        """Run a task; return its output, and fail with the run's error if it fails."""
        run = self.session.run(task, payload, **options)
        assert run.status == "COMPLETED", (run.status, run.error, self.text[-2000:])
        return run.output
