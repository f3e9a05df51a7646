"""``trigger supervisor start`` in a process of its own, before the platform of a session."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.dev import Dev, alive, clean_env, descendants, run_cli, until

__all__ = ["SupervisorProcess"]


class SupervisorProcess:
    """A supervisor that can be killed and started again; what it logs lies in a file."""

    def __init__(self, session: Dev, bundles: Path, log: Path) -> None:
        self._bundles = bundles
        self._log = log
        database = session.folder / ".trigger" / "trigger.db"
        made = run_cli(
            *("server", "create-worker-group", "default", "--database", str(database)),
            cwd=session.folder,
        )
        assert made.returncode == 0, made.stderr
        self._where = {
            "TRIGGER_API_URL": session.session["apiUrl"],
            "TRIGGER_WORKER_TOKEN": made.stdout.strip(),
        }
        self._process = self.start()

    def start(self) -> subprocess.Popen[str]:
        """Start it, and wait until it takes runs."""
        words = ["--bundles", str(self._bundles), "--port", "0", "--cpu", "8", "--memory", "8"]
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "trigger_cli.app", "supervisor", "start", "--json", *words],
                env=clean_env() | self._where,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        ready: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        assert ready.get("group") == "default", self._log.read_text()
        return self._process

    def runner_of(self, run_id: str) -> int:
        """Return the process of the runner of a run; the supervisor's log tells who has it."""
        runner = self.given(run_id)[1]

        def find() -> int | None:
            return next((pid for pid in descendants(self._process.pid) if _is(pid, runner)), None)

        return int(until(find, what=f"the runner of {run_id}"))

    def given(self, run_id: str) -> tuple[str, str]:
        """Return how a run came to its last runner (``placed`` or ``given``), and the runner's name."""
        found = re.findall(rf"{run_id} is (placed|given) (?:with|to) (\w+)", self._log.read_text())
        how, runner = found[-1]
        return str(how), str(runner)

    def kill(self) -> None:
        """Kill it as ``kill -9`` does; nothing that it started is left a moment later."""
        below = descendants(self._process.pid)
        with self._process:
            self._process.kill()
        until(lambda: not any(map(alive, below)), what="the end of its runners")

    def stop(self) -> int:
        """Tell it to end, twice: what runs is ended too."""
        with self._process:
            for number in (signal.SIGTERM, signal.SIGINT):
                os.kill(self._process.pid, number)
            return self._process.wait(timeout=30)


def _is(pid: int, runner: str) -> bool:
    """Tell whether a process is a runner."""
    try:
        return f"TRIGGER_RUNNER_ID={runner}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
