"""Schedules made through the API: create or update by a key, switch, remove (engine section 5, protocol A.9).

A deduplication key counts within the environment whose key made the call. (In the original it counts in the
whole project, so that code run in development changes the schedule of production.)
"""

from __future__ import annotations

import secrets
from dataclasses import replace

from trigger_core import ids, spread, timetable
from trigger_core.errors import InvalidScheduleError, NotFoundError, UnprocessableError
from trigger_core.schemas.schedules import CreateSchedule, UpdateSchedule
from trigger_platform.engine import language, schedule_instance
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, ScheduleRow, as_params

__all__ = ["DECLARED", "activate", "create", "delete", "find", "save", "update"]

DECLARED = "declared:"
"""What the key of a schedule that code declares begins with; the task's id follows."""


def create(u: Unit, environment: EnvironmentRow, request: CreateSchedule) -> ScheduleRow:
    """Create a schedule, or update the one that has the key; without a key each call makes another.

    Raises:
        InvalidScheduleError: cron, interval, zone or window cannot be.
        UnprocessableError: the environment has no such scheduled task.
    """
    key = request.deduplication_key or secrets.token_hex(16)
    fresh = ScheduleRow(
        id=ids.schedule_id(u.now, u.rng),
        project_id=environment.project_id,
        environment_id=environment.id,
        type="IMPERATIVE",
        task=request.task,
        deduplication_key=key,
        is_user_key=1 if request.deduplication_key else 0,
        expression=timetable.expression(request.cron, request.every),
        timezone=request.timezone,
        spread=request.window,
        catch_up=request.catch_up,
        external_id=request.external_id,
        active=1,
        created_at=u.now,
        updated_at=u.now,
    )
    _check_task(u, environment, request.task)
    return save(u, environment, fresh)


def update(u: Unit, environment: EnvironmentRow, ref: str, request: UpdateSchedule) -> ScheduleRow:
    """Say anew what a schedule is; its id and key stay.

    Raises:
        NotFoundError: there is no such schedule.
        InvalidScheduleError: cron, interval, zone or window cannot be.
        UnprocessableError: code declares it, or the environment has no such scheduled task.
    """
    known = find(u, environment, ref)
    if known.type == "DECLARATIVE":
        raise UnprocessableError(
            f"schedule {known.id} is declared in code",
            status=422,
            code="SCHEDULE_DECLARED",
            hint=f"change the decorator of task {known.task}",
        )
    _check_task(u, environment, request.task)
    wanted = replace(
        known,
        task=request.task,
        expression=timetable.expression(request.cron, request.every),
        timezone=request.timezone,
        spread=request.window,
        catch_up=request.catch_up,
        external_id=request.external_id,
    )
    return save(u, environment, wanted)


def save(u: Unit, environment: EnvironmentRow, wanted: ScheduleRow) -> ScheduleRow:
    """Write a schedule whether or not its key is known; its next tick is set anew if its times changed.

    Raises:
        InvalidScheduleError: cron, interval, zone or window cannot be.
    """
    check(wanted)
    if u.tx.run("schedule_insert", **as_params(wanted)):
        schedule_instance.arm(u, environment, wanted)
        return wanted
    known = u.tx.one(
        "schedule_by_key",
        ScheduleRow,
        environment_id=wanted.environment_id,
        deduplication_key=wanted.deduplication_key,
    )
    u.tx.run("schedule_update", **as_params(replace(wanted, id=known.id, updated_at=u.now)))
    changed = u.tx.one("schedule_by_id", ScheduleRow, id=known.id)
    if _times(changed) != _times(known):
        schedule_instance.arm(u, environment, changed)
    return changed


def activate(u: Unit, environment: EnvironmentRow, ref: str, *, active: bool) -> ScheduleRow:
    """Let a schedule fire, or pass its ticks by; raises as :func:`find` does."""
    known = find(u, environment, ref)
    u.tx.run("schedule_activate", id=known.id, active=1 if active else 0, now=u.now)
    return replace(known, active=1 if active else 0, updated_at=u.now)


def delete(u: Unit, environment: EnvironmentRow, ref: str) -> ScheduleRow:
    """Remove a schedule; its runs stay. One that code declares comes back with the next version."""
    known = find(u, environment, ref)
    u.tx.run("schedule_instances_delete", schedule_id=known.id)
    u.tx.run("schedule_delete", id=known.id)
    return known


def find(u: Unit, environment: EnvironmentRow, ref: str) -> ScheduleRow:
    """Return a schedule by its id (``sched_…``), its key, or the task that declares it.

    Raises:
        NotFoundError: the environment has no such schedule.
    """
    if ref.startswith("sched_"):
        found = u.tx.maybe(
            "schedule_of_environment", ScheduleRow, id=ref, environment_id=environment.id
        )
    else:
        found = _by_key(u, environment, ref) or _by_key(u, environment, DECLARED + ref)
    if found is None:
        raise NotFoundError(
            "Schedule not found",
            status=404,
            code="SCHEDULE_NOT_FOUND",
            because=f"this environment has no schedule {ref}",
            hint="`trigger schedules list` shows them",
        )
    return found


def check(wanted: ScheduleRow) -> None:
    """Refuse a schedule that could not fire.

    Raises:
        InvalidScheduleError: cron, interval, zone or window cannot be.
    """
    timetable.read(wanted.expression, wanted.timezone)
    if wanted.spread is not None:
        spread.parse(wanted.spread)
    if wanted.deduplication_key.startswith(DECLARED) and wanted.type != "DECLARATIVE":
        raise InvalidScheduleError(
            f"a key may not begin with {DECLARED!r}",
            hint="schedules that code declares have such keys",
        )


def _by_key(u: Unit, environment: EnvironmentRow, key: str) -> ScheduleRow | None:
    return u.tx.maybe(
        "schedule_by_key", ScheduleRow, environment_id=environment.id, deduplication_key=key
    )


def _times(schedule: ScheduleRow) -> tuple[str, str, str | None]:
    return schedule.expression, schedule.timezone, schedule.spread


def _check_task(u: Unit, environment: EnvironmentRow, task: str) -> None:
    found = language.home(u, environment, task)
    if found is None:
        raise UnprocessableError(
            f"the current version has no task {task}",
            status=422,
            code="SCHEDULE_TASK_UNKNOWN",
            hint="start `trigger dev` or deploy the version that has it",
        )
    if found.trigger_source != "SCHEDULE":
        raise UnprocessableError(
            f"task {task} is no scheduled task",
            status=422,
            code="TASK_NOT_SCHEDULED",
            hint="declare it with @schedules.task instead of @task",
        )
