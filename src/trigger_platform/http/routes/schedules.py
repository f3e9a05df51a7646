"""Schedules (protocol A.9), their ticks to come, and the time zones there are."""

from __future__ import annotations

from trigger_core import timetable
from trigger_core.schemas.schedules import (
    CreateSchedule,
    DeletedSchedule,
    NextTicks,
    ScheduleDetail,
    SchedulePage,
    Timezones,
    UpdateSchedule,
)
from trigger_platform.engine import schedule
from trigger_platform.engine.unit import Unit
from trigger_platform.http import present_schedules as present
from trigger_platform.http import query
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint
from trigger_platform.http.parameter import flag, integer
from trigger_platform.reads import schedules as reads
from trigger_platform.reads.schedules import FullSchedule
from trigger_platform.store.rows import EnvironmentRow

__all__ = [
    "activate_schedule",
    "create_schedule",
    "deactivate_schedule",
    "delete_schedule",
    "list_schedules",
    "list_timezones",
    "next_ticks",
    "retrieve_schedule",
    "update_schedule",
]

_ONE = "/api/v1/schedules/{schedule:path}"


@endpoint(
    "POST",
    "/api/v1/schedules",
    access=Access.SCHEDULE_WRITER,
    body=CreateSchedule,
    returns=ScheduleDetail,
)
async def create_schedule(call: Incoming[CreateSchedule]) -> ScheduleDetail:
    """Create a schedule, or update the one that has the deduplication key."""

    def work(u: Unit, environment: EnvironmentRow) -> ScheduleDetail:
        made = schedule.create(u, environment, call.body)
        return present.schedule(reads.full(u, environment, made))

    return await call.once(ScheduleDetail, work)


@endpoint(
    "GET",
    "/api/v1/schedules",
    access=Access.SCHEDULE_READER,
    returns=SchedulePage,
    query=query.NUMBERED,
)
async def list_schedules(call: Incoming[None]) -> SchedulePage:
    """List schedules, oldest first."""
    number = call.number("page", 1, low=1, high=1_000_000)
    size = min(100, call.number("perPage", 20, low=1, high=10**9))
    return present.schedule_page(
        await call.server.read(reads.page, call.environment_id, number, size)
    )


@endpoint("GET", _ONE, access=Access.SCHEDULE_READER, returns=ScheduleDetail)
async def retrieve_schedule(call: Incoming[None]) -> ScheduleDetail:
    """Read one schedule, by its id or its deduplication key."""
    return present.schedule(
        await call.server.read(reads.one, call.environment_id, call.path("schedule"))
    )


@endpoint("PUT", _ONE, access=Access.SCHEDULE_WRITER, body=UpdateSchedule, returns=ScheduleDetail)
async def update_schedule(call: Incoming[UpdateSchedule]) -> ScheduleDetail:
    """Say anew what a schedule is."""

    def work(u: Unit, environment: EnvironmentRow) -> FullSchedule:
        changed = schedule.update(u, environment, call.path("schedule"), call.body)
        return reads.full(u, environment, changed)

    return present.schedule(await call.server.write(work, call.environment_id))


@endpoint("DELETE", _ONE, access=Access.SCHEDULE_WRITER, returns=DeletedSchedule)
async def delete_schedule(call: Incoming[None]) -> DeletedSchedule:
    """Remove a schedule; its runs stay."""
    return await call.once(DeletedSchedule, _delete, call.path("schedule"))


@endpoint("POST", f"{_ONE}/activate", access=Access.SCHEDULE_WRITER, returns=ScheduleDetail)
async def activate_schedule(call: Incoming[None]) -> ScheduleDetail:
    """Let a schedule fire."""
    return await _switch(call, active=True)


@endpoint("POST", f"{_ONE}/deactivate", access=Access.SCHEDULE_WRITER, returns=ScheduleDetail)
async def deactivate_schedule(call: Incoming[None]) -> ScheduleDetail:
    """Let a schedule pass its ticks by."""
    return await _switch(call, active=False)


@endpoint(
    "GET",
    f"{_ONE}/next",
    access=Access.SCHEDULE_READER,
    returns=NextTicks,
    query=(integer("count", low=1, high=100),),
)
async def next_ticks(call: Incoming[None]) -> NextTicks:
    """Show the ticks to come, nominal and effective (an addition of ours)."""
    count = call.number("count", 10, low=1, high=100)
    return present.next_ticks(
        await call.server.read(reads.upcoming, call.environment_id, call.path("schedule"), count)
    )


@endpoint(
    "GET", "/api/v1/timezones", access=Access.OPEN, returns=Timezones, query=(flag("excludeUtc"),)
)
async def list_timezones(call: Incoming[None]) -> Timezones:
    """List the names of time zones."""
    zones = timetable.zones()
    return Timezones(timezones=zones[1:] if call.query("excludeUtc") == "true" else zones)


def _delete(u: Unit, environment: EnvironmentRow, ref: str) -> DeletedSchedule:
    return DeletedSchedule(id=schedule.delete(u, environment, ref).id)


async def _switch(call: Incoming[None], *, active: bool) -> ScheduleDetail:
    def work(u: Unit, environment: EnvironmentRow) -> FullSchedule:
        changed = schedule.activate(u, environment, call.path("schedule"), active=active)
        return reads.full(u, environment, changed)

    return present.schedule(await call.server.write(work, call.environment_id))
