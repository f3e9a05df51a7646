"""The outbox: publish what was committed, in order, then forget it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from trigger_platform.engine.unit import Notice, Unit, Units
from trigger_platform.realtime.hub import Hub

__all__ = ["Outbox"]

_log = logging.getLogger(__name__)
_PAUSE_S = 0.03
_PAUSE_AFTER_ERROR_S = 1.0
_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class _Row:
    id: int
    environment_id: str
    kind: str
    subject_id: str


class Outbox:
    """Carries committed facts to the hub; a short pause between passes lets bursts become one."""

    def __init__(self, units: Units, hub: Hub) -> None:
        self._units = units
        self._hub = hub
        self._filled = asyncio.Event()
        self._filled.set()
        units.subscribe(self._notice)

    async def run(self) -> None:
        """Publish for ever."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            try:
                while await self._pass() == _AT_ONCE:
                    pass
                await asyncio.sleep(_PAUSE_S)
            except Exception:  # noqa: BLE001 - a loop outlives its errors
                _log.exception("publishing from the outbox failed")
                self._filled.set()
                await asyncio.sleep(_PAUSE_AFTER_ERROR_S)

    async def _pass(self) -> int:
        rows = await self._units.write(_take)
        self._hub.publish((row.environment_id, row.subject_id) for row in rows)
        return len(rows)

    def _notice(self, notice: Notice) -> None:
        if notice.outbox:
            self._filled.set()


def _take(u: Unit) -> list[_Row]:
    rows = u.tx.all("outbox_oldest", _Row, limit=_AT_ONCE)
    if rows:
        u.tx.run("outbox_delete", last=rows[-1].id)
    return rows
