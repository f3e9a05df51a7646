"""The timers: sweep what is due, then sleep until something is due again."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from trigger_platform.engine import due, heartbeat
from trigger_platform.engine.execution_snapshot import LEASE_MS
from trigger_platform.engine.unit import Notice, Units

__all__ = ["Timers"]

_log = logging.getLogger(__name__)
_PAUSE_AFTER_ERROR_S = 1.0


class Timers:
    """Delays, expiries, retry pauses, leases, waits: everything that has a moment."""

    def __init__(self, units: Units) -> None:
        self._units = units
        self.passed_at: int | None = None
        self._earlier = asyncio.Event()
        self._next_due: int | None = None
        self._offset = self._clock_offset()
        units.subscribe(self._notice)

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                await self._mind_the_clock()
                await self._sweep()
            except Exception:  # noqa: BLE001 - a loop outlives its errors
                _log.exception("the sweep of timers failed")
                await asyncio.sleep(_PAUSE_AFTER_ERROR_S)
                continue
            await self._sleep()

    async def _sweep(self) -> None:
        self._earlier.clear()
        result = await self._units.write(due.sweep)
        self._next_due = result.next_due
        self.passed_at = self._units.clock.now()

    async def _sleep(self) -> None:
        seconds = self._units.db.look_every_s
        if self._next_due is not None:
            left = (self._next_due - self._units.clock.now()) / 1000
            seconds = min(seconds, max(0.0, left))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._earlier.wait()

    async def _mind_the_clock(self) -> None:
        """The machine slept or its clock was set: leases begin anew.

        Workers had no chance to report meanwhile, or the deadlines of those that were lost are far too late.
        """
        before, self._offset = self._offset, self._clock_offset()
        if abs(self._offset - before) > LEASE_MS / 2:
            await self._units.write(heartbeat.grant_grace)

    def _clock_offset(self) -> float:
        """Return where the clock stands against time that only passes, in ms."""
        return self._units.clock.now() - time.monotonic() * 1000

    def _notice(self, notice: Notice) -> None:
        if notice.due is None:
            return
        if self._next_due is None or notice.due < self._next_due:
            self._next_due = notice.due
            self._earlier.set()
