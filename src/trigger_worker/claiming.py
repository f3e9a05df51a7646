"""Claiming: how many runs to ask the platform for, and which questions are under way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from trigger_core.schemas.workers import Failed, Succeeded
from trigger_worker.active_run import ActiveRun

__all__ = ["Claims"]

_AT_ONCE = 500
"""As many as one call may ask for."""
_POLL_FOR = 4
"""A waiting poll that asks for fewer runs is replaced when slots are free."""
_SHORT_MS = 20
_ASK_AGAIN_S = 0.1


class Claims:
    """Keeps what is asked for within the free slots.

    A question names the versions that were loaded when it was asked; what it brings is theirs.
    """

    def __init__(self, runs: Collection[ActiveRun]) -> None:
        self.capacity = 1
        self._runs = runs
        self._prefetch = 0
        self._under_way: dict[asyncio.Future[None], int] = {}

    def limit(self) -> int:
        """Return how many runs to ask for now."""
        return min(_AT_ONCE, self._free() + self._ahead())

    def note_pace(self, ended: Sequence[Succeeded | Failed]) -> None:
        """While attempts are short, as many runs as there are slots are kept at hand."""
        short = sum(one.duration_ms < _SHORT_MS for one in ended)
        self._prefetch = self.capacity if short > len(ended) / 2 else 0

    def want_more(self, asked: int, got: int) -> bool:
        """Tell whether the poll that waits asks for too few."""
        return got < asked and self._reserved() < min(self._free(), _POLL_FOR)

    @contextmanager
    def asking(self, limit: int) -> Iterator[None]:
        """A question for so many runs is under way; inside this block what it brings is taken."""
        answered = asyncio.get_running_loop().create_future()
        self._under_way[answered] = limit
        try:
            yield
        finally:
            del self._under_way[answered]
            if not answered.done():
                answered.set_result(None)

    async def all_answered(self, end_polls: Callable[[], None]) -> None:
        """Wait until every question that is under way now has been answered, and its answer taken.

        ``end_polls`` makes the platform answer a poll that waits. It is repeated: the poll may reach the
        platform after the word that was to end it.
        """
        asked = set(self._under_way)
        while asked:
            end_polls()
            _, asked = await asyncio.wait(asked, timeout=_ASK_AGAIN_S)

    def _free(self) -> int:
        """How many more runs may execute; waiting ones do not count."""
        executing = sum(1 for run in self._runs if not run.is_waiting and not run.result)
        return max(0, self.capacity - executing - self._reserved())

    def _ahead(self) -> int:
        """How many runs to claim beyond the free slots, so that short ones need not wait for an answer."""
        waiting = sum(1 for run in self._runs if run.process is None and not run.result)
        return max(0, self._prefetch - waiting)

    def _reserved(self) -> int:
        return sum(self._under_way.values())
