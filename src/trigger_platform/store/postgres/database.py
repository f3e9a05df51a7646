"""A PostgreSQL database behind the :class:`~trigger_platform.store.database.Database` interface.

One thread of each process writes, in groups; readers and the listener have connections of their own.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import psycopg

from trigger_core.clock import Clock
from trigger_platform.store.group_writer import GroupWriter, Tally
from trigger_platform.store.notice import Notice
from trigger_platform.store.postgres import schema
from trigger_platform.store.postgres.address import parse
from trigger_platform.store.postgres.clock import ServerClock
from trigger_platform.store.postgres.commits import Commits
from trigger_platform.store.postgres.connection import translate
from trigger_platform.store.postgres.link import Link
from trigger_platform.store.postgres.listener import Listener
from trigger_platform.store.postgres.readers import Readers
from trigger_platform.store.postgres.tx import PostgresTx

__all__ = ["PostgresDatabase"]

T = TypeVar("T")

_GROUP_LIMIT = 32


class PostgresDatabase:
    """One database that any number of processes share; each keeps up to four connections to it."""

    def __init__(self, url: str, *, durable: bool = True, migrates: bool = True) -> None:
        """Connect, and bring the schema up to date.

        Args:
            url: ``postgresql://user:password@host:port/name``, with the driver's parameters and
                ``prepared_statements=off`` for poolers that cannot keep them.
            durable: whether an acknowledged write survives a power cut of the server
                (``synchronous_commit``).
            migrates: whether a schema that is not up to date is brought up to date, and not refused.

        Raises:
            StoreTooNewError: a newer version of this software wrote the database.
            StoreError: it cannot be reached, refuses us, is too old, or belongs to another program.
        """
        self._address = parse(url)
        self._link = Link(self._address)
        self._prepare(migrates=migrates)
        sender = secrets.token_hex(8)
        self.clock: Clock = (clock := ServerClock())
        self._readers = Readers(self._address)
        self._listener = Listener(self._address, sender)
        commits = Commits(self._link, clock, sender=sender, durable=durable)
        self._writer = GroupWriter(commits, limit=_GROUP_LIMIT)

    @property
    def look_every_s(self) -> float:
        """A process may die before it tells, and the connection that hears may break."""
        return 1.0

    @property
    def tally(self) -> Tally:
        """What was committed since it was opened."""
        return self._writer.tally

    def submit(
        self, work: Callable[[PostgresTx], T], on_commit: Callable[[T], None] | None = None
    ) -> Future[T]:
        """Queue a write; the future holds its result once it is committed."""
        return self._writer.submit(work, on_commit)

    async def write(
        self, work: Callable[[PostgresTx], T], on_commit: Callable[[T], None] | None = None
    ) -> T:
        """Run a write and wait for its commit; ``on_commit`` is called on this event loop."""
        return await self._writer.write(work, on_commit)

    async def read(self, work: Callable[[PostgresTx], T]) -> T:
        """Run reads on one consistent snapshot, beside the writer."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers.threads, self._readers.read, work)

    def listen(self, hear: Callable[[Notice], None]) -> None:
        """Have ``hear`` called, on a thread of the listener, with what other processes tell."""
        self._listener.add(hear)

    def close(self) -> None:
        """Finish the writes that were accepted and close the connections."""
        if not self._writer.close():
            return
        self._listener.close()
        self._readers.close()
        self._link.drop()

    def _prepare(self, *, migrates: bool) -> None:
        try:
            schema.prepare(self._link.tx(), self._address, migrates=migrates)
        except psycopg.Error as error:
            self._link.drop()
            raise translate(error, self._address) from error
        except BaseException:
            self._link.drop()
            raise
