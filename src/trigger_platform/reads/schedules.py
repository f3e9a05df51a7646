"""Schedules as the API shows them: one with its environments, pages of them, their ticks to come."""

from __future__ import annotations

from dataclasses import dataclass

from trigger_platform.engine import schedule, tick, user
from trigger_platform.engine.tick import Tick
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, ScheduleInstanceRow, ScheduleRow

__all__ = ["FullSchedule", "SchedulePageRows", "full", "one", "page", "upcoming"]


@dataclass(frozen=True, slots=True)
class FullSchedule:
    """A schedule as it stands in one environment, and all that it fires in, each with whose it is."""

    schedule: ScheduleRow
    instance: ScheduleInstanceRow | None
    environments: list[tuple[EnvironmentRow, str | None]]


@dataclass(frozen=True, slots=True)
class SchedulePageRows:
    """A page, counted from 1, and how many schedules there are in all."""

    schedules: list[FullSchedule]
    number: int
    size: int
    count: int


def one(u: Unit, environment: EnvironmentRow, ref: str) -> FullSchedule:
    """Return a schedule by its id, its key or the task that declares it.

    Raises:
        NotFoundError: the environment has no such schedule.
    """
    return full(u, environment, schedule.find(u, environment, ref))


def full(u: Unit, environment: EnvironmentRow, row: ScheduleRow) -> FullSchedule:
    """Return a schedule with what belongs to it."""
    instances = u.tx.all("schedule_instances_of", ScheduleInstanceRow, schedule_id=row.id)
    here = [one for one in instances if one.environment_id == environment.id]
    environments = [
        u.tx.one("environment_by_id", EnvironmentRow, id=one.environment_id) for one in instances
    ]
    owned = [(one, user.called(u, one.owner_id)) for one in environments]
    return FullSchedule(row, here[0] if here else None, owned)


def page(u: Unit, environment: EnvironmentRow, number: int, size: int) -> SchedulePageRows:
    """Return a page of schedules, oldest first; pages are counted from 1."""
    rows = u.tx.all(
        "schedules_page",
        ScheduleRow,
        environment_id=environment.id,
        limit=size,
        offset=(number - 1) * size,
    )
    count = u.tx.scalar("schedules_count", environment_id=environment.id)
    return SchedulePageRows([full(u, environment, row) for row in rows], number, size, count)


def upcoming(u: Unit, environment: EnvironmentRow, ref: str, count: int) -> list[Tick]:
    """Return the next ticks of a schedule, none while it waits for none; raises as :func:`one` does."""
    found = one(u, environment, ref)
    if found.instance is None or found.instance.next_nominal_at is None:
        return []
    rhythm = tick.rhythm(found.schedule, environment)
    ticks: list[Tick] = []
    following = rhythm.after(found.instance.next_nominal_at - 1)
    while following is not None and len(ticks) < count:
        ticks.append(following)
        following = rhythm.after(following.nominal)
    return ticks
