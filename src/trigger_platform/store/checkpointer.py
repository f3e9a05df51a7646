"""Moving what SQLite's log holds into the file, beside the writer and not in one of its commits.

A checkpoint takes some 15 ms. SQLite makes the commit that fills the log pay for it; here a thread with
connections of its own does it, which holds up neither readers nor the writer.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

__all__ = ["Checkpointer"]

_ROWS = 1_000
_PAUSE_S = 1.0


class Checkpointer:
    """Sees to the log of one file."""

    def __init__(self, path: str) -> None:
        self._address = f"{Path(path).absolute().as_uri()}?mode=rw"  # never a new file
        self._seen = 0
        self._is_wanted = threading.Event()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-checkpoint", daemon=True)
        self._thread.start()

    def committed(self, changed: int) -> None:
        """Note how many rows the writer has changed in all; it alone calls this."""
        if changed - self._seen >= _ROWS:
            self._seen = changed
            self._is_wanted.set()

    def close(self) -> None:
        """Finish what is under way."""
        self._is_closed.set()
        self._is_wanted.set()
        self._thread.join()

    def _run(self) -> None:
        while self._is_wanted.wait() and not self._is_closed.is_set():
            self._is_wanted.clear()
            with suppress(sqlite3.OperationalError):  # the writer does it when this cannot be
                self._move()
            self._is_closed.wait(_PAUSE_S)

    def _move(self) -> None:
        with closing(sqlite3.connect(self._address, uri=True, isolation_level=None)) as connection:
            connection.execute("pragma wal_checkpoint(passive)")
