"""Hearing what other processes commit (``LISTEN``), on a connection of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import psycopg

from trigger_core.errors import StoreError
from trigger_platform.store.notice import LOOK, Notice
from trigger_platform.store.postgres.address import Address
from trigger_platform.store.postgres.commits import CHANNEL
from trigger_platform.store.postgres.connection import Connection, connect

__all__ = ["Listener"]

_log = logging.getLogger(__name__)
_POLL_S = 0.5
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0


class Listener:
    """A thread that listens; after a gap it says that something may have been missed."""

    def __init__(self, address: Address, receiver: str) -> None:
        self._address = address
        self._receiver = receiver
        self._hear: list[Callable[[Notice], None]] = []
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self.connection: Connection | None = None

    def add(self, hear: Callable[[Notice], None]) -> None:
        """Call ``hear`` with what others tell; the first call opens the connection."""
        self._hear.append(hear)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="store-listener", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._ending.is_set():
            try:
                with connect(self._address) as connection:
                    connection.execute(f"listen {CHANNEL}")
                    self.connection = connection
                    pause = _FIRST_PAUSE_S
                    self._tell(LOOK)
                    self._listen(connection)
            except (psycopg.Error, StoreError) as error:
                _log.warning("cannot hear other processes for the moment: %s", error)
                self._ending.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
            finally:
                self.connection = None

    def _listen(self, connection: Connection) -> None:
        while not self._ending.is_set():
            for message in connection.notifies(timeout=_POLL_S):
                notice = Notice.from_message(message.payload, self._receiver)
                if notice is not None:
                    self._tell(notice)
                if self._ending.is_set():
                    return

    def _tell(self, notice: Notice) -> None:
        for hear in self._hear:
            hear(notice)
