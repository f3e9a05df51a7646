"""Schedules (protocol A.9); each is named by its id or its deduplication key."""

from __future__ import annotations

from urllib.parse import quote

from trigger_core.api.call import Call, reading
from trigger_core.schemas.schedules import (
    CreateSchedule,
    DeletedSchedule,
    NextTicks,
    ScheduleDetail,
    SchedulePage,
    Timezones,
    UpdateSchedule,
)

__all__ = [
    "activate",
    "create",
    "deactivate",
    "delete",
    "list_page",
    "next_ticks",
    "retrieve",
    "timezones",
    "update",
]

_ALL = "/api/v1/schedules"


def create(request: CreateSchedule) -> Call[ScheduleDetail]:
    """Create a schedule, or update the one with the key; repeating it is safe only with a key."""
    return Call(
        "POST",
        _ALL,
        reading(ScheduleDetail),
        body=request.to_wire(),
        idempotent=request.deduplication_key is not None,
    )


def list_page(*, page: int = 1, size: int = 100) -> Call[SchedulePage]:
    """Read a page of schedules; pages are counted from 1."""
    params = {"page": str(page), "perPage": str(size)}
    return Call("GET", _ALL, reading(SchedulePage), params=params)


def retrieve(ref: str) -> Call[ScheduleDetail]:
    """Read a schedule."""
    return Call("GET", _one(ref), reading(ScheduleDetail))


def update(ref: str, request: UpdateSchedule) -> Call[ScheduleDetail]:
    """Say anew what a schedule is."""
    return Call("PUT", _one(ref), reading(ScheduleDetail), body=request.to_wire())


def delete(ref: str) -> Call[DeletedSchedule]:
    """Remove a schedule."""
    return Call("DELETE", _one(ref), reading(DeletedSchedule))


def activate(ref: str) -> Call[ScheduleDetail]:
    """Let a schedule fire."""
    return Call("POST", _one(ref, "/activate"), reading(ScheduleDetail))


def deactivate(ref: str) -> Call[ScheduleDetail]:
    """Let a schedule pass its ticks by."""
    return Call("POST", _one(ref, "/deactivate"), reading(ScheduleDetail))


def next_ticks(ref: str, *, count: int = 10) -> Call[NextTicks]:
    """Read the ticks to come."""
    return Call("GET", _one(ref, "/next"), reading(NextTicks), params={"count": str(count)})


def timezones(*, exclude_utc: bool = False) -> Call[Timezones]:
    """Read the names of time zones."""
    params = {"excludeUtc": "true"} if exclude_utc else {}
    return Call("GET", "/api/v1/timezones", reading(Timezones), params=params)


def _one(ref: str, suffix: str = "") -> str:
    return f"{_ALL}/{quote(ref, safe='')}{suffix}"
