"""A platform or a worker as a program of its own, as a dev session starts them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from support.dev import Event, clean_env, until

__all__ = ["Program"]


class Program:
    """A process that is told things, and tells things, by JSON lines."""

    def __init__(self, module: str, *arguments: str, cwd: Path) -> None:
        self.events: list[Event] = []
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            cwd=cwd,
            env=clean_env(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.complaints: list[str] = []
        self._readers = [
            threading.Thread(target=self._hear, daemon=True),
            threading.Thread(target=self._hear_complaints, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def tell(self, command: str, **fields: Any) -> int:
        """Send a command; return where the events after it begin."""
        before = len(self.events)
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"cmd": command, **fields}) + "\n")
        self.process.stdin.flush()
        return before

    def event(self, name: str, after: int = 0, seconds: float = 20, **fields: Any) -> Event:
        """Wait for an event with these fields, among those after an index."""

        def find() -> Event | None:
            for one in self.events[after:]:
                if one["event"] == name and all(one.get(k) == v for k, v in fields.items()):
                    return one
            return None

        found: Event = until(find, seconds, f"{name} {fields}")
        return found

    def close(self, seconds: float = 10) -> int:
        """Close its stdin, as the death of a session does; return its exit code."""
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            return self.process.wait(seconds)
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill it, if it lives, and let go of its pipes."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(10)
        for reader in self._readers:
            reader.join(5)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None and not stream.closed:
                stream.close()

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def _hear_complaints(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.complaints.append(line)
