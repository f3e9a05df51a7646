"""The hub: in-process waiting for work, for signals, and for changes of runs.

Nothing here is needed for correctness. Whoever waits looks at the database after being woken, and looks
anyway after a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from trigger_platform.store.notice import Notice

__all__ = ["Hub", "Subscription", "WorkWaiter"]


@dataclass(eq=False, slots=True)
class WorkWaiter:
    """A worker's poll that found nothing yet."""

    environment_id: str
    boot_id: str
    wants_work: bool
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False


@dataclass(eq=False, slots=True)
class Subscription:
    """Somebody who watches an environment's runs, or one of them."""

    environment_id: str
    run_id: str | None
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
        self._subscriptions: set[Subscription] = set()
        self.closed = asyncio.Event()

    def notice(self, notice: Notice) -> None:
        """A commit, here or in another process: wake whom it concerns."""
        for waiter in self._waiters:
            has_work = waiter.wants_work and waiter.environment_id in notice.runnable
            if has_work or waiter.boot_id in notice.boots or notice.look:
                waiter.woken.set()
        if notice.changed:
            self._publish(notice.changed)
        if notice.look:
            for subscription in self._subscriptions:
                subscription.changed.set()

    def end_polls(self, boot_id: str) -> None:
        """Answer a worker's waiting polls: it wants to ask anew."""
        for waiter in self._waiters:
            if waiter.boot_id == boot_id:
                waiter.ended = True
                waiter.woken.set()

    @asynccontextmanager
    async def waiting(
        self, environment_id: str, boot_id: str, *, wants_work: bool
    ) -> AsyncIterator[WorkWaiter]:
        """Be woken for work or signals while in this block."""
        waiter = WorkWaiter(environment_id, boot_id, wants_work)
        self._waiters.add(waiter)
        try:
            yield waiter
        finally:
            self._waiters.discard(waiter)

    @asynccontextmanager
    async def subscribed(
        self, environment_id: str, run_id: str | None = None
    ) -> AsyncIterator[Subscription]:
        """Hear of changes while in this block."""
        subscription = Subscription(environment_id, run_id)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    async def closes_within(self, seconds: float) -> bool:
        """Wait, at most so long, for the end of the server; tell whether it has come."""
        try:
            async with asyncio.timeout(seconds):
                await self.closed.wait()
        except TimeoutError:
            return False
        return True

    def _publish(self, runs: frozenset[tuple[str, str]]) -> None:
        environments = {environment_id for environment_id, _ in runs}
        for subscription in self._subscriptions:
            key = (subscription.environment_id, subscription.run_id)
            if key in runs or (
                subscription.run_id is None and subscription.environment_id in environments
            ):
                subscription.changed.set()

    def close(self) -> None:
        """Let everybody who waits go: the server is ending."""
        self.closed.set()
        for waiter in self._waiters:
            waiter.ended = True
            waiter.woken.set()
        for subscription in self._subscriptions:
            subscription.changed.set()
