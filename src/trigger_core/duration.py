"""Durations as people write them: ``"1h30m"``, ``timedelta(minutes=5)``; never bare milliseconds."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TypeAlias

from trigger_core import clock
from trigger_core.errors import InvalidDurationError

__all__ = ["NO_LIMIT_S", "Duration", "Moment", "describe", "parse_ms", "resolve_delay", "to_text"]

Duration: TypeAlias = "str | timedelta"
"""``"30s"``, ``"1h30m"``, ``"2d"`` (units w d h hr m s) or a ``timedelta``."""

Moment: TypeAlias = "str | timedelta | datetime"
"""A duration from now, an aware ``datetime``, or an ISO 8601 text."""

NO_LIMIT_S = 2**31 - 1
"""The number of seconds that means, as a ``maxDuration``: no limit, whatever the task says."""

_UNIT_MS = {
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "hr": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
_PART = re.compile(r"(\d{1,16})\s*(ms|hr|w|d|h|m|s)\s*")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+\Z")
_LONGEST_MS = 100 * 365 * 86_400_000


def parse_ms(value: Duration) -> int:
    """Return the length of a duration in milliseconds.

    Raises:
        InvalidDurationError: the text is no duration, or the duration is negative or above 100 years.
    """
    if isinstance(value, timedelta):
        ms = round(value.total_seconds() * 1000)
    elif isinstance(value, str) and _WHOLE.match(value.strip()):
        ms = sum(int(number) * _UNIT_MS[unit] for number, unit in _PART.findall(value))
    else:
        raise InvalidDurationError(value)
    if not 0 <= ms <= _LONGEST_MS:
        raise InvalidDurationError(value)
    return ms


def to_text(value: Duration) -> str:
    """Return the wire form of a duration, checked."""
    ms = parse_ms(value)
    return value.strip() if isinstance(value, str) else describe(ms)


def resolve_delay(value: Moment, now: int) -> int:
    """Return the moment (ms) that a delay points at; a moment in the past stays in the past.

    Raises:
        InvalidDurationError: the text is neither a duration nor an ISO 8601 moment.
    """
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.astimezone()
        return round(aware.timestamp() * 1000)
    try:
        return now + parse_ms(value)
    except InvalidDurationError:
        if isinstance(value, timedelta):
            raise
        try:
            return clock.from_iso(value)
        except ValueError:
            raise InvalidDurationError(value) from None


def describe(ms: int) -> str:
    """Return the shortest exact text of a duration, for example ``1h30m`` or ``250ms``."""
    parts: list[str] = []
    rest = ms
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, _UNIT_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
