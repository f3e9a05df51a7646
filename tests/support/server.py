"""``trigger server start`` in a process of its own."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from support.dev import clean_env
from support.http import PROJECT
from trigger_core.api.client import Client

__all__ = ["KEY", "Started"]

KEY = "0f" * 32


def _limit_files(count: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


class Started:
    """A server in a process of its own."""

    def __init__(
        self,
        database: str | Path,
        *options: str,
        env: dict[str, str] | None = None,
        port: int = 0,
        files: int | None = None,
    ) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "trigger_cli.app", "server", "start"),
                *("--database", str(database), "--project", PROJECT, "--port", str(port)),
                *("--json", "--show-key", *options),
            ],
            env=clean_env() | {"TRIGGER_ENCRYPTION_KEY": KEY} | (env or {}),
            preexec_fn=None if files is None else lambda: _limit_files(files),  # noqa: PLW1509
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.ready: dict[str, str] = json.loads(self.process.stdout.readline() or "{}")

    @property
    def client(self) -> Client:
        """A client of it."""
        return Client(self.ready["url"], self.ready["secretKey"])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, list[dict[str, str]]]:
        """End it; return its exit code and what it logged."""
        self.process.send_signal(number)
        _, logged = self.process.communicate(timeout=20)
        return self.process.returncode, [json.loads(line) for line in logged.splitlines()]

    def end(self) -> None:
        """Kill it if it still runs, and let go of its pipes."""
        with self.process:
            self.process.kill()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        parts = urlsplit(self.ready["url"])
        return parts.hostname or "", parts.port or 0
