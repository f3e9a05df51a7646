"""Schedules on the wire (protocol A.9, D.5).

An interval is a cron expression of the form ``@every 30s``, so that clients that know only cron can read and
write it; ``every`` is the same in a field of its own, an addition of ours.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field, StringConstraints

from trigger_core.schemas.base import WireModel

__all__ = [
    "CatchUp",
    "CreateSchedule",
    "DeletedSchedule",
    "NextTicks",
    "ScheduleDeclaration",
    "ScheduleDetail",
    "ScheduleEnvironment",
    "ScheduleGenerator",
    "SchedulePage",
    "SchedulePages",
    "SkippedTick",
    "Tick",
    "Timezones",
    "UpdateSchedule",
]

CatchUp: TypeAlias = Literal["none", "last", "all"]
"""Which ticks are made up for when the platform was away: none, the last one, or all (the last hundred)."""

Key = Annotated[str, StringConstraints(min_length=1, max_length=2048)]


class _When(WireModel):
    """What every description of a schedule says."""

    cron: str | None = None
    every: str | None = None
    timezone: str = "UTC"
    window: str | None = None
    catch_up: CatchUp = "none"


class ScheduleDeclaration(_When):
    """A schedule as code declares it; ``environments`` are types such as ``PRODUCTION``, all if absent."""

    environments: list[str] | None = None


class UpdateSchedule(_When):
    """The body of ``PUT /api/v1/schedules/{id}``: it replaces all that was said before."""

    task: str
    external_id: str | None = None


class CreateSchedule(UpdateSchedule):
    """The body of ``POST /api/v1/schedules``; with a key that is known the schedule is updated."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "task": "nightly",
                    "cron": "0 3 * * *",
                    "timezone": "Europe/Berlin",
                    "deduplicationKey": "nightly",
                }
            ]
        }
    )

    deduplication_key: Key | None = None


class ScheduleGenerator(WireModel):
    """What the ticks come from; ``description`` says it in words."""

    type: Literal["CRON"] = "CRON"
    expression: str
    description: str


class ScheduleEnvironment(WireModel):
    """An environment the schedule fires in; ``userName`` is whose it is, if it is one of development."""

    id: str
    type: str
    user_name: str | None = None


class SkippedTick(WireModel):
    """A tick that made no run."""

    timestamp: str
    reason: str


class ScheduleDetail(WireModel):
    """A schedule as it is.

    ``nextRun`` is the nominal time, ``nextRunEffectiveAt`` when it fires; both are absent while it is not
    active. ``catchUp``, ``lastRun`` and ``lastSkipped`` are additions of ours.
    """

    id: str
    type: Literal["DECLARATIVE", "IMPERATIVE"]
    task: str
    active: bool
    deduplication_key: str | None = None
    external_id: str | None = None
    generator: ScheduleGenerator
    timezone: str
    window: str | None = None
    catch_up: CatchUp = "none"
    next_run: str | None = None
    next_run_effective_at: str | None = None
    last_run: str | None = None
    last_skipped: SkippedTick | None = None
    environments: list[ScheduleEnvironment]


class SchedulePages(WireModel):
    """Where a page stands."""

    current_page: int
    total_pages: int
    count: int


class SchedulePage(WireModel):
    """The answer of ``GET /api/v1/schedules``, oldest first."""

    data: list[ScheduleDetail]
    pagination: SchedulePages


class DeletedSchedule(WireModel):
    """The answer to a delete."""

    id: str


class Tick(WireModel):
    """A tick to come: the time it is named by, and when it fires."""

    timestamp: str
    effective_at: str


class NextTicks(WireModel):
    """The answer of ``GET /api/v1/schedules/{id}/next``, an addition of ours."""

    data: list[Tick]


class Timezones(WireModel):
    """The answer of ``GET /api/v1/timezones``."""

    timezones: list[str] = Field(description="IANA names, UTC first.")
