"""The exchange with the platform: polls, reports, heartbeats."""

from __future__ import annotations

import asyncio
import uuid

from trigger_core.api.calls import workers as calls
from trigger_core.schemas.workers import Connect, Poll
from trigger_worker.claiming import Claims
from trigger_worker.platform_link import PlatformLink
from trigger_worker.reports import Outbox
from trigger_worker.run_controller import RunController
from trigger_worker.versions import Versions

__all__ = ["Exchange"]

_POLL_MS = 10_000
_GATHER_STEP_S = 0.002
_GATHER_STEPS = 5


class Exchange:
    """Three loops. What a question brings is taken before anybody learns that it was answered."""

    def __init__(
        self,
        platform: PlatformLink,
        outbox: Outbox,
        claims: Claims,
        versions: Versions,
        runs: RunController,
    ) -> None:
        self._platform = platform
        self._outbox = outbox
        self._claims = claims
        self._versions = versions
        self._runs = runs
        self._boot_id = f"boot_{uuid.uuid4().hex}"
        self._heartbeat_s = 5.0

    async def connect(self) -> None:
        """Take the seat."""
        request = Connect(instance="dev", boot_id=self._boot_id)
        connected = await self._platform.reports.send(calls.connect(request))
        self._heartbeat_s = connected.heartbeat_ms / 1000

    async def poll(self) -> None:
        """Ask for runs, and for what there is to know about those that are held."""
        while True:
            workers = self._versions.ids()
            limit = self._claims.limit() if workers else 0
            request = Poll(boot_id=self._boot_id, workers=workers, limit=limit, wait_ms=_POLL_MS)
            with self._claims.asking(limit):
                polled = await self._platform.polls.send(calls.poll(request))
            self._runs.take(polled.runs, polled.run_tokens)
            self._runs.heed(polled.signals)

    async def report(self) -> None:
        """Say what has happened, and ask for runs where some have ended."""
        while True:
            await self._outbox.dirty.wait()
            await self._let_gather()
            workers, claim = self._versions.ids(), 0
            if self._outbox.completions:
                self._claims.note_pace(self._outbox.completions)
                claim = self._claims.limit() if workers else 0
            report = self._outbox.take(self._boot_id, claim, workers)
            with self._claims.asking(claim):
                reported = await self._platform.reports.send(calls.report(report))
            self._runs.apply(reported)
            if self._claims.want_more(claim, len(reported.runs)):
                self._outbox.end_polls()

    async def _let_gather(self) -> None:
        """While there is work at hand that waits for an executor, nobody waits for this report: let it grow.

        A report costs the platform a millisecond whether it tells of one end or of ten.
        """
        for _ in range(_GATHER_STEPS):
            if self._outbox.is_urgent or len(self._outbox.completions) >= self._runs.backlog():
                return
            await asyncio.sleep(_GATHER_STEP_S)

    async def beat(self) -> None:
        """Say what is held."""
        while True:
            await asyncio.sleep(self._heartbeat_s)
            self._outbox.held = self._runs.held()
            self._outbox.touch()
