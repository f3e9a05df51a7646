"""One connection that is opened again when it is lost."""

from __future__ import annotations

import random
import time
from contextlib import suppress

import psycopg

from trigger_core.errors import StoreError
from trigger_platform.store.postgres.address import Address
from trigger_platform.store.postgres.connection import connect
from trigger_platform.store.postgres.tx import PostgresTx

__all__ = ["Link"]

_FIRST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0


class Link:
    """Holds a connection for one thread."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._tx: PostgresTx | None = None

    def tx(self, patience_s: float = 0.0) -> PostgresTx:
        """Return a connection that looks alive; wait for the server as long as ``patience_s``.

        Raises:
            StoreError: it cannot be reached in that time.
        """
        if self._tx is not None and not self._tx.connection.closed:
            return self._tx
        deadline = time.monotonic() + patience_s
        pause = _FIRST_PAUSE_S
        while True:
            try:
                self._tx = PostgresTx(connect(self.address), prepares=self.address.prepares)
                return self._tx
            except StoreError as error:
                if error.code != "STORE_UNREACHABLE" or time.monotonic() + pause > deadline:
                    raise
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def drop(self) -> None:
        """Let go of the connection."""
        if self._tx is not None:
            with suppress(psycopg.Error):
                self._tx.connection.close()
        self._tx = None
