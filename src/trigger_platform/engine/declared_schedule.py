"""Schedules that code declares follow the current version: they come, change and go with it (SCH-002)."""

from __future__ import annotations

import json

from trigger_core import ids, timetable
from trigger_core.errors import InvalidScheduleError, UsageError
from trigger_core.schemas.schedules import ScheduleDeclaration
from trigger_platform.engine import language, schedule, schedule_instance
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, ScheduleInstanceRow, ScheduleRow, TaskRow

__all__ = ["sync"]


def sync(u: Unit, environment: EnvironmentRow, worker_id: str) -> None:
    """Make the declared schedules of an environment those of a version; the others are left alone.

    Those of another language's current version stay too.

    What stood still, because the environment was archived meanwhile, goes on (behaviour 224).

    Raises:
        UsageError: a declaration cannot be; names the task.
    """
    tasks = u.tx.all("read_tasks", TaskRow, worker_id=worker_id)
    wanted = {}
    for task in tasks:
        declared = _declared(environment, task)
        if declared is not None:
            wanted[schedule.DECLARED + task.task] = _save(u, environment, task, declared)
    kept = wanted.keys() | _of_other_languages(u, environment, worker_id)
    for known in u.tx.all("schedules_declared", ScheduleRow, environment_id=environment.id):
        if known.deduplication_key not in kept:
            schedule.delete(u, environment, known.id)
    _recover(u, environment)


def _of_other_languages(u: Unit, environment: EnvironmentRow, worker_id: str) -> set[str]:
    if not environment.is_mixed:
        return set()
    return {
        schedule.DECLARED + task.task
        for other in language.others(u, environment, worker_id)
        for task in u.tx.all("read_tasks", TaskRow, worker_id=other)
        if _declared(environment, task) is not None
    }


def _declared(environment: EnvironmentRow, task: TaskRow) -> ScheduleDeclaration | None:
    if task.schedule is None:
        return None
    declared = ScheduleDeclaration.model_validate(json.loads(task.schedule))
    here = declared.environments is None or environment.type in declared.environments
    return declared if here else None


def _save(
    u: Unit, environment: EnvironmentRow, task: TaskRow, declared: ScheduleDeclaration
) -> ScheduleRow:
    try:
        return schedule.save(u, environment, _row(u, environment, task, declared))
    except InvalidScheduleError as error:
        raise UsageError(
            f"the schedule of task {task.task} cannot be: {error.what}",
            code=error.code,
            because=error.because,
            at=f"{task.file_path}:{task.line}" if task.line else task.file_path,
            hint=error.hint,
        ) from error


def _row(
    u: Unit, environment: EnvironmentRow, task: TaskRow, declared: ScheduleDeclaration
) -> ScheduleRow:
    return ScheduleRow(
        id=ids.schedule_id(u.now, u.rng),
        project_id=environment.project_id,
        environment_id=environment.id,
        type="DECLARATIVE",
        task=task.task,
        deduplication_key=schedule.DECLARED + task.task,
        is_user_key=0,
        expression=timetable.expression(declared.cron, declared.every),
        timezone=declared.timezone,
        spread=declared.window,
        catch_up=declared.catch_up,
        external_id=None,
        active=1,
        created_at=u.now,
        updated_at=u.now,
    )


def _recover(u: Unit, environment: EnvironmentRow) -> None:
    """Set the next tick of every schedule here that has none; those that wait are left alone."""
    stopped = u.tx.all(
        "schedule_instances_stopped", ScheduleInstanceRow, environment_id=environment.id
    )
    for instance in stopped:
        known = u.tx.one("schedule_by_id", ScheduleRow, id=instance.schedule_id)
        schedule_instance.arm(u, environment, known)
