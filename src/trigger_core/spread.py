"""Spreading: schedules that name the same time do not all fire at once.

Each schedule fires at its tick plus an offset inside its *window*. The offset follows from what identifies
the schedule, so it is the same on every replica and after every restart (behaviours 219-221).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from trigger_core import duration
from trigger_core.errors import InvalidDurationError, InvalidScheduleError

__all__ = ["DEFAULT", "OFF", "Window", "parse", "phase"]

_PHASE_BITS = 31
_LONGEST_MS = 86_400_000
_MINUTE_MS = 60_000
_PERCENT = re.compile(r"(\d{1,3})%\Z")
_LABEL = "schedule-phase-v1"


@dataclass(frozen=True, slots=True)
class Window:
    """How long after a tick a schedule may fire: a length, or a share of the time to the next tick."""

    length_ms: int = 0
    percent: int | None = None

    def offset(self, phase: int, interval_ms: int) -> int:
        """Return the offset (ms) of a schedule; always less than the interval."""
        length = self.length_ms
        if self.percent is not None:
            length = interval_ms * self.percent // 100
        return (phase * min(length, interval_ms)) >> _PHASE_BITS


OFF = Window()
DEFAULT = Window(30_000)
"""For schedules that say nothing, outside development."""


def parse(text: str) -> Window:
    """Read a window: whole minutes or hours up to a day (``"30m"``, ``"2h"``), ``"10%"``, or ``"none"``.

    Raises:
        InvalidScheduleError: it is none of these.
    """
    if text.strip() == "none":
        return OFF
    share = _PERCENT.match(text.strip())
    if share and int(share[1]) <= 100:
        return Window(percent=int(share[1]))
    try:
        ms = duration.parse_ms(text)
    except InvalidDurationError:
        ms = -1
    if ms % _MINUTE_MS or not 0 <= ms <= _LONGEST_MS:
        raise InvalidScheduleError(
            f"{text!r} is not a window",
            code="INVALID_WINDOW",
            because="a window has whole minutes or hours, up to 24 hours, or is a percentage",
            hint='write it like "30m", "2h", "10%" or "none"',
        )
    return Window(ms)


def phase(environment_id: str, key: str) -> int:
    """Return a schedule's place in its window as a 31-bit number; it never changes.

    Raises:
        ValueError: the environment's id, which keys the hash, is empty.
    """
    if not environment_id:
        raise ValueError("a phase needs the id of an environment")
    digest = hmac.digest(environment_id.encode(), f"{_LABEL}\0{key}".encode(), hashlib.sha256)
    return int.from_bytes(digest[:4], "big") >> 1
