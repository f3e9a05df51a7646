"""Retention: once an hour, remove what is old, slice by slice, with room for others in between."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from trigger_platform.blobs.blob_store import BlobStore
from trigger_platform.engine import blob
from trigger_platform.engine.retention import SWEEPS, Periods, Place
from trigger_platform.engine.unit import Units
from trigger_platform.store.rows import BlobRow

__all__ = ["Retention"]

_log = logging.getLogger(__name__)
_PAUSE_S = 3_600.0
_BREATH_S = 0.01


class Retention:
    """Removes what has been kept for long enough."""

    def __init__(
        self,
        units: Units,
        periods: Periods,
        blob_store: BlobStore | None = None,
        blob_limit: int | None = None,
    ) -> None:
        self._units = units
        self._blob_limit = blob_limit
        self.passed_at: int | None = None
        self._periods = periods
        self._blob_store = blob_store

    async def run(self) -> None:
        """Remove for ever."""
        while True:
            await asyncio.sleep(_PAUSE_S)
            try:
                removed = await self.run_once()
            except Exception:  # noqa: BLE001 - a loop outlives its errors
                _log.exception("removing what is old failed")
            else:
                _log.info("removed what is old: %s", dict(removed) or "nothing")

    async def run_once(self) -> Counter[str]:
        """Remove everything that is old enough; return how much, by kind. Families go from the leaves up."""
        removed: Counter[str] = Counter()
        for name in SWEEPS:
            while (count := await self._sweep(name)) > 0:
                removed[name] += count
        await self._measure_blobs()
        await self._remove_blobs()
        self.passed_at = self._units.clock.now()
        return removed

    async def _measure_blobs(self) -> None:
        """Look how large it is that clients uploaded past this server; what is too large is let go."""
        last: BlobRow | None = None
        while self._blob_store is not None and self._blob_limit is not None:
            found = await self._units.read(blob.unmeasured, last)
            for one in found:
                size = await self._blob_store.size(one.environment_id, one.path)
                if size is not None:
                    await self._units.write(blob.measured, one, size, self._blob_limit)
            if not found:
                return
            last = found[-1]

    async def _remove_blobs(self) -> None:
        """Remove blobs from where they lie, then their rows; a death in between repeats the removal."""
        while self._blob_store is not None and (gone := await self._units.read(blob.let_go)):
            for one in gone:
                await self._blob_store.remove(one.environment_id, one.path)
            await self._units.write(blob.forget, gone)

    async def _sweep(self, name: str) -> int:
        """Go through one kind from its beginning to its end."""
        removed = 0
        place: Place | None = {}
        while place is not None:
            swept = await self._units.write(SWEEPS[name], self._periods, place)
            removed, place = removed + swept.removed, swept.next
            await asyncio.sleep(_BREATH_S)
        return removed
