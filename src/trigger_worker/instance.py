"""A worker instance: one process's seat at a platform, with everything it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from trigger_worker import limits
from trigger_worker.background import Background
from trigger_worker.base_process import BaseProcess
from trigger_worker.claiming import Claims
from trigger_worker.exchange import Exchange
from trigger_worker.executor_process import ExecutorProcess
from trigger_worker.generation import Generation
from trigger_worker.ipc import Message
from trigger_worker.loading import Loader
from trigger_worker.platform_link import PlatformLink
from trigger_worker.reports import Outbox
from trigger_worker.run_controller import RunController
from trigger_worker.run_events import RunEvents
from trigger_worker.session_link import SessionLink
from trigger_worker.span_export import SpanExport
from trigger_worker.versions import Versions

__all__ = ["Instance"]

_PAUSE_S = 0.05
_LONGER_PAUSE_S = 1.0
_STEADY_S = 0.5


class Instance:
    """Brings versions, runs and the platform together, on one event loop."""

    def __init__(
        self,
        platform: PlatformLink,
        base: BaseProcess,
        link: SessionLink,
        folder: str,
        background: Background,
    ) -> None:
        self._platform = platform
        self._link = link
        self._background = background
        self._outbox = Outbox()
        self._versions = Versions()
        self._spans = SpanExport(platform.spans)
        self._runs = RunController(
            self._outbox, self._versions, RunEvents(link), self._spans, self._close_surplus
        )
        self._claims = Claims(self._runs.runs.values())
        self._exchange = Exchange(platform, self._outbox, self._claims, self._versions, self._runs)
        self._loader = Loader(
            base=base,
            folder=folder,
            platform=platform,
            link=link,
            versions=self._versions,
            place=self,
            background=background,
        )
        self._has_version = asyncio.Event()

    async def run(self) -> None:
        """Connect and begin to work."""
        await self._exchange.connect()
        self._link.emit("connected")
        for loop in (
            self._exchange.report(),
            self._exchange.beat(),
            self._spans.send(),
            self._watch_memory(),
        ):
            self._background.start(loop)
        await self._has_version.wait()
        await self._exchange.poll()

    def load(self, env: dict[str, str]) -> None:
        """Make the project's code as it is now the version that takes new runs."""
        self._loader.request(env)

    def stop(self) -> None:
        """End every executor."""
        self._runs.end_all()
        self._versions.close()
        self._platform.close()

    async def serve(self, generation: Generation) -> None:
        """Let a version take the new runs; returns when none can come to an older one any more."""
        self._versions.install(generation)
        self._claims.capacity = generation.report.max_concurrent_runs
        self._runs.house()
        self._has_version.set()
        await self._let_go(self._versions.leave_surplus())

    def died(self, generation: Generation) -> None:
        """A version's process was killed: load again what took the new runs."""
        was_newest = generation is self._versions.newest
        self._versions.remove(generation)
        self._runs.orphan(generation)
        again = "; starting it again" if was_newest else ""
        self.notice(f"the process of version {generation.version} was killed or crashed{again}")
        if was_newest:
            pause_s = _PAUSE_S if generation.age_s() > _STEADY_S else _LONGER_PAUSE_S
            asyncio.get_running_loop().call_later(pause_s, self._loader.again)
        else:
            self._runs.house()

    def cannot_start(self, generation: Generation, last_lines: list[str]) -> None:
        """No executor of a version becomes ready."""
        self._runs.give_up_starting(generation, last_lines)

    def notice(self, text: str) -> None:
        """Tell the developer."""
        self._link.emit("notice", message=text)

    def said(self, process: ExecutorProcess, message: Message) -> None:
        """An executor tells about its attempt."""
        self._runs.said(process, message)

    def wrote(self, process: ExecutorProcess, record: Message) -> None:
        """An executor's process wrote a line past Python."""
        self._runs.wrote(process, record)

    def ended(self, process: ExecutorProcess, status: int) -> None:
        """An executor's process is gone."""
        self._runs.ended(process, status)

    def _close_surplus(self) -> None:
        """A run has left its version."""
        surplus = self._versions.leave_surplus()
        if surplus:
            self._background.start(self._let_go(surplus))
        self._versions.close_left()

    async def _let_go(self, surplus: Sequence[Generation]) -> None:
        await self._claims.all_answered(self._outbox.end_polls)
        self._versions.have_left(surplus)
        self._versions.close_left()

    async def _watch_memory(self) -> None:
        while True:
            await asyncio.sleep(limits.PERIOD_S)
            for run in self._runs.runs.values():
                limit = limits.limit_of(run.assignment.machine)
                if limit is None or run.process is None:
                    continue
                if limits.resident_bytes(run.process.pid) > limit:
                    run.end("out_of_memory")
