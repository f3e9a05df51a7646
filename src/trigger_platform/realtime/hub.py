"""The hub: in-process waiting for work, for signals, and for changes of runs.

Nothing here is needed for correctness. Whoever waits looks at the database after being woken, and looks
anyway after a while.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from trigger_platform.store.notice import Notice

__all__ = ["Hub", "Subscription", "WorkWaiter"]


@dataclass(eq=False, slots=True)
class WorkWaiter:
    """A worker's poll that found nothing yet; without an environment it waits for work in any."""

    environment_id: str | None
    boot_id: str
    wants_work: bool
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False

    def concerns(self, runnable: frozenset[str]) -> bool:
        """Tell whether there is work for it in environments that have some."""
        return bool(runnable) if self.environment_id is None else self.environment_id in runnable


@dataclass(eq=False, slots=True)
class Subscription:
    """Somebody who watches an environment's runs, one of them, or one of its streams."""

    subjects: frozenset[str]
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self, seconds: float) -> bool:
        """Wait for a change, at most so long; tell whether there was one."""
        try:
            async with asyncio.timeout(seconds):
                await self.changed.wait()
        except TimeoutError:
            return False
        self.changed.clear()
        return True


class Hub:
    """Who waits for what."""

    def __init__(self) -> None:
        self._waiters: set[WorkWaiter] = set()
        self._subscriptions: defaultdict[str, set[Subscription]] = defaultdict(set)
        self.closed = asyncio.Event()

    def notice(self, notice: Notice) -> None:
        """A commit, here or in another process: wake whom it concerns."""
        for waiter in self._waiters:
            has_work = waiter.wants_work and waiter.concerns(notice.runnable)
            if has_work or waiter.boot_id in notice.boots or notice.look:
                waiter.woken.set()
        self._publish(notice.streams)
        self._publish({subject for pair in notice.changed for subject in pair})
        if notice.look:
            self._publish(self._subscriptions)

    def end_polls(self, environment_id: str, boot_id: str) -> None:
        """Answer a worker's waiting polls: it wants to ask anew."""
        for waiter in self._waiters:
            if (waiter.environment_id, waiter.boot_id) == (environment_id, boot_id):
                waiter.ended = True
                waiter.woken.set()

    @asynccontextmanager
    async def waiting(
        self, environment_id: str | None, boot_id: str, *, wants_work: bool
    ) -> AsyncIterator[WorkWaiter]:
        """Be woken for work or signals while in this block."""
        waiter = WorkWaiter(environment_id, boot_id, wants_work, ended=self.closed.is_set())
        self._waiters.add(waiter)
        try:
            yield waiter
        finally:
            self._waiters.discard(waiter)

    @asynccontextmanager
    async def subscribed(
        self, environment_id: str, run_id: str | None = None, stream: str | None = None
    ) -> AsyncIterator[Subscription]:
        """Hear of changes while in this block: of all runs, of one, or of one and one of its streams."""
        subjects = {environment_id} if run_id is None else {run_id}
        if stream is not None:
            subjects.add(f"{run_id}/{stream}")
        subscription = Subscription(frozenset(subjects))
        for subject in subjects:
            self._subscriptions[subject].add(subscription)
        try:
            yield subscription
        finally:
            for subject in subjects:
                self._forget(subject, subscription)

    async def closes_within(self, seconds: float) -> bool:
        """Wait, at most so long, for the end of the server; tell whether it has come."""
        try:
            async with asyncio.timeout(seconds):
                await self.closed.wait()
        except TimeoutError:
            return False
        return True

    def _forget(self, subject: str, subscription: Subscription) -> None:
        self._subscriptions[subject].discard(subscription)
        if not self._subscriptions[subject]:
            del self._subscriptions[subject]

    def _publish(self, subjects: Iterable[str]) -> None:
        for subject in subjects:
            for subscription in self._subscriptions.get(subject, ()):
                subscription.changed.set()

    def close(self) -> None:
        """Let everybody who waits go: the server is ending."""
        self.closed.set()
        for waiter in self._waiters:
            waiter.ended = True
            waiter.woken.set()
        self._publish(self._subscriptions)
