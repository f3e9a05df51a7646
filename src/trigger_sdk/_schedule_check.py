"""Refusing a declared schedule that the platform would refuse; loaded when the first one is declared."""

from __future__ import annotations

from trigger_core import spread, timetable

__all__ = ["check"]


def check(cron: str | None, every: str | None, timezone: str, window: str | None) -> None:
    """Read everything once.

    Raises:
        InvalidScheduleError: one of them cannot be.
    """
    timetable.read(timetable.expression(cron, every), timezone)
    if window is not None:
        spread.parse(window)
