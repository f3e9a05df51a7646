"""A real platform and a real worker on a project made for the test, without a dev session in between."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from support.dev import Event, Session, descendants, until, write_project
from support.program import Program
from trigger_core.api.calls import runs as run_calls

__all__ = ["Pair", "group_members"]

_PROJECT = "proj_abcdefghijklmnopqrst"


class Pair(Session):
    """A platform and a worker on one project."""

    def __init__(self, folder: Path, tasks: str, *, config: str = "") -> None:
        super().__init__()
        self.folder = write_project(folder, tasks, config=config)
        self.platform = self.start_platform("0")
        self.ready = self.platform.event("ready")
        self.worker = self.start_worker()

    @property
    def session(self) -> dict[str, Any]:
        """Address and key."""
        return {"apiUrl": self.ready["url"], "secretKey": self.ready["secretKey"]}

    def start_platform(self, port: str) -> Program:
        """Start a platform on the project's database."""
        data = str(self.folder / ".trigger")
        self.platform = Program(
            "trigger_platform",
            *("--data-dir", data, "--project", _PROJECT, "--port", port),
            cwd=self.folder,
        )
        return self.platform

    def restart_platform(self) -> None:
        """Start a platform again on the port it had."""
        self.start_platform(self.ready["url"].rsplit(":", 1)[1]).event("ready")

    def start_worker(self, secret_key: str | None = None) -> Program:
        """Start a worker and point it at the platform."""
        self.worker = Program("trigger_worker", cwd=self.folder)
        self.worker.tell(
            "configure",
            apiUrl=self.ready["url"],
            secretKey=secret_key or self.ready["secretKey"],
            projectRef=_PROJECT,
        )
        return self.worker

    def load(self, tasks: str | None = None, **env: str) -> Event:
        """Make the project's code, perhaps new code, the version that takes runs."""
        if tasks is not None:
            (self.folder / "tasks" / "main.py").write_text(tasks)
        return self.worker.event("loaded", self.worker.tell("load", env=env))

    def load_failed(self, tasks: str) -> Event:
        """Save code that cannot be loaded; return what is wrong with it."""
        (self.folder / "tasks" / "main.py").write_text(tasks)
        before = self.worker.tell("load", env={})
        error: Event = self.worker.event("load_failed", before)["error"]
        return error

    def started(self, task: str, payload: Any = None, **options: Any) -> str:
        """Trigger a run and wait until its code runs: it says so by a line in its log."""
        run_id = self.trigger(task, payload, **options)
        until(lambda: self.logs(run_id), what=f"the first line of {run_id}")
        return run_id

    def messages(self, run_id: str) -> list[str]:
        """Read the lines a run wrote."""
        return [line.message for line in self.logs(run_id)]

    def cancel(self, run_id: str) -> None:
        """Cancel a run."""
        self.client.send(run_calls.cancel(run_id))

    def version_processes(self) -> list[int]:
        """Return the version processes: the children of the base process, which is the worker's child."""
        worker = self.worker.process.pid
        (base,) = [pid for pid in descendants(worker) if _parent(pid) == worker]
        return [pid for pid in descendants(base) if _parent(pid) == base]

    def close(self) -> None:
        """End both."""
        self.client.close()
        self.worker.kill()
        self.platform.kill()


def _parent(pid: int) -> int:
    """Return a process's parent, 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def group_members(group: int) -> list[int]:
    """Return the living processes of a process group."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z" and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found
