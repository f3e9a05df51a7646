"""How many runs a supervisor has room for: by number, by cores and by memory.

The platform does not say beforehand how large a run is. So what does not fit when it comes waits here, and
nothing else is taken meanwhile: large runs are not starved by small ones. One that is larger than everything
there is has its turn when it is alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from trigger_core.machines import DEFAULT_MACHINE, PRESETS

__all__ = ["Capacity", "Size"]

_USUAL = PRESETS[DEFAULT_MACHINE]
_SLACK = 1e-6


@dataclass(frozen=True, slots=True)
class Size:
    """What a run takes: cores, and memory in GiB."""

    cpu: float
    memory_gb: float


class Capacity:
    """What there is, and what is taken of it."""

    def __init__(self, runs: int, cpu: float, memory_gb: float) -> None:
        self._runs = runs
        self._all = Size(cpu, memory_gb)
        self._taken: list[Size] = []

    def room(self) -> int:
        """Return how many more runs of the usual size fit; one while there is any room for a small one."""
        free = self._free
        if free.cpu <= _SLACK or free.memory_gb <= _SLACK:
            return 0
        usual = math.floor(min(free.cpu / _USUAL.cpu, free.memory_gb / _USUAL.memory_gb) + _SLACK)
        return min(self._runs - len(self._taken), max(1, usual))

    def fits(self, size: Size) -> bool:
        """Tell whether a run fits now."""
        if not self._taken:
            return True
        free = self._free
        is_small = size.cpu <= free.cpu + _SLACK and size.memory_gb <= free.memory_gb + _SLACK
        return is_small and len(self._taken) < self._runs

    def take(self, size: Size) -> None:
        """Count a run in."""
        self._taken.append(size)

    def give_back(self, size: Size) -> None:
        """Count a run out."""
        self._taken.remove(size)

    @property
    def _free(self) -> Size:
        return Size(
            self._all.cpu - sum(one.cpu for one in self._taken),
            self._all.memory_gb - sum(one.memory_gb for one in self._taken),
        )
