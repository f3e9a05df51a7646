"""Readers: a few connections, each read on one snapshot."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import psycopg

from trigger_platform.store.postgres.address import Address
from trigger_platform.store.postgres.connection import is_lost, translate
from trigger_platform.store.postgres.link import Link
from trigger_platform.store.postgres.tx import PostgresTx

__all__ = ["READERS", "Readers"]

T = TypeVar("T")

READERS = 2
_TRIES = 3
_PATIENCE_S = 10.0


class Readers:
    """A thread and a connection for each read that goes on at the same time; opened when first needed."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._local = threading.local()
        self._links: list[Link] = []
        self.threads = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")

    def read(self, work: Callable[[PostgresTx], T]) -> T:
        """Run reads on one snapshot, once more when the connection was lost."""
        for _ in range(_TRIES - 1):
            link = self._link()
            tx = link.tx(_PATIENCE_S)
            try:
                return self._snapshot(tx, work)
            except psycopg.Error as error:
                if not is_lost(error, tx.connection, writes=False):
                    raise translate(error, self._address) from error
                link.drop()
        return self._snapshot(self._link().tx(_PATIENCE_S), work)

    def close(self) -> None:
        """Finish the reads that were begun and close the connections."""
        self.threads.shutdown()
        for link in self._links:
            link.drop()

    def _snapshot(self, tx: PostgresTx, work: Callable[[PostgresTx], T]) -> T:
        tx.plain("begin isolation level repeatable read read only")
        try:
            return work(tx)
        finally:
            if not tx.connection.closed:
                tx.plain("rollback")

    def _link(self) -> Link:
        link: Link | None = getattr(self._local, "link", None)
        if link is None:
            link = self._local.link = Link(self._address)
            self._links.append(link)
        return link
