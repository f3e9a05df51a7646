"""One wait of an executor's code: the waitpoints it waits for, once they are known, and their ends."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from trigger_core.schemas.workers import WaitResult

__all__ = ["Wait"]


@dataclass(eq=False)
class Wait:
    """What the code waits for; nothing is known about it until the platform has answered."""

    is_known: bool = False
    batch_id: str | None = None
    _awaited: list[str] = field(default_factory=list)
    _results: dict[str, WaitResult] = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)

    def learn(
        self, awaited: Sequence[str], batch_id: str | None, early: Mapping[str, WaitResult]
    ) -> None:
        """The platform has recorded the wait; some of it may have ended ``early``."""
        self.is_known, self.batch_id = True, batch_id
        self._awaited = list(awaited)
        self._results = {one: early[one] for one in awaited if one in early}
        self._open = set(awaited) - self._results.keys()

    def note(self, waitpoint_id: str, result: WaitResult) -> bool:
        """A waitpoint has ended; tell whether this wait was open for it."""
        if waitpoint_id not in self._open:
            return False
        self._open.remove(waitpoint_id)
        self._results[waitpoint_id] = result
        return True

    @property
    def open_waitpoints(self) -> Collection[str]:
        """What has not ended yet."""
        return self._open

    @property
    def is_over(self) -> bool:
        """Whether everything has ended."""
        return self.is_known and not self._open

    @property
    def results(self) -> list[WaitResult]:
        """How everything ended, in the order of what was waited for."""
        return [self._results[one] for one in self._awaited]
