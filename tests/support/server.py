"""``trigger server start`` in a process of its own."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from support.dev import clean_env
from support.http import PROJECT
from trigger_core.api.client import Client
from trigger_platform.app import open_server
from trigger_platform.engine import environment
from trigger_platform.settings import Settings

__all__ = ["KEY", "Keys", "Started", "keys_of"]

KEY = "0f" * 32


@dataclass(frozen=True)
class Keys:
    """What opens a server: the key of production, and a token of the user of the machine."""

    production: str
    person: str


def keys_of(database: str) -> Keys:
    """Make the database of a server, or open it, and return its keys."""
    return asyncio.run(_keys_of(database))


async def _keys_of(database: str) -> Keys:
    given = {"database": database, "project_ref": PROJECT, "encryption_key": KEY}
    server = await open_server(Settings.model_validate(given))
    try:
        local = server.local
        production = await server.units.write(environment.shared, local.project, "prod")
        return Keys(server.secret_key_of(production), local.access_token)
    finally:
        server.units.db.close()


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
