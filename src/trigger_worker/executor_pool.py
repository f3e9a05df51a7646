"""The executors of one version: a few forked ahead, the warm ones kept, and who waits for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from trigger_worker.executor_process import ExecutorProcess
from trigger_worker.lanes import Lanes

__all__ = ["ExecutorPool", "Take"]

_AHEAD = 4
_FORKS_AT_ONCE = 32
"""More requests than this would not fit into the socket to the version's process."""
_FAILED_STARTS = 3
"""After so many executors in a row that ended before they were ready, nobody is kept waiting for one."""

Take = Callable[[ExecutorProcess], None]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An attempt that waits for an executor; one that was promised a fresh process takes no used one."""

    take: Take
    accepts_used: bool


@dataclass(eq=False)
class ExecutorPool:
    """Who is ready, who waits, and how many execute.

    ``busy`` counts executors that hold a slot; one whose run waits for the platform holds none.
    """

    busy: int = 0
    retired: bool = False
    forking: dict[int, ExecutorProcess] = field(default_factory=dict)
    _fresh: list[ExecutorProcess] = field(default_factory=list)
    _warm: list[ExecutorProcess] = field(default_factory=list)
    _waiting: list[_Waiting] = field(default_factory=list)
    _failed_starts: int = 0
    lanes: Lanes = field(init=False)

    def __post_init__(self) -> None:
        """Hand out more when lanes open."""
        self.lanes = Lanes(self._match)

    def give(self, take: Take, *, accepts_used: bool) -> None:
        """Call ``take`` with an executor, at once if one is ready."""
        self._waiting.append(_Waiting(take, accepts_used))
        self._match()

    def became_ready(self, process: ExecutorProcess) -> None:
        """A forked executor can work."""
        self._failed_starts = 0
        self._fresh.append(process)
        self._match()

    def give_back(self, process: ExecutorProcess) -> None:
        """An executor that was handed out is free for another attempt."""
        self.busy -= 1
        (self._warm if process.is_used else self._fresh).append(process)
        self._match()

    def release(self) -> None:
        """An executor that was handed out is gone, or waits."""
        self.busy -= 1
        self._match()

    def resume(self) -> None:
        """An executor that waited goes on."""
        self.busy += 1

    def lost(self, process: ExecutorProcess) -> None:
        """An executor has ended."""
        if self.forking.pop(process.token, None) is not None:
            self._failed_starts += 1
        for idle in (self._fresh, self._warm):
            if process in idle:
                idle.remove(process)

    @property
    def cannot_start(self) -> bool:
        """Whether executors end before they are ready, over and over."""
        return self._failed_starts >= _FAILED_STARTS

    def missing(self, *, ahead: bool) -> int:
        """Return how many executors to fork for those who wait, and with ``ahead`` for those to come."""
        spare = _AHEAD if ahead and not self.retired and not self.cannot_start else 0
        wanted = min(len(self._waiting), max(1, self.lanes.open - self.busy))
        missing = wanted + spare - len(self._fresh) - len(self.forking)
        return max(0, min(missing, _FORKS_AT_ONCE - len(self.forking)))

    def retire(self) -> None:
        """Keep no idle executors: a newer version takes the new runs."""
        self.retired = True
        self._match()

    def dismiss(self) -> None:
        """Nobody who waits gets an executor."""
        self._waiting.clear()

    def _match(self) -> None:
        """Hand ready executors to those who wait, first come first served."""
        while self.busy < self.lanes.open and (pair := self._next()) is not None:
            waiting, process = pair
            self._waiting.remove(waiting)
            self.busy += 1
            waiting.take(process)
        if self._waiting:
            self.lanes.note_waiting()
        if self.retired and not self._waiting:
            for process in [*self._fresh, *self._warm]:
                process.close()
            self._fresh.clear()
            self._warm.clear()

    def _next(self) -> tuple[_Waiting, ExecutorProcess] | None:
        for waiting in self._waiting:
            idle = self._warm if waiting.accepts_used and self._warm else self._fresh
            if idle:
                return waiting, idle.pop()
            if not self._warm:
                return None
        return None
