"""A run a worker holds: its lease, its executor, its waits, and the deadlines set on it."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass, field
from typing import Literal

from trigger_core.schemas.workers import Assignment, Started, TaskError, WaitResult
from trigger_worker.executor_process import ExecutorProcess
from trigger_worker.generation import Generation
from trigger_worker.wait import Wait

__all__ = ["ActiveRun", "EndReason"]

EndReason = Literal["canceled", "max_duration", "out_of_memory", "stopped"]

_SYNC_HINT_S = 1.0
_KILL_AFTER_S = 5.0


@dataclass(eq=False)
class ActiveRun:
    """One attempt in progress, or the pause before the next one (``process`` is ``None`` then).

    ``untold`` is the beginning that the platform has not been told of, ``is_announced`` whether the session
    has; ``token`` is what its code may show.
    """

    assignment: Assignment
    token: str | None = None
    generation: Generation | None = None
    process: ExecutorProcess | None = None
    end_reason: EndReason | None = None
    untold: Started | None = None
    is_announced: bool = False
    started_at: float = 0.0
    oom_kills_before: int = 0
    waits: dict[str, Wait] = field(default_factory=dict)
    early: dict[str, WaitResult] = field(default_factory=dict)
    result: tuple[int, TaskError | None] | None = None
    lines: int = 0
    _timers: list[asyncio.TimerHandle] = field(default_factory=list)
    _active_s: float = 0.0
    _active_since: float | None = None
    _limit_timer: asyncio.TimerHandle | None = None

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.assignment.run_id

    @property
    def home(self) -> Generation:
        """The version that executes it."""
        assert self.generation is not None
        return self.generation

    @property
    def is_idle(self) -> bool:
        """Whether it was handed out and no executor has it yet."""
        return self.process is None and self.result is None

    @property
    def is_waiting(self) -> bool:
        """Whether the code waits for the platform and holds no slot."""
        return bool(self.waits)

    def move_to(self, generation: Generation | None) -> None:
        """Be one of a version's runs; ``None``: of none any more."""
        if self.generation is not None:
            self.generation.running -= 1
        self.generation = generation
        if generation is not None:
            generation.running += 1

    def start(self, process: ExecutorProcess) -> None:
        """Hand the run to an executor."""
        loop = asyncio.get_running_loop()
        self.process = process
        self.started_at = loop.time()
        self.resume_clock()
        process.hand({"t": "run", "run": self.assignment.to_wire(), "token": self.token})

    def resume_clock(self) -> None:
        """Count active time from here; waiting does not count."""
        if self.assignment.max_duration is None or self._active_since is not None:
            return
        loop = asyncio.get_running_loop()
        self._active_since = loop.time()
        left = max(0.0, self.assignment.max_duration - self._active_s)
        self._limit_timer = loop.call_later(left, self.end, "max_duration")

    def pause_clock(self) -> None:
        """Stop counting active time."""
        if self._active_since is None or self._limit_timer is None:
            return
        self._active_s += asyncio.get_running_loop().time() - self._active_since
        self._active_since = None
        self._limit_timer.cancel()

    def end(self, reason: EndReason) -> None:
        """Make the attempt end: ask first when it was canceled, insist later."""
        if self.end_reason in {"stopped", "out_of_memory"} and reason != "stopped":
            return
        self.end_reason = reason
        if self.process is None:
            return
        match reason:
            case "canceled":
                self._ask()
            case "max_duration":
                self.process.kill(signal.SIGTERM)
                self._later(_KILL_AFTER_S, signal.SIGKILL)
            case "out_of_memory" | "stopped":
                self.process.kill(signal.SIGKILL)

    def finish(self) -> None:
        """Drop the deadlines: the attempt is over."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.pause_clock()

    def _ask(self) -> None:
        assert self.process is not None
        report = self.home.report
        grace_s = report.cancel_grace_ms / 1000
        self.process.send({"t": "cancel"})
        if self.assignment.task in report.async_tasks:
            self._later(grace_s / 2, signal.SIGTERM)
        else:
            self.process.kill(signal.SIGUSR1)
            self._later(min(_SYNC_HINT_S, grace_s / 2), signal.SIGTERM)
        self._later(grace_s, signal.SIGKILL)

    def _later(self, seconds: float, number: signal.Signals) -> None:
        assert self.process is not None
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(seconds, self.process.kill, number))
