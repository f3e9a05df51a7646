"""Time as the rest of the code knows it: integer milliseconds since the Unix epoch."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["Clock", "SystemClock", "VirtualClock", "from_iso", "to_datetime", "to_iso"]


class Clock(Protocol):
    """Something that knows the present moment."""

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        ...


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return time.time_ns() // 1_000_000


class VirtualClock:
    """A clock that stands still until it is told to move; for tests."""

    def __init__(self, start: int = 1_764_000_000_000) -> None:
        self._now = start

    def now(self) -> int:
        """Return milliseconds since the epoch."""
        return self._now

    def advance(self, ms: int) -> None:
        """Move the clock by ``ms`` milliseconds; a negative number models a clock that jumps back."""
        self._now += ms


def to_datetime(ms: int) -> datetime:
    """Return the aware UTC datetime of a millisecond timestamp."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC)


def to_iso(ms: int) -> str:
    """Return the wire form of a moment: ISO 8601 in UTC with milliseconds and a ``Z``."""
    return to_datetime(ms).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


def from_iso(text: str) -> int:
    """Parse an ISO 8601 moment; one without an offset is UTC.

    Raises:
        ValueError: the text is no ISO 8601 date or datetime.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
