"""What a worker has to report, collected until the next report leaves.

There is no timer: whatever came together while one report was on its way is the next one.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from trigger_core.schemas.metadata import MetadataFlush
from trigger_core.schemas.workers import (
    Failed,
    GivenUp,
    Held,
    LogLine,
    Report,
    Started,
    StartRetry,
    Succeeded,
    TriggerAndWait,
    WaitToken,
    WaitUntil,
)

__all__ = ["Outbox"]

_LOGS_AT_ONCE = 2_000
_LOGS_HELD = 10_000


@dataclass(eq=False)
class Outbox:
    """The next report."""

    started: list[Started] = field(default_factory=list)
    completions: list[Succeeded | Failed] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    waits: list[WaitUntil] = field(default_factory=list)
    tokens: list[WaitToken] = field(default_factory=list)
    triggers: list[TriggerAndWait] = field(default_factory=list)
    given_up: list[GivenUp] = field(default_factory=list)
    retries: list[StartRetry] = field(default_factory=list)
    metadata: dict[tuple[str, int], MetadataFlush] = field(default_factory=dict)
    logs: list[LogLine] = field(default_factory=list)
    repoll: bool = False
    dirty: asyncio.Event = field(default_factory=asyncio.Event)

    def touch(self) -> None:
        """There is something to report."""
        self.dirty.set()

    def end_polls(self) -> None:
        """The poll that waits was made with other free slots or versions: the next one asks anew."""
        self.repoll = True
        self.touch()

    @property
    def is_urgent(self) -> bool:
        """Whether somebody waits for the answer: a run that wants to wait, a retry, a poll to be ended."""
        is_flush = any(flush.refs for flush in self.metadata.values())
        waits = self.waits or self.tokens or self.triggers
        return bool(is_flush or waits or self.retries or self.repoll)

    @property
    def is_full(self) -> bool:
        """Whether lines come faster than they can be reported."""
        return len(self.logs) > _LOGS_HELD

    def take(self, boot_id: str, claim: int, workers: list[str]) -> Report:
        """Return the next report and begin a new one; surplus log lines wait, in order."""
        logs, rest = self.logs[:_LOGS_AT_ONCE], self.logs[_LOGS_AT_ONCE:]
        completions, later = self._finished_logs(rest)
        ended = {one.run_id for one in completions}  # which says that they began
        report = Report(
            boot_id=boot_id,
            started=[one for one in self.started if one.run_id not in ended],
            completions=completions,
            held=self.held,
            waits=self.waits,
            tokens=self.tokens,
            triggers=self.triggers,
            given_up=self.given_up,
            retries=self.retries,
            metadata=list(self.metadata.values()),
            logs=logs,
            claim=claim,
            workers=workers,
            repoll=self.repoll,
        )
        self.started, self.held, self.retries = [], [], []
        self.waits, self.tokens, self.triggers, self.given_up = [], [], [], []
        self.metadata = {}
        self.completions, self.logs, self.repoll = later, rest, False
        if not (rest or later):
            self.dirty.clear()
        return report

    def _finished_logs(
        self, rest: list[LogLine]
    ) -> tuple[list[Succeeded | Failed], list[Succeeded | Failed]]:
        """Split the completions: one whose lines are not all in this report waits for them."""
        behind = {line.run_id for line in rest}
        now = [one for one in self.completions if one.run_id not in behind]
        later = [one for one in self.completions if one.run_id in behind]
        return now, later
