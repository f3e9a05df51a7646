"""Clocks that change: every transition of every zone, judged by a second library and by the clock itself.

Where croniter differs from us on purpose:

- A time of day in the gap: croniter moves it to the first moment after the gap; we skip it.
- A time of day in the fold: croniter comes to it in both passes; we count the first.
- A rhythm (``*/15 * * * *``): no difference, but for Lord Howe Island, whose clocks change by half an hour:
  croniter misses a tick there that the clock shows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest
from croniter import croniter

from trigger_core import timetable

HOUR_MS = 3_600_000
FROM, UNTIL = datetime(2024, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Transition:
    """A moment at which the clocks of a zone change by a number of ms."""

    zone: str
    at: int
    change: int


def _offset(zone: ZoneInfo, ms: int) -> int:
    found = datetime.fromtimestamp(ms / 1000, zone).utcoffset()
    assert found is not None
    return found // timedelta(milliseconds=1)


@cache
def transitions() -> list[Transition]:
    """Return the transitions of every zone; zones that share one are asked once for it."""
    found: dict[tuple[int, int, int], Transition] = {}
    start, end = (round(moment.timestamp() * 1000) for moment in (FROM, UNTIL))
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        for day in range(start, end, 24 * HOUR_MS):
            before, after = _offset(zone, day), _offset(zone, day + 24 * HOUR_MS)
            if before != after:
                at = _change(zone, day, day + 24 * HOUR_MS)
                found.setdefault((at, before, after), Transition(name, at, after - before))
    return list(found.values())


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    before = _offset(zone, low)
    while high - low > 1000:
        middle = (low + high) // 2000 * 1000
        low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
    return high


def ours(expression: str, zone: str, after: int, until: int) -> list[int]:
    return timetable.read(expression, zone).newest(after, until, 1000)


def theirs(expression: str, zone: str, after: int, until: int) -> list[int]:
    def walk() -> Iterator[int]:
        other = croniter(expression, datetime.fromtimestamp(after / 1000, ZoneInfo(zone)))
        while (tick := round(other.get_next(datetime).timestamp() * 1000)) <= until:
            yield tick

    return list(walk())


def clock(zone: str, ms: int) -> datetime:
    """Return what clocks show at a moment."""
    return datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)).replace(tzinfo=None)


def affected(transition: Transition) -> tuple[str, datetime, datetime]:
    """Return a time of day amid the gap or fold, as cron fields, and when that stretch begins and ends."""
    shown = clock(transition.zone, transition.at - 1) + timedelta(milliseconds=1)
    change = timedelta(milliseconds=transition.change)
    low, high = sorted([shown, shown + change])
    middle = low + (high - low) / 2
    return f"{middle.minute} {middle.hour} * * *", low, high


def test_there_are_transitions_to_test() -> None:
    """Of an hour, of half an hour, of two; forwards and back."""
    changes = {transition.change for transition in transitions()}

    assert len(transitions()) > 250
    assert {HOUR_MS, -HOUR_MS, HOUR_MS // 2, -HOUR_MS // 2, 2 * HOUR_MS, -2 * HOUR_MS} <= changes


def test_a_time_of_day_in_a_gap_is_skipped_in_every_zone() -> None:
    """Croniter moves it to the end of the gap; on every other day both agree."""
    for one in transitions():
        if one.change < 0:
            continue
        expression, low, high = affected(one)
        after, until = one.at - 60 * HOUR_MS, one.at + 60 * HOUR_MS
        found = ours(expression, one.zone, after, until)
        moved = set(theirs(expression, one.zone, after, until)) ^ set(found)

        assert not [tick for tick in found if low <= clock(one.zone, tick) < high], one
        assert all(one.at <= tick < one.at + one.change for tick in moved), one
        assert len(moved) == 1, one
        assert len(found) == 4, one


def test_a_time_of_day_in_a_fold_counts_once_in_every_zone() -> None:
    """The first pass; croniter counts the second too. On every other day both agree."""
    for one in transitions():
        if one.change > 0:
            continue
        expression, low, high = affected(one)
        after, until = one.at - 60 * HOUR_MS, one.at + 60 * HOUR_MS
        found = ours(expression, one.zone, after, until)
        twice = set(theirs(expression, one.zone, after, until)) ^ set(found)
        inside = [tick for tick in found if abs(tick - one.at) < 20 * HOUR_MS]

        assert all(one.at <= tick < one.at - one.change for tick in twice), one
        assert len(twice) == 1, one
        assert len(inside) == 1, one
        assert inside[0] < one.at, one
        assert low <= clock(one.zone, inside[0]) < high, one


@pytest.mark.parametrize("expression", ["*/20 * * * *", "7 * * * *"])
def test_a_rhythm_goes_on_through_every_transition(expression: str) -> None:
    """As the clock itself shows it, minute by minute."""
    minutes = {0, 20, 40} if expression.startswith("*/20") else {7}
    different = set()
    for one in transitions():
        after, until = one.at - 4 * HOUR_MS, one.at + 4 * HOUR_MS
        shown = [
            tick
            for tick in range(after + 60_000, until + 1, 60_000)
            if clock(one.zone, tick).minute in minutes
        ]

        assert ours(expression, one.zone, after, until) == shown, one
        if theirs(expression, one.zone, after, until) != shown:
            different.add(one.change)

    assert different <= {-HOUR_MS // 2}


@pytest.mark.behaviour(218)
def test_a_day_has_23_hours_in_spring_and_25_in_autumn() -> None:
    """Behaviour 218."""
    for month, hours in ((3, 23), (10, 25)):
        start = round(datetime(2026, month, 20, tzinfo=UTC).timestamp() * 1000)
        found = ours("0 9 * * *", "Europe/Berlin", start, start + 12 * 24 * HOUR_MS)
        gaps = {(later - earlier) // HOUR_MS for earlier, later in itertools.pairwise(found)}

        assert gaps == {24, hours}
