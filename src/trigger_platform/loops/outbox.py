"""The outbox: publish what was committed, in order, then forget it."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from trigger_platform.engine.unit import Notice, Unit, Units

__all__ = ["Outbox"]

_log = logging.getLogger(__name__)
_GATHER_S = 0.005
_PAUSE_S = 0.03
_PAUSE_AFTER_ERROR_S = 1.0
_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class _Change:
    environment_id: str
    subject_id: str


class Outbox:
    """Tells of committed facts; a short pause between passes lets bursts become one.

    Each process tells of its own. It looks anyway now and then, for those of a process that died.
    """

    def __init__(self, units: Units) -> None:
        self._units = units
        self.passed_at: int | None = None
        self._filled = asyncio.Event()
        self._filled.set()
        units.subscribe(self._notice)

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._units.db.look_every_s):
                    await self._filled.wait()
            await asyncio.sleep(_GATHER_S)  # those who start the run come first
            self._filled.clear()
            try:
                while await self._pass() == _AT_ONCE:
                    pass
                self.passed_at = self._units.clock.now()
                await asyncio.sleep(_PAUSE_S)
            except Exception:  # noqa: BLE001 - a loop outlives its errors
                _log.exception("publishing from the outbox failed")
                self._filled.set()
                await asyncio.sleep(_PAUSE_AFTER_ERROR_S)

    async def _pass(self) -> int:
        return await self._units.write(_take)

    def _notice(self, notice: Notice) -> None:
        if notice.outbox or notice.look:
            self._filled.set()


def _take(u: Unit) -> int:
    """Whoever takes events tells every process, itself too, by the notice of this unit."""
    changes = u.tx.all("outbox_take", _Change, limit=_AT_ONCE)
    u.changed.update((change.environment_id, change.subject_id) for change in changes)
    return len(changes)
