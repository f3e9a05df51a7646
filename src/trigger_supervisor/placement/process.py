"""Runners as processes of this machine, started from unpacked builds. No container engine is needed.

Nothing separates them but being processes: they run as the supervisor's user. That is for code of one's own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress

from trigger_core.errors import TriggerError
from trigger_supervisor.bundles import Bundles
from trigger_supervisor.order import Order
from trigger_supervisor.placement.placement import Exit, Runner

__all__ = ["ProcessPlacement"]

_PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
)
"""What runners have of the supervisor's own environment: never its token."""

_TAIL_BYTES = 4 * 1024
_LAST_OUTPUT_S = 1.0


class ProcessPlacement:
    """Starts a process group for each run, and a guard that ends them should the supervisor be killed."""

    def __init__(self, bundles: Bundles) -> None:
        self._bundles = bundles
        self._guard = _Guard()
        self._running: set[_ProcessRunner] = set()

    async def open(self) -> None:
        """Start the guard."""
        await self._guard.start()

    async def place(self, order: Order) -> Runner:
        """Start the command of the run's build, in its folder."""
        bundle = self._bundles.find(order.message.image)
        inherited = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        ours, theirs = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *bundle.command,
                cwd=bundle.folder,
                env=inherited | bundle.env | order.env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=theirs,
                stderr=theirs,
                start_new_session=True,
            )
        except OSError as error:
            os.close(ours)
            raise TriggerError(
                f"the runner {bundle.command[0]} cannot be started",
                code="RUNNER_NOT_STARTED",
                because=f"{error.strerror}: {error.filename}",
                at=str(bundle.folder / "bundle.json"),
                hint="install the program where the supervisor runs",
            ) from error
        finally:
            os.close(theirs)
        self._guard.watch(process.pid)
        runner = _ProcessRunner(process, await _Tail.of(ours), self)
        self._running.add(runner)
        return runner

    async def close(self) -> None:
        """End what still runs, then the guard."""
        for runner in list(self._running):
            runner.kill()
        await self._guard.stop()

    def forget(self, runner: _ProcessRunner, group: int) -> None:
        """Note that a process group has ended."""
        self._running.discard(runner)
        self._guard.forget(group)


class _ProcessRunner:
    """The process of a runner, and everything that it starts."""

    def __init__(
        self, process: asyncio.subprocess.Process, tail: _Tail, home: ProcessPlacement
    ) -> None:
        self._process = process
        self._tail = tail
        self._home = home

    async def ended(self) -> Exit:
        """Wait for the process; what it leaves behind is ended too."""
        status = await self._process.wait()
        self.kill()
        self._home.forget(self, self._process.pid)
        text = await self._tail.text()
        if status < 0:
            return Exit(code=None, signal=-status, last_lines=text)
        return Exit(code=status, signal=None, last_lines=text)

    def kill(self) -> None:
        """End the whole group."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


class _Tail(asyncio.Protocol):
    """The end of what a process group writes. It is read at once: nobody waits for somebody to read.

    The pipe is not the process object's own: that one would not say that the process has ended while a child
    of it still holds the pipe.
    """

    def __init__(self) -> None:
        self._kept = bytearray()
        self._closed = asyncio.Event()

    @classmethod
    async def of(cls, descriptor: int) -> _Tail:
        """Begin to read."""
        pipe = os.fdopen(descriptor, "rb", buffering=0)
        _, tail = await asyncio.get_running_loop().connect_read_pipe(cls, pipe)
        return tail

    async def text(self) -> str:
        """Return it, once everything was read."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), _LAST_OUTPUT_S)
        return self._kept.decode(errors="replace")

    def data_received(self, data: bytes) -> None:
        """Keep the end."""
        self._kept += data
        del self._kept[:-_TAIL_BYTES]

    def connection_lost(self, _error: Exception | None) -> None:
        """Nobody holds the other end any more."""
        self._closed.set()


class _Guard:
    """The guard's process, told which groups to end when this process is gone."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "trigger_supervisor.placement.guard"),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )

    def watch(self, group: int) -> None:
        self._say(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._say(f"-{group}\n")

    async def stop(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()

    def _say(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())
