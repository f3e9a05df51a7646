"""The worker's process, started by a dev session."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import traceback
from contextlib import suppress
from pathlib import Path

from trigger_core.errors import ExitCode, TriggerError
from trigger_worker.background import Background
from trigger_worker.base_process import BaseProcess
from trigger_worker.instance import Instance
from trigger_worker.ipc import Message
from trigger_worker.platform_link import PlatformLink
from trigger_worker.session_link import SessionLink

__all__ = ["main"]


class _Worker:
    """Follows the session's commands: configure, load, stop.

    None of them is waited for: the next command is read while a module hangs or the platform is away.
    """

    def __init__(self, link: SessionLink) -> None:
        self._link = link
        self._base = BaseProcess()
        self._background = Background()
        self._instance: Instance | None = None

    async def run(self) -> int:
        """Work until the session says stop, or is gone, or something fails; return the exit code."""
        await self._base.start()
        self._background.start(self._base.watch())
        following = asyncio.ensure_future(self._follow())
        try:
            await asyncio.wait(
                {following, self._background.failure}, return_when=asyncio.FIRST_COMPLETED
            )
            if following.done():
                following.result()
                return ExitCode.OK
            self._explain(self._background.failure.exception())
            return ExitCode.FAILED
        finally:
            following.cancel()
            await self._stop()

    async def _follow(self) -> None:
        async for command in self._link.commands():
            match command["cmd"]:
                case "stop":
                    return
                case "configure":
                    self._configure(command)
                case "load" if self._instance is not None:
                    self._instance.load(command.get("env") or {})

    def _configure(self, command: Message) -> None:
        platform = PlatformLink(command["apiUrl"], command["secretKey"], command["projectRef"])
        self._instance = Instance(
            platform, self._base, self._link, str(Path.cwd()), self._background
        )
        self._background.start(self._instance.run())

    def _explain(self, error: BaseException | None) -> None:
        """Say why this process ends; the session starts another one."""
        if isinstance(error, TriggerError):
            self._link.emit("failed", error=error.report())
        elif error is not None:
            what = f"the worker failed: {type(error).__name__}: {error}"
            self._link.emit("failed", error={"code": "WORKER_FAILED", "what": what})
            traceback.print_exception(error)

    async def _stop(self) -> None:
        self._background.stop()
        if self._instance is not None:
            self._instance.stop()
        await self._base.stop()


def main() -> None:
    """Be a worker."""
    _allow_many_files()
    link = SessionLink()
    code: int = ExitCode.OK
    with asyncio.Runner() as runner, suppress(asyncio.CancelledError):
        loop = runner.get_loop()
        worker = loop.create_task(_run(link))
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, worker.cancel)
        code = loop.run_until_complete(worker)
    os._exit(code)  # a thread may still be in a call to a platform that is gone


async def _run(link: SessionLink) -> int:
    return await _Worker(link).run()


def _allow_many_files() -> None:
    """Every executor takes three descriptors."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
