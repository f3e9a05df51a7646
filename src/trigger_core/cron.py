"""Cron expressions: five fields, checked field by field, as the wall-clock times they name.

| written | means |
|---|---|
| ``*``, ``5``, ``1-5``, ``1,15``, ``*/10``, ``10-40/5`` | any, one, a range, a list, steps |
| ``JAN``…``DEC``, ``SUN``…``SAT`` | names, in either case; Sunday is also 0 and 7 |
| ``L``, ``LW`` (day of month) | the last day, the last working day of the month |
| ``5L``, ``1#2`` (day of week) | the last Friday, the second Monday of the month |
| ``?`` (either day) | the same as ``*`` |
| ``@hourly @daily @midnight @weekly @monthly @yearly @annually`` | what they say |

When both days are restricted, a date that fits either is meant; ``*/2`` is a restriction. Reading and
stepping are cronsim's (ADR 6); time zones are not known here (:mod:`trigger_core.timetable`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from cronsim import CronSim, CronSimError

from trigger_core.errors import InvalidScheduleError

__all__ = ["Cron", "parse"]

_HORIZON_YEARS = 50
_ANY_DAY = datetime(2000, 1, 1)  # noqa: DTZ001 - a wall-clock time has no zone
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_STAR = re.compile(r"\*(?:/(\d+))?\Z")


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    example: str
    is_day: bool = False

    def alone(self, text: str) -> str:
        """Return an expression in which only this field says something."""
        return " ".join(text if field is self else "*" for field in _FIELDS)

    def normal(self, text: str) -> str:
        """Write a star by itself as ``*``, and steps over a day field as a range: they restrict it."""
        terms = text.split(",")
        if any(_is_any(term) for term in terms) or (self.is_day and text == "?"):
            return "*"
        return ",".join(self._restriction(term) for term in terms) if self.is_day else text

    def _restriction(self, term: str) -> str:
        match = _STAR.match(term)
        return f"{self.low}-{self.high}/{match[1]}" if match else term


_FIELDS = (
    _Field("minute", 0, 59, "0, */15 or 0,30"),
    _Field("hour", 0, 23, "9, */2 or 9-17"),
    _Field("day of month", 1, 31, "1, 1,15 or L", is_day=True),
    _Field("month", 1, 12, "1, JAN or */3"),
    _Field("day of week", 0, 6, "1-5, MON, 5L or 1#2", is_day=True),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """An expression that is right.

    Attributes:
        text: as it was written.
        normal: the five fields, macros replaced.
        is_hourly: whether the hour is left open, so that it names a rhythm and not a time of day.
    """

    text: str
    normal: str
    is_hourly: bool

    def walls_after(self, wall: datetime) -> Iterator[datetime]:
        """Yield the wall-clock times (without zone) after one, for the next fifty years."""
        last = wall.year + _HORIZON_YEARS
        for found in CronSim(self.normal, wall):
            if found.year > last:
                return
            yield found

    def describe(self) -> str:
        """Say in words when that is."""
        return CronSim(self.normal, _ANY_DAY).explain()


def parse(text: str) -> Cron:
    """Read an expression.

    Raises:
        InvalidScheduleError: it is none; names the field, and says what it may be.
    """
    fields = _MACROS.get(text.strip().lower(), text).upper().split()
    if len(fields) != len(_FIELDS):
        raise _wrong_count(text, len(fields))
    for field, written in zip(_FIELDS, fields, strict=True):
        _check(text, field, written)
    normal = [field.normal(written) for field, written in zip(_FIELDS, fields, strict=True)]
    cron = Cron(" ".join(text.split()), " ".join(normal), is_hourly=normal[1] == "*")
    try:
        next(cron.walls_after(_ANY_DAY))
    except (CronSimError, StopIteration):
        raise _invalid(text, "no month has such a day", "choose a day the month has") from None
    return cron


def _is_any(term: str) -> bool:
    match = _STAR.match(term)
    return match is not None and match[1] in {None, "1"}


def _check(text: str, field: _Field, written: str) -> None:
    fits = f"{field.name}: {field.low} to {field.high}, for example {field.example}"
    try:
        CronSim(field.alone(field.normal(written)), _ANY_DAY)
    except CronSimError:
        raise _invalid(text, f"{written!r} is no {field.name}", fits) from None
    size = field.high - field.low + 1
    for step in re.findall(r"/(\d+)", written):
        if int(step) > size:
            raise _invalid(text, f"the step {step} is larger than the {field.name} field", fits)


def _wrong_count(text: str, count: int) -> InvalidScheduleError:
    if not text.strip():
        return _invalid(text, "it is empty", 'write five fields, for example "0 9 * * 1-5"')
    if text.strip().startswith("@"):
        return _invalid(text, "there is no such macro", f"the macros are {', '.join(_MACROS)}")
    hint = "the fields are minute, hour, day of month, month, day of week"
    if count == len(_FIELDS) + 1:
        hint += '; there is no field for seconds, use every="30s" for short intervals'
    return _invalid(text, f"it has {count} fields and not five", hint)


def _invalid(text: str, because: str, hint: str) -> InvalidScheduleError:
    return InvalidScheduleError(
        f"{text!r} is not a cron expression", code="INVALID_CRON", because=because, hint=hint
    )
