"""A real ``trigger dev`` on a project made for the test, watched through its JSON events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trigger_core.api.calls import runs as run_calls
from trigger_core.api.calls import tasks as task_calls
from trigger_core.api.client import Client
from trigger_core.schemas.runs import LogRecord, RunDetail
from trigger_core.schemas.trigger import TriggerOptions, TriggerTask

CONFIG = """from trigger_sdk import define_config
config = define_config(project="proj_abcdefghijklmnopqrst"{extra})
"""
Event = dict[str, Any]


def until(condition: Callable[[], Any], seconds: float = 20, what: str = "it") -> Any:
    """Wait until another process has made something true; return what the condition returned."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {seconds} s")


def write_project(folder: Path, tasks: str, *, config: str = "") -> Path:
    """Write a project with one task file."""
    (folder / "tasks").mkdir(parents=True, exist_ok=True)
    (folder / "trigger_config.py").write_text(CONFIG.format(extra=config))
    (folder / "tasks" / "main.py").write_text(tasks)
    return folder


def run_cli(*arguments: str, cwd: Path, env: dict[str, str] | None = None, stdin: str = "") -> Any:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "trigger_cli.app", *arguments],
        cwd=cwd,
        env=clean_env() | (env or {}),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def clean_env() -> dict[str, str]:
    """The environment without anything that points at a platform."""
    return {key: value for key, value in os.environ.items() if not key.startswith("TRIGGER_")}


def alive(pid: int) -> bool:
    """Tell whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def descendants(pid: int) -> list[int]:
    """Return the processes below one."""
    found: list[int] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
        if parent == pid:
            found += [int(entry.name), *descendants(int(entry.name))]
    return found


class Session:
    """A platform, as whoever knows its address and its key uses it."""

    def __init__(self) -> None:
        self._client: Client | None = None

    @property
    def session(self) -> dict[str, Any]:
        """Address, keys and project, in the words of a session file."""
        raise NotImplementedError

    @property
    def client(self) -> Client:
        """A client of the session's platform."""
        if self._client is None:
            self._client = Client(self.session["apiUrl"], self.session["secretKey"])
        return self._client

    def trigger(self, task: str, payload: Any = None, **options: Any) -> str:
        """Trigger a run."""
        request = TriggerTask(payload=payload, options=TriggerOptions(**options))
        return self.client.send(task_calls.trigger(task, request)).id

    def get(self, run_id: str) -> RunDetail:
        """Read a run."""
        return self.client.send(run_calls.retrieve(run_id))

    def result(self, run_id: str, seconds: float = 30) -> RunDetail:
        """Wait for a run's end."""

        def ended() -> RunDetail | None:
            run = self.get(run_id)
            return run if run.is_completed else None

        found: RunDetail = until(ended, seconds, f"the end of {run_id}")
        return found

    def run(self, task: str, payload: Any = None, **options: Any) -> RunDetail:
        """Trigger a run and wait for its end."""
        return self.result(self.trigger(task, payload, **options))

    def logs(self, run_id: str) -> list[LogRecord]:
        """Read what a run wrote, page by page."""
        found: list[LogRecord] = []
        after = 0
        while (page := self.client.send(run_calls.logs(run_id, after=after))).data:
            found += page.data
            after = page.next
        return found

    def cancel(self, run_id: str) -> None:
        """Cancel a run."""
        self.client.send(run_calls.cancel(run_id))

    def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            self._client.close()


class Dev(Session):
    """A running session."""

    def __init__(self, folder: Path, *arguments: str, wait: bool = True) -> None:
        super().__init__()
        self.folder = folder
        self.events: list[Event] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trigger_cli.app", "dev", "--json", "--port", "0", *arguments],
            cwd=folder,
            env=clean_env(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if wait:
            self.event("loaded")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def event(self, name: str, after: int = 0, **fields: Any) -> Event:
        """Wait for an event with these fields, among those after an index."""

        def find() -> Event | None:
            return next(
                (
                    one
                    for one in self.events[after:]
                    if (one.get("event") == name or (name == "error" and "error" in one))
                    and all(one.get(key) == value for key, value in fields.items())
                ),
                None,
            )

        found: Event = until(find, what=f"event {name} {fields} (seen: {self.events[-5:]})")
        return found

    @property
    def session(self) -> dict[str, Any]:
        """The session file."""
        file = self.folder / ".trigger" / "dev.json"
        content: dict[str, Any] = json.loads(until(lambda: file.exists() and file.read_text()))
        return content

    def child(self, module: str) -> int:
        """Return the process id of the session's platform or worker."""
        for pid in descendants(self.process.pid):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if module.encode() in command:
                return pid
        raise AssertionError(f"{module} is not running")

    def kill(self, module: str) -> None:
        """Kill the session's platform or worker, as ``kill -9`` does."""
        os.kill(self.child(module), signal.SIGKILL)

    def save(self, name: str, text: str) -> int:
        """Save a file; return where its events begin."""
        before = len(self.events)
        (self.folder / name).write_text(text)
        return before

    def stop(self) -> int:
        """End the session as Ctrl-C does; return its exit code."""
        self.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=20)
        self._close()
        return code

    def _close(self) -> None:
        self._reader.join(timeout=5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
