"""The process all versions are forked from, as the worker sees it."""

from __future__ import annotations

import asyncio
import os
import socket
import sys

from trigger_core.errors import TriggerError
from trigger_worker import ipc

__all__ = ["BaseProcess"]


class BaseProcess:
    """Forks a process for each version; without it the worker cannot go on."""

    def __init__(self) -> None:
        self._control: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; loading the SDK goes on in the background.

        ``-P`` keeps the project's folder from the path: a ``queue.py`` of the user's must not stand in for
        the standard library's.
        """
        self._control, theirs = ipc.control_pair()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "trigger_worker.fork_server",
            str(theirs.fileno()),
            str(os.getpid()),
            pass_fds=[theirs.fileno()],
            stdin=asyncio.subprocess.DEVNULL,
        )
        theirs.close()

    def fork_version(self, fds: list[int]) -> None:
        """Fork a process that imports the project; it answers by these descriptors."""
        assert self._control is not None
        ipc.send(self._control, {"op": "load"}, fds)

    async def watch(self) -> None:
        """Wait for its end, which nobody asked for.

        Raises:
            TriggerError: it has ended.
        """
        assert self._process is not None
        code = await self._process.wait()
        raise TriggerError(
            "the process that all versions are forked from ended",
            code="WORKER_FAILED",
            because=f"exit code {code}" if code >= 0 else f"it was killed by signal {-code}",
        )

    async def stop(self) -> None:
        """End it, and with it everything it forked."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
