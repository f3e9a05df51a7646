"""A unit of work: one transaction, one moment, and what must be told to others once it has committed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

from trigger_core.clock import Clock
from trigger_core.redaction import Redactor
from trigger_platform.key_ring import KeyRing
from trigger_platform.store.database import Database, Tx
from trigger_platform.store.notice import Notice
from trigger_platform.store.rows import EventRow

__all__ = ["Notice", "Unit", "Units"]

P = ParamSpec("P")
T = TypeVar("T")

_NOTHING = Notice()
_NO_KEYS = KeyRing()


@dataclass(slots=True)
class Unit:
    """What an engine function works with.

    Attributes:
        tx: the open transaction.
        now: the moment of the whole unit, in ms since the epoch.
        rng: the source of chance.
        steps: what runs became, as execution status and status, for who counts.
        keys: what secrets are sealed with.
        redactors: what hides an environment's secrets, by its id, with the count of changes it was made at.
        access: whether this unit changes who may do what.
    """

    tx: Tx
    now: int
    rng: random.Random
    keys: KeyRing = _NO_KEYS
    redactors: dict[str, tuple[int, Redactor]] = field(default_factory=dict)
    events: list[EventRow] = field(default_factory=list)
    runnable: set[str] = field(default_factory=set)
    boots: set[str] = field(default_factory=set)
    changed: set[tuple[str, str]] = field(default_factory=set)
    streams: set[str] = field(default_factory=set)
    access: bool = False
    due: int | None = None
    steps: list[tuple[str, str]] = field(default_factory=list)

    def emit(self, environment_id: str, kind: str, subject_id: str, sequence: int) -> None:
        """Put a fact into the outbox, in this transaction."""
        event = EventRow(environment_id, kind, subject_id, sequence, self.now)
        self.events.append(event)

    def insert(self, statement: str, rows: Sequence[Any]) -> None:
        """Write rows of one row type, whose fields are the statement's parameters."""
        if rows:
            self.tx.many(statement, rows)

    def record(self, statement: str, rows: Sequence[Any]) -> None:
        """Write rows like :meth:`insert`, where nothing in this unit depends on when before its commit."""
        if rows:
            self.tx.later(statement, rows)

    def expect(self, due_at: int | None) -> None:
        """Note a deadline, so that the timers wake in time."""
        if due_at is not None and (self.due is None or due_at < self.due):
            self.due = due_at

    def notice(self) -> Notice:
        """Return what the commit of this unit means for others."""
        return Notice(
            runnable=frozenset(self.runnable),
            boots=frozenset(self.boots),
            due=self.due,
            outbox=bool(self.events),
            changed=frozenset(self.changed),
            streams=frozenset(self.streams),
            access=self.access,
        )


class Units:
    """Opens units on a database and calls engine functions with them."""

    def __init__(
        self, db: Database, clock: Clock, rng: random.Random, keys: KeyRing = _NO_KEYS
    ) -> None:
        self.db = db
        self.keys = keys
        self.clock = clock
        self._rng = rng
        self._redactors: dict[str, tuple[int, Redactor]] = {}
        self._listeners: list[Callable[[Notice], None]] = []
        self.steps: Counter[tuple[str, str]] = Counter()
        """How many steps of each kind this process has committed."""

    def subscribe(self, listener: Callable[[Notice], None]) -> None:
        """Call ``listener`` after every commit that concerns others, on the writer's event loop."""
        self._listeners.append(listener)

    def listen(self) -> None:
        """Let the subscribers hear, on this event loop, of what other processes commit too."""
        loop = asyncio.get_running_loop()

        def hear(notice: Notice) -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody is left to be told
                loop.call_soon_threadsafe(self._tell, notice)

        self.db.listen(hear)

    async def write(
        self, function: Callable[Concatenate[Unit, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an engine function in a transaction; return its result once it is committed."""
        work = self._work(function, *args, **kwargs)
        _, result = await self.db.write(work, self._committed)
        return result

    def submit(
        self, function: Callable[Concatenate[Unit, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[tuple[Unit, T]]:
        """Queue an engine function from a thread without an event loop."""
        return self.db.submit(self._work(function, *args, **kwargs), self._committed)

    def write_sync(
        self, function: Callable[Concatenate[Unit, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an engine function in a transaction and block until it is committed."""
        return self.submit(function, *args, **kwargs).result()[1]

    async def read(
        self, function: Callable[Concatenate[Unit, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function that only reads on a snapshot."""
        now = self.clock.now()
        return await self.db.read(
            lambda tx: function(
                Unit(tx, now, self._rng, self.keys, self._redactors), *args, **kwargs
            )
        )

    def _work(
        self, function: Callable[Concatenate[Unit, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> Callable[[Tx], tuple[Unit, T]]:
        def work(tx: Tx) -> tuple[Unit, T]:
            u = Unit(tx, self.clock.now(), self._rng, self.keys, self._redactors)
            result = function(u, *args, **kwargs)
            _flush(u)
            return u, result

        return work

    def _committed(self, outcome: tuple[Unit, Any]) -> None:
        u = outcome[0]
        for step in u.steps:
            self.steps[step] += 1
        notice = u.notice()
        if notice != _NOTHING:
            self._tell(notice)

    def _tell(self, notice: Notice) -> None:
        for listener in self._listeners:
            listener(notice)


def _flush(u: Unit) -> None:
    u.record("outbox_insert", u.events)
    notice = u.notice()
    if notice.concerns_others:
        u.tx.tell(notice)
