"""The worker's process, started by a dev session."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

from trigger_core.errors import TriggerError
from trigger_worker.generation import BaseProcess
from trigger_worker.ipc import Message
from trigger_worker.run_controller import Platform, RunController
from trigger_worker.session_link import SessionLink

__all__ = ["main"]


class _Worker:
    """Follows the session's commands: configure, load, stop."""

    def __init__(self, link: SessionLink) -> None:
        self._link = link
        self._base = BaseProcess()
        self._controller: RunController | None = None
        self._watching: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Work until the session says stop, or is gone."""
        await self._base.start()
        try:
            async for command in self._link.commands():
                if command["cmd"] == "stop":
                    break
                await self._follow(command)
        finally:
            await self._stop()

    async def _follow(self, command: Message) -> None:
        if command["cmd"] == "configure":
            await self._configure(command)
        elif command["cmd"] == "load" and self._controller is not None:
            await self._controller.load(command.get("env") or {})

    async def _configure(self, command: Message) -> None:
        platform = Platform(command["apiUrl"], command["secretKey"], command["projectRef"])
        self._controller = RunController(platform, self._base, self._link, str(Path.cwd()))
        await self._controller.start()
        self._watching = asyncio.create_task(self._controller.failed())
        self._watching.add_done_callback(self._give_up)

    def _give_up(self, watching: asyncio.Task[None]) -> None:
        """A loop ended: say why and end the process; the session starts another one."""
        if watching.cancelled():
            return
        error = watching.exception()
        if isinstance(error, TriggerError):
            self._link.emit("failed", error=error.report())
        elif error is not None:
            what = f"the worker failed: {type(error).__name__}: {error}"
            self._link.emit("failed", error={"code": "WORKER_FAILED", "what": what})
            sys.excepthook(type(error), error, error.__traceback__)
        os.kill(os.getpid(), signal.SIGTERM)

    async def _stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        if self._controller is not None:
            await self._controller.stop()
        else:
            await self._base.stop()


def main() -> None:
    """Be a worker."""
    _allow_many_files()
    link = SessionLink()
    runner = asyncio.Runner()
    with runner, suppress(asyncio.CancelledError):
        loop = runner.get_loop()
        worker = loop.create_task(_Worker(link).run())
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, worker.cancel)
        loop.run_until_complete(worker)
    os._exit(0)  # a thread may still be in a call to a platform that is gone


def _allow_many_files() -> None:
    """Every executor takes three descriptors."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
