"""Ticks of a schedule in an environment, nominal and effective: pure, no database (engine section 5)."""

from __future__ import annotations

from dataclasses import dataclass

from trigger_core import spread, timetable
from trigger_core.spread import Window
from trigger_core.timetable import Timetable
from trigger_platform.store.rows import EnvironmentRow, ScheduleRow

__all__ = ["GRACE_MS", "MOST_CAUGHT_UP", "Rhythm", "Tick", "chosen", "rhythm"]

MOST_CAUGHT_UP = 100
"""How many ticks the policy ``all`` makes up for at most; they are the newest."""

GRACE_MS = 60_000
"""A tick that comes to be fired within this time is on time: a restart of the platform misses nothing."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The moment a tick is named by, and the moment at which it fires (ms)."""

    nominal: int
    fires_at: int


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When a schedule fires in one environment."""

    timetable: Timetable
    window: Window
    phase: int

    def after(self, nominal: int) -> Tick | None:
        """Return the tick that follows a moment; chaining goes from nominal to nominal (behaviour 216)."""
        found = self.timetable.next_after(nominal)
        return None if found is None else self._tick(found)

    def due(self, since: int, now: int) -> list[Tick]:
        """Return the newest ticks from ``since`` on whose time to fire has come, oldest first."""
        nominals = self.timetable.newest(since - 1, now, MOST_CAUGHT_UP + 1)
        ticks = [self._tick(nominal) for nominal in nominals]
        return [tick for tick in ticks if tick.fires_at <= now][-MOST_CAUGHT_UP:]

    def first(self, after: int, now: int) -> Tick | None:
        """Return the tick to wait for: one whose window is still open, else the next.

        A tick exactly now counts (behaviour 217); none up to ``after`` does.
        """
        for nominal in self.timetable.newest(after, now, 1):
            tick = self._tick(nominal)
            if tick.fires_at >= now:
                return tick
        return self.after(max(after, now))

    def _tick(self, nominal: int) -> Tick:
        following = self.timetable.next_after(nominal)
        if following is None:
            return Tick(nominal, nominal)
        return Tick(nominal, nominal + self.window.offset(self.phase, following - nominal))


def rhythm(schedule: ScheduleRow, environment: EnvironmentRow) -> Rhythm:
    """Return when a schedule fires in an environment.

    Raises:
        InvalidScheduleError: its zone is known no more.
    """
    if schedule.spread is not None:
        window = spread.parse(schedule.spread)
    else:
        window = spread.OFF if environment.type == "DEVELOPMENT" else spread.DEFAULT
    return Rhythm(
        timetable.read(schedule.expression, schedule.timezone),
        window,
        spread.phase(environment.id, schedule.deduplication_key),
    )


def chosen(catch_up: str, due: list[Tick], now: int) -> list[Tick]:
    """Return the ticks to fire of those that are due; the others were missed."""
    if catch_up == "all":
        return due
    newest = due[-1:]
    return [tick for tick in newest if catch_up == "last" or now - tick.fires_at <= GRACE_MS]
