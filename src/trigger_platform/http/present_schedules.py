"""Schedules on the wire: moments as ISO text, keys only if a user chose them (protocol A.9)."""

from __future__ import annotations

from typing import Any

from trigger_core import clock, timetable
from trigger_core.schemas.runs import RunSchedule
from trigger_core.schemas.schedules import (
    NextTicks,
    ScheduleDetail,
    ScheduleGenerator,
    SchedulePage,
)
from trigger_platform.engine.tick import Tick
from trigger_platform.reads.schedules import FullSchedule, SchedulePageRows
from trigger_platform.store.rows import ScheduleInstanceRow, ScheduleRow

__all__ = ["next_ticks", "of_run", "schedule", "schedule_page"]


def schedule(found: FullSchedule) -> ScheduleDetail:
    """Return a schedule."""
    row = found.schedule
    fields: dict[str, Any] = {
        "id": row.id,
        "type": row.type,
        "task": row.task,
        "active": bool(row.active),
        "deduplication_key": _key(row),
        "external_id": row.external_id,
        "generator": _generator(row),
        "timezone": row.timezone,
        "window": row.spread,
        "catch_up": row.catch_up,
        "environments": [
            {"id": one.id, "type": one.type, "user_name": user} for one, user in found.environments
        ],
    }
    if found.instance is not None:
        fields |= _standing(found.instance, is_active=bool(row.active))
    return ScheduleDetail.model_validate(fields)


def schedule_page(rows: SchedulePageRows) -> SchedulePage:
    """Return a page of schedules."""
    pages = {
        "current_page": rows.number,
        "total_pages": max(1, -(-rows.count // rows.size)),
        "count": rows.count,
    }
    data = [schedule(one) for one in rows.schedules]
    return SchedulePage.model_validate({"data": data, "pagination": pages})


def of_run(row: ScheduleRow) -> RunSchedule:
    """Return the schedule of a run."""
    return RunSchedule(
        id=row.id,
        external_id=row.external_id,
        deduplication_key=_key(row),
        generator=_generator(row),
    )


def next_ticks(ticks: list[Tick]) -> NextTicks:
    """Return ticks to come."""
    return NextTicks.model_validate(
        {
            "data": [
                {"timestamp": clock.to_iso(one.nominal), "effective_at": clock.to_iso(one.fires_at)}
                for one in ticks
            ]
        }
    )


def _key(row: ScheduleRow) -> str | None:
    return row.deduplication_key if row.is_user_key else None


def _generator(row: ScheduleRow) -> ScheduleGenerator:
    table = timetable.read(row.expression, row.timezone)
    return ScheduleGenerator(expression=table.expression, description=table.describe())


def _standing(instance: ScheduleInstanceRow, *, is_active: bool) -> dict[str, Any]:
    skipped = instance.skipped_at
    return {
        "next_run": _iso(instance.next_nominal_at) if is_active else None,
        "next_run_effective_at": _iso(instance.next_fire_at) if is_active else None,
        "last_run": _iso(instance.last_nominal_at),
        "last_skipped": None
        if skipped is None
        else {"timestamp": clock.to_iso(skipped), "reason": instance.skip_reason},
    }


def _iso(ms: int | None) -> str | None:
    return None if ms is None else clock.to_iso(ms)
