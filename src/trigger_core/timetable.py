"""When something recurs: by a cron expression in a time zone, or at a fixed interval.

What happens when clocks are changed, exactly:

- A wall-clock time that is skipped in spring does not exist: nothing happens for it, at no other time.
- A wall-clock time that comes twice in autumn counts once, the first time it comes.
- An expression that leaves the hour open (``*/15 * * * *``) names a rhythm, not a time of day: it goes on
  through both passes of the repeated hour, and no run is missing from the rhythm.
- An interval (``every="30s"``) does not know of zones: its ticks are the multiples of the interval since the
  epoch, the same on every machine and after every restart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from typing import Protocol
from zoneinfo import ZoneInfo, available_timezones

from trigger_core import cron, duration
from trigger_core.cron import Cron
from trigger_core.duration import Duration
from trigger_core.errors import InvalidDurationError, InvalidScheduleError

__all__ = [
    "EVERY",
    "CronTimetable",
    "Interval",
    "Timetable",
    "every",
    "expression",
    "read",
    "upcoming",
    "zone",
    "zones",
]

EVERY = "@every"
"""How an interval is written where a cron expression is expected: ``@every 30s``."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_ANY_MOMENT = 1_767_225_600_000  # 2026 begins
_DAY_MS = 86_400_000
_SHORTEST_MS = 1_000
_LONGEST_MS = 366 * _DAY_MS
_LOOK_BACK_MS = (3_600_000, _DAY_MS, 32 * _DAY_MS, 366 * _DAY_MS)
_UNITS = ((_DAY_MS, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"))


class Timetable(Protocol):
    """Moments that recur; all in ms since the epoch."""

    @property
    def expression(self) -> str:
        """How it is written: five fields, a macro, or ``@every`` and a duration."""
        ...

    def describe(self) -> str:
        """Say in words when that is."""
        ...

    def next_after(self, moment: int) -> int | None:
        """Return the first tick after a moment; ``None`` when there is none in fifty years."""
        ...

    def newest(self, after: int, until: int, count: int) -> list[int]:
        """Return the last ``count`` ticks after one moment and up to another, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Interval:
    """Multiples of ``every_ms`` since the epoch."""

    every_ms: int

    @property
    def expression(self) -> str:
        """``@every`` and the duration."""
        return f"{EVERY} {duration.describe(self.every_ms)}"

    def describe(self) -> str:
        """Say in words when that is."""
        for length, unit in _UNITS:
            count, rest = divmod(self.every_ms, length)
            if not rest:
                return f"Every {unit}" if count == 1 else f"Every {count} {unit}s"
        return f"Every {duration.describe(self.every_ms)}"

    def next_after(self, moment: int) -> int | None:
        """Return the first tick after a moment."""
        return (moment // self.every_ms + 1) * self.every_ms

    def newest(self, after: int, until: int, count: int) -> list[int]:
        """Return the last ``count`` ticks after one moment and up to another, oldest first."""
        last = until // self.every_ms
        first = max(after // self.every_ms + 1, last - count + 1)
        return [number * self.every_ms for number in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class CronTimetable:
    """A cron expression read on the clocks of a time zone."""

    cron: Cron
    zone: ZoneInfo

    @property
    def expression(self) -> str:
        """The expression as it was written."""
        return self.cron.text

    def describe(self) -> str:
        """Say in words when that is."""
        return self.cron.describe()

    def next_after(self, moment: int) -> int | None:
        """Return the first tick after a moment; ``None`` when there is none in fifty years."""
        now = self._wall(moment)
        best: int | None = None
        for wall in self.cron.walls_after(now - self._repeated(moment)):
            ticks = [tick for tick in self._ticks(wall) if tick > moment]
            best = min(ticks if best is None else [*ticks, best], default=None)
            if ticks and wall > now:
                break
        return best

    def newest(self, after: int, until: int, count: int) -> list[int]:
        """Return the last ``count`` ticks after one moment and up to another, oldest first."""
        for back in _LOOK_BACK_MS:
            start = until - back
            if start <= after:
                break
            found = deque(self._between(start, until), maxlen=count)
            if len(found) == count:
                return list(found)
        return list(deque(self._between(after, until), maxlen=count))

    def _between(self, after: int, until: int) -> Iterator[int]:
        tick = self.next_after(after)
        while tick is not None and tick <= until:
            yield tick
            tick = self.next_after(tick)

    def _ticks(self, wall: datetime) -> list[int]:
        """Return the moments at which clocks show a time: none in a gap, two only for a rhythm in a fold."""
        first = wall.replace(tzinfo=self.zone).astimezone(UTC)
        if first.astimezone(self.zone).replace(tzinfo=None) != wall:
            return []
        moments = [first]
        if self.cron.is_hourly:
            second = wall.replace(tzinfo=self.zone, fold=1).astimezone(UTC)
            moments += [second] if second != first else []
        return [(moment - _EPOCH) // _MS for moment in moments]

    def _repeated(self, moment: int) -> timedelta:
        """Return how far clocks go back in the day to come: so far back there may be ticks yet to come."""
        if not self.cron.is_hourly:
            return timedelta()
        back = self._offset(moment) - self._offset(moment + _DAY_MS)
        return max(back, timedelta())

    def _offset(self, moment: int) -> timedelta:
        return self._wall(moment) - (_EPOCH + moment * _MS).replace(tzinfo=None)

    def _wall(self, moment: int) -> datetime:
        return (_EPOCH + moment * _MS).astimezone(self.zone).replace(tzinfo=None)


def every(value: Duration) -> Interval:
    """Return the timetable of an interval of at least a second.

    Raises:
        InvalidScheduleError: it is no duration, or too short or too long.
    """
    hint = 'write it like every="30s", every="5m" or every="1h"'
    try:
        ms = duration.parse_ms(value)
    except InvalidDurationError as error:
        raise InvalidScheduleError(error.what, code="INVALID_INTERVAL", hint=hint) from None
    if not _SHORTEST_MS <= ms <= _LONGEST_MS:
        raise InvalidScheduleError(
            f"{duration.describe(ms)} is not an interval",
            code="INVALID_INTERVAL",
            because="an interval is between one second and 366 days",
            hint=hint,
        )
    return Interval(ms)


@cache
def zone(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name.

    Raises:
        InvalidScheduleError: there is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise InvalidScheduleError(
            f"there is no time zone {name!r}",
            code="INVALID_TIMEZONE",
            hint='use an IANA name like "Europe/Berlin" or "UTC"; '
            "`trigger schedules timezones` lists them",
        ) from None


@cache
def zones() -> list[str]:
    """Return the IANA names of all time zones, UTC first."""
    return ["UTC", *sorted(available_timezones() - {"UTC", "Factory", "localtime"})]


def read(expression: str, timezone: str = "UTC") -> Timetable:
    """Read five fields, a macro, or ``@every`` and a duration.

    Raises:
        InvalidScheduleError: the expression or the zone cannot be, or the time never comes in the zone.
    """
    where = zone(timezone)
    word, _, rest = expression.strip().partition(" ")
    if word.lower() == EVERY:
        return every(rest)
    timetable = CronTimetable(cron.parse(expression), where)
    if timetable.next_after(_ANY_MOMENT) is None:
        raise InvalidScheduleError(
            f"{expression!r} never comes in {timezone}",
            code="INVALID_CRON",
            because="clocks there always skip that time",
            hint="choose another time of day",
        )
    return timetable


def expression(cron: str | None, every: str | None) -> str:
    """Return the one text for what may be written as ``cron`` or as ``every``.

    Raises:
        InvalidScheduleError: both are given, or neither.
    """
    if (cron is None) == (every is None):
        raise InvalidScheduleError(
            "a schedule has either a cron expression or an interval",
            because="neither is given" if cron is None else "both are given",
            hint='give cron="0 9 * * 1-5" or every="30s"',
        )
    return cron.strip() if cron is not None else f"{EVERY} {every}"


def upcoming(timetable: Timetable, after: int, count: int) -> list[int]:
    """Return the next ``count`` ticks after a moment, fewer if there are no more."""

    def ticks() -> Iterator[int]:
        tick = timetable.next_after(after)
        while tick is not None:
            yield tick
            tick = timetable.next_after(tick)

    return list(islice(ticks(), count))
