"""Waiting inside a task: the run gives its slot back and its process sleeps until the platform wakes it."""

from __future__ import annotations

from datetime import datetime, timedelta

from trigger_core import duration
from trigger_core.clock import SystemClock
from trigger_core.duration import Duration
from trigger_sdk._host import RunHost, current_run
from trigger_sdk.errors import TriggerError

__all__ = ["for_", "for_sync", "until", "until_sync"]

_clock = SystemClock()


async def for_(
    length: Duration | None = None,
    /,
    *,
    seconds: float = 0,
    minutes: float = 0,
    hours: float = 0,
    days: float = 0,
) -> None:
    """Wait for a while: ``wait.for_("1h30m")`` or ``wait.for_(minutes=5)``.

    Raises:
        TriggerError: the code does not execute in a run.
        InvalidDurationError: the length cannot be read.
    """
    await _host().wait_until(_after(length, timedelta(days, seconds, 0, 0, minutes, hours)))


def for_sync(
    length: Duration | None = None,
    /,
    *,
    seconds: float = 0,
    minutes: float = 0,
    hours: float = 0,
    days: float = 0,
) -> None:
    """Wait like :func:`for_` in a task that is not ``async``."""
    _host().wait_until_sync(_after(length, timedelta(days, seconds, 0, 0, minutes, hours)))


async def until(moment: datetime | str) -> None:
    """Wait until a moment: an aware ``datetime`` or an ISO 8601 text. One that has passed does not wait."""
    await _host().wait_until(duration.resolve_delay(moment, _clock.now()))


def until_sync(moment: datetime | str) -> None:
    """Wait like :func:`until` in a task that is not ``async``."""
    _host().wait_until_sync(duration.resolve_delay(moment, _clock.now()))


def _after(length: Duration | None, named: timedelta) -> int:
    return _clock.now() + duration.parse_ms(named if length is None else length)


def _host() -> RunHost:
    active = current_run.get()
    if active is None:
        raise TriggerError(
            "there is no run to wait in",
            code="NOT_IN_A_RUN",
            hint="call wait inside a task; in a plain call of the function use asyncio.sleep",
        )
    return active.host
