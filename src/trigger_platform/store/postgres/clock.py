"""The database's clock, kept here: leases do not depend on the clocks of the hosts."""

from __future__ import annotations

import time

__all__ = ["ServerClock"]

_TOLERANCE_MS = 2


class ServerClock:
    """The server's time, as this machine's monotonic clock carries it on from the last look."""

    def __init__(self) -> None:
        self._offset = time.time_ns() / 1e6 - time.monotonic_ns() / 1e6

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return int(time.monotonic_ns() / 1e6 + self._offset)

    def learn(self, server_ms: int, asked: float, answered: float) -> None:
        """Take over what the server said, between two moments of ``time.monotonic``.

        What the way there and back explains is no difference.
        """
        offset = server_ms - (asked + answered) * 500
        if abs(offset - self._offset) > (answered - asked) * 500 + _TOLERANCE_MS:
            self._offset = offset
