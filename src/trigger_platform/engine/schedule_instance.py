"""A schedule in an environment: it waits for its next tick, fires, and goes on to the one after.

The next tick is a column. Firing moves it on by a conditional update and inserts the run in the same
transaction, nominal ticks only grow, and a unique index allows one run per instance and nominal tick: however
many servers sweep, whatever restarts, a tick makes at most one run (invariant I10, W25).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from trigger_core import clock, ids, superjson, timetable
from trigger_core.errors import InvalidScheduleError, TriggerError
from trigger_core.packet import SUPERJSON
from trigger_core.schemas.trigger import BatchItem, TriggerOptions
from trigger_platform.engine import language, tick
from trigger_platform.engine.new_run import Ticked
from trigger_platform.engine.tick import Rhythm, Tick
from trigger_platform.engine.trigger import Triggering
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import (
    EnvironmentRow,
    ScheduleInstanceRow,
    ScheduleRow,
    TaskRow,
    WorkerRow,
    as_params,
)

__all__ = ["PRESENT_MS", "UPCOMING", "arm", "is_served", "next_due", "sweep"]

PRESENT_MS = 15_000
"""A development worker that was heard of within this time is there (behaviour 222)."""

UPCOMING = 10
"""How many ticks to come a payload names."""

_AT_ONCE = 200


def arm(u: Unit, environment: EnvironmentRow, schedule: ScheduleRow) -> None:
    """Set the next tick of a schedule anew; a tick that fired never comes again.

    Raises:
        InvalidScheduleError: the expression or the zone cannot be.
    """
    rhythm = tick.rhythm(schedule, environment)
    u.insert("schedule_instance_insert", [_new(u, environment, schedule)])
    instance = u.tx.one(
        "schedule_instance_take",
        ScheduleInstanceRow,
        schedule_id=schedule.id,
        environment_id=environment.id,
    )
    pending = u.now if instance.next_nominal_at is None else instance.next_nominal_at
    after = max(instance.last_nominal_at or 0, min(u.now, pending) - 1)
    first = rhythm.first(after, u.now)
    u.tx.run(
        "schedule_instance_set_next",
        id=instance.id,
        next_nominal_at=first.nominal if first else None,
        next_fire_at=first.fires_at if first else None,
    )
    u.expect(first.fires_at if first else None)


def sweep(u: Unit) -> int:
    """Fire the schedules whose tick has come; return how many there were."""
    due = u.tx.all("schedule_instances_due", ScheduleInstanceRow, now=u.now, limit=_AT_ONCE)
    for instance in due:
        _come(u, instance)
    return len(due)


def next_due(u: Unit) -> int | None:
    """Return when the next tick comes."""
    moment: int | None = u.tx.scalar("schedule_next_due")
    return moment


def _come(u: Unit, instance: ScheduleInstanceRow) -> None:
    """A tick has come: fire it or say why not, and wait for the next."""
    schedule = u.tx.one("schedule_by_id", ScheduleRow, id=instance.schedule_id)
    environment = u.tx.one("environment_by_id", EnvironmentRow, id=instance.environment_id)
    if environment.archived_at is not None:
        _stop(u, instance, "the environment is archived")
        return
    try:
        rhythm = tick.rhythm(schedule, environment)
    except InvalidScheduleError as error:
        _stop(u, instance, error.what)
        return
    _fire(u, instance, schedule, environment, rhythm)


def _fire(
    u: Unit,
    instance: ScheduleInstanceRow,
    schedule: ScheduleRow,
    environment: EnvironmentRow,
    rhythm: Rhythm,
) -> None:
    assert instance.next_nominal_at is not None
    due = rhythm.due(instance.next_nominal_at, u.now)
    hindrance = _hindrance(u, environment, schedule)
    ticks = [] if hindrance else tick.chosen(schedule.catch_up, due, u.now)
    triggering = Triggering(u, environment, source="schedule")
    fired, refusal = _trigger(triggering, instance, schedule, rhythm, ticks)
    missed = [one.nominal for one in due if one.nominal not in fired]
    following = rhythm.after(due[-1].nominal if due else instance.next_nominal_at - 1)
    after = replace(
        instance,
        next_nominal_at=following.nominal if following else None,
        next_fire_at=following.fires_at if following else None,
        last_nominal_at=fired[-1] if fired else instance.last_nominal_at,
    )
    if missed:
        reason = hindrance or refusal or f"missed, {len(missed)} in all: the platform was away"
        after = replace(after, skipped_at=missed[-1], skip_reason=reason)
    if _advance(u, instance, after):
        triggering.write()


def _trigger(
    triggering: Triggering,
    instance: ScheduleInstanceRow,
    schedule: ScheduleRow,
    rhythm: Rhythm,
    ticks: Sequence[Tick],
) -> tuple[list[int], str | None]:
    """Decide the runs of ticks; return the ticks that have one, and why others have none (W26)."""
    fired: list[int] = []
    refusal = None
    last = instance.last_nominal_at
    for one in ticks:
        ticked = Ticked(schedule.id, instance.id, one.nominal)
        try:
            triggering.add(_item(schedule, rhythm, one, last), ticked=ticked)
        except TriggerError as error:
            refusal = error.what
            continue
        fired.append(last := one.nominal)
    return fired, refusal


def _advance(u: Unit, before: ScheduleInstanceRow, after: ScheduleInstanceRow) -> bool:
    """Wait for the following tick; ``False`` when another server has done all this already."""
    expected = before.next_nominal_at
    moved = u.tx.run("schedule_instance_advance", expected=expected, **as_params(after))
    if moved and after.skipped_at != before.skipped_at:
        u.emit(after.environment_id, "schedule.skipped", after.schedule_id, 0)
    return moved > 0


def _stop(u: Unit, instance: ScheduleInstanceRow, reason: str) -> None:
    """Wait for no tick: arming it anew (a registration does) lets it go on (behaviours 223, 224)."""
    stopped = replace(
        instance,
        next_nominal_at=None,
        next_fire_at=None,
        skipped_at=instance.next_nominal_at,
        skip_reason=reason,
    )
    _advance(u, instance, stopped)


def _hindrance(u: Unit, environment: EnvironmentRow, schedule: ScheduleRow) -> str | None:
    """Return why a tick makes no run now, if so."""
    if not schedule.active:
        return "the schedule is not active"
    task = language.home(u, environment, schedule.task)
    if environment.type == "DEVELOPMENT" and not _present(u, environment, task):
        return "no dev session was there"
    return None if task is not None else f"the current version has no task {schedule.task}"


def is_served(u: Unit, environment: EnvironmentRow) -> bool:
    """Tell whether a session is there that serves an environment."""
    return _present(u, environment, None)


def _present(u: Unit, environment: EnvironmentRow, task: TaskRow | None) -> bool:
    """Tell whether a session is there; where several languages are spoken, one that can execute the task."""
    if environment.is_mixed and task is not None:
        home = u.tx.one("worker_by_id", WorkerRow, id=task.worker_id)
        reads = int(home.language == "javascript")
        seen = u.tx.scalar("instance_newest_of", environment_id=environment.id, is_reader=reads)
    else:
        seen = u.tx.scalar("instance_newest", environment_id=environment.id)
    return seen is not None and u.now - seen <= PRESENT_MS


def _item(schedule: ScheduleRow, rhythm: Rhythm, one: Tick, last: int | None) -> BatchItem:
    upcoming = timetable.upcoming(rhythm.timetable, one.nominal, UPCOMING)
    payload = {
        "scheduleId": schedule.id,
        "type": schedule.type,
        "timestamp": clock.to_datetime(one.nominal),
        "lastTimestamp": None if last is None else clock.to_datetime(last),
        "externalId": schedule.external_id,
        "timezone": schedule.timezone,
        "upcoming": [clock.to_datetime(moment) for moment in upcoming],
    }
    given = {name: value for name, value in payload.items() if value is not None}
    options = TriggerOptions(payload_type=SUPERJSON)
    return BatchItem(task=schedule.task, payload=superjson.encode(given), options=options)


def _new(u: Unit, environment: EnvironmentRow, schedule: ScheduleRow) -> ScheduleInstanceRow:
    return ScheduleInstanceRow(
        id=ids.schedule_instance_id(u.now, u.rng),
        schedule_id=schedule.id,
        environment_id=environment.id,
        next_nominal_at=None,
        next_fire_at=None,
        last_nominal_at=None,
        skipped_at=None,
        skip_reason=None,
        created_at=u.now,
    )
