"""The versions a worker has loaded, oldest first; the newest takes the runs that are not bound to another."""

from __future__ import annotations

from collections.abc import Sequence

from trigger_worker.generation import Generation

__all__ = ["Versions"]

_IDLE = 2
"""So many old versions without runs are kept: their next run may come soon."""


class Versions:
    """A version is *offered* to the platform; then it is *leaving*: a question that is under way may still
    bring it runs; then it has *left*, and is closed with its last run.
    """

    def __init__(self) -> None:
        self._offered: list[Generation] = []
        self._leaving: list[Generation] = []
        self._left: list[Generation] = []
        self._has_newest = False

    @property
    def newest(self) -> Generation | None:
        """The version that takes new runs; when it has died no older one takes its place."""
        return self._offered[-1] if self._has_newest else None

    def ids(self) -> list[str]:
        """Return the ids of the versions that can be asked for, each once, newest last."""
        if not self._has_newest:
            return []
        newest_first = (generation.worker_id for generation in reversed(self._offered))
        return list(dict.fromkeys(newest_first))[::-1]

    def of(self, worker_id: str) -> Generation | None:
        """Return what executes a version; of two with the same code the one loaded last."""
        for generation in reversed([*self._left, *self._leaving, *self._offered]):
            if generation.worker_id == worker_id:
                return generation
        return None

    def install(self, generation: Generation) -> None:
        """Make it the newest; the others keep the runs they have."""
        for older in self._offered:
            older.retire()
        self._offered.append(generation)
        self._has_newest = True
        generation.refill()

    def remove(self, generation: Generation) -> None:
        """Forget one that died."""
        if generation is self.newest:
            self._has_newest = False
        for place in (self._offered, self._leaving, self._left):
            if generation in place:
                place.remove(generation)

    def leave_surplus(self) -> list[Generation]:
        """Offer no more those that nobody needs; return them."""
        older = self._offered[:-1] if self._has_newest else self._offered
        idle = [old for old in older if old.running == 0]
        surplus = idle[: max(0, len(idle) - _IDLE)]
        for generation in surplus:
            self._offered.remove(generation)
        self._leaving += surplus
        return surplus

    def have_left(self, generations: Sequence[Generation]) -> None:
        """No question that is under way names them any more."""
        for generation in generations:
            if generation in self._leaving:
                self._leaving.remove(generation)
                self._left.append(generation)

    def close_left(self) -> None:
        """Close those that have left and have no run."""
        for generation in [old for old in self._left if old.running == 0]:
            self._left.remove(generation)
            generation.close()

    def close(self) -> None:
        """Close all."""
        for generation in [*self._left, *self._leaving, *self._offered]:
            generation.close()
