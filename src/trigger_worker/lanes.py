"""Lanes: how many attempts of a version execute at once.

As many as the project allows. But while attempts take no longer than handing them out does, more of them at
once only get in each other's way (measured: 32 warm executors cost twice the CPU of 4 for the same no-op
runs), so only a few lanes are open then. The first attempt that takes longer opens all of them again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

__all__ = ["Lanes"]

_SHORT_MS = 2
_NARROW_AFTER = 32
_PATIENCE_S = 0.004
_FEW = max(4, 2 * (os.cpu_count() or 1))


class Lanes:
    """Opens and closes lanes; ``on_open`` is called when more attempts may begin."""

    def __init__(self, on_open: Callable[[], None]) -> None:
        self.limit = 1
        self._on_open = on_open
        self._short_in_a_row = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def open(self) -> int:
        """How many attempts may execute now."""
        return min(self.limit, _FEW) if self._is_narrow else self.limit

    def note_end(self, ms: int) -> None:
        """An attempt has ended, after so many milliseconds of its code."""
        self._short_in_a_row = self._short_in_a_row + 1 if ms <= _SHORT_MS else 0
        self._be_patient_anew()

    def note_waiting(self) -> None:
        """Attempts wait for a lane: if none ends soon, open all."""
        if self._is_narrow and self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_PATIENCE_S, self._widen)

    @property
    def _is_narrow(self) -> bool:
        return self._short_in_a_row >= _NARROW_AFTER

    def _be_patient_anew(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _widen(self) -> None:
        self._timer = None
        self._short_in_a_row = 0
        self._on_open()
