"""Tasks that run by themselves: declared in code with ``@schedules.task``, or created for each customer.

>>> from trigger_sdk import ScheduledPayload, schedules
>>> @schedules.task(cron="0 9 * * 1-5", timezone="Europe/Berlin")
... async def morning_report(payload: ScheduledPayload) -> None:
...     print(payload.timestamp, payload.last_timestamp)
>>> await schedules.create(
...     morning_report, cron="0 7 * * *", deduplication_key="user_1", external_id="user_1"
... )
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from trigger_core.duration import Duration
from trigger_sdk import _lazy
from trigger_sdk.context import Context
from trigger_sdk.schedule import CatchUp, Schedule, ScheduledPayload, every_text
from trigger_sdk.task import Task
from trigger_sdk.task import task as plain_task

if TYPE_CHECKING:
    from trigger_core.schemas.schedules import ScheduleDetail, Tick

__all__ = [
    "Schedule",
    "ScheduledPayload",
    "activate",
    "activate_sync",
    "create",
    "create_sync",
    "deactivate",
    "deactivate_sync",
    "delete",
    "delete_sync",
    "list",
    "list_sync",
    "retrieve",
    "retrieve_sync",
    "task",
    "timezones",
    "timezones_sync",
    "upcoming",
    "upcoming_sync",
    "update",
    "update_sync",
]

R = TypeVar("R")
Target = str | Task[..., Any]
"""A task or its id."""


class _Decorator(Protocol):
    """What ``@schedules.task(...)`` is."""

    @overload
    def __call__(self, fn: Callable[..., Awaitable[R]], /) -> Task[[ScheduledPayload], R]: ...
    @overload
    def __call__(self, fn: Callable[..., R], /) -> Task[[ScheduledPayload], R]: ...


def task(
    *,
    cron: str | Schedule | None = None,
    every: Duration | None = None,
    timezone: str = "UTC",
    environments: Sequence[str] | None = None,
    window: str | None = None,
    catch_up: CatchUp = "none",
    **options: Any,
) -> _Decorator:
    """Make a task of a function that takes a :class:`ScheduledPayload`, or nothing.

    Without ``cron`` and ``every`` it has no schedule of its own: :func:`create` makes some for it.

    Args:
        cron: a cron expression, or a :class:`Schedule` that says all of this.
        every: an interval instead.
        timezone: the IANA name of the zone its times are read in.
        environments: types of environments it is for; all unless given.
        window: over how long after a tick runs are spread.
        catch_up: which ticks are made up for when the platform was away.
        options: those of ``@task``.

    Raises:
        ConfigError: the expression, the interval, the zone, the window or an option cannot be.
    """
    schedule = None
    if isinstance(cron, Schedule):
        schedule = cron
    elif cron is not None or every is not None:
        schedule = Schedule(cron, every, timezone, environments, window, catch_up)

    def decorate(fn: Callable[..., Any]) -> Any:
        options.setdefault("schema", _schema(fn))
        made: Task[..., Any] = plain_task(**options)(fn)
        made.spec = replace(made.spec, is_scheduled=True, schedule=schedule)
        return made

    return decorate


async def create(
    target: Target,
    *,
    deduplication_key: str,
    cron: str | None = None,
    every: Duration | None = None,
    timezone: str = "UTC",
    external_id: str | None = None,
    window: str | None = None,
    catch_up: CatchUp = "none",
) -> ScheduleDetail:
    """Create a schedule of a scheduled task, or update the one with the key.

    Args:
        target: the task, or its id.
        deduplication_key: what the schedule is known by in this environment; calling again is safe.
        cron: a cron expression.
        every: an interval instead.
        timezone: an IANA name.
        external_id: given to each run, such as a customer's id.
        window: over how long after a tick runs are spread; see :class:`Schedule`.
        catch_up: which ticks are made up for when the platform was away.

    Raises:
        UnprocessableError: the environment has no such scheduled task.
        ApiError: the expression, the zone or the window cannot be.
    """
    fields = _fields(
        target,
        every,
        cron=cron,
        timezone=timezone,
        external_id=external_id,
        window=window,
        catch_up=catch_up,
    )
    return await _lazy.schedules()().create(fields | {"deduplication_key": deduplication_key})


def create_sync(
    target: Target,
    *,
    deduplication_key: str,
    cron: str | None = None,
    every: Duration | None = None,
    timezone: str = "UTC",
    external_id: str | None = None,
    window: str | None = None,
    catch_up: CatchUp = "none",
) -> ScheduleDetail:
    """Create a schedule, blocking; see :func:`create`."""
    fields = _fields(
        target,
        every,
        cron=cron,
        timezone=timezone,
        external_id=external_id,
        window=window,
        catch_up=catch_up,
    )
    return _lazy.schedules()().create_sync(fields | {"deduplication_key": deduplication_key})


async def update(
    schedule: str,
    target: Target,
    *,
    cron: str | None = None,
    every: Duration | None = None,
    timezone: str = "UTC",
    external_id: str | None = None,
    window: str | None = None,
    catch_up: CatchUp = "none",
) -> ScheduleDetail:
    """Say anew what a schedule (its id or key) is; what is not said is back at its default.

    Raises:
        NotFoundError: there is no such schedule.
        UnprocessableError: it is declared in code.
    """
    fields = _fields(
        target,
        every,
        cron=cron,
        timezone=timezone,
        external_id=external_id,
        window=window,
        catch_up=catch_up,
    )
    return await _lazy.schedules()().update(schedule, fields)


def update_sync(
    schedule: str,
    target: Target,
    *,
    cron: str | None = None,
    every: Duration | None = None,
    timezone: str = "UTC",
    external_id: str | None = None,
    window: str | None = None,
    catch_up: CatchUp = "none",
) -> ScheduleDetail:
    """Say anew what a schedule is, blocking; see :func:`update`."""
    fields = _fields(
        target,
        every,
        cron=cron,
        timezone=timezone,
        external_id=external_id,
        window=window,
        catch_up=catch_up,
    )
    return _lazy.schedules()().update_sync(schedule, fields)


async def retrieve(schedule: str) -> ScheduleDetail:
    """Read a schedule by its id, its key, or the id of the task that declares it.

    Raises:
        NotFoundError: there is no such schedule.
    """
    return await _lazy.schedules()().read(schedule)


def retrieve_sync(schedule: str) -> ScheduleDetail:
    """Read a schedule, blocking."""
    return _lazy.schedules()().read_sync(schedule)


async def list() -> AsyncIterator[ScheduleDetail]:  # noqa: A001 - the word users know
    """Go through the schedules, oldest first, page by page as needed."""
    async for schedule in _lazy.schedules()().list_all():
        yield schedule


def list_sync() -> Iterator[ScheduleDetail]:
    """Go through the schedules, oldest first, blocking."""
    yield from _lazy.schedules()().list_all_sync()


async def delete(schedule: str) -> None:
    """Remove a schedule; its runs stay. One that code declares comes back with the next version."""
    await _lazy.schedules()().delete(schedule)


def delete_sync(schedule: str) -> None:
    """Remove a schedule, blocking."""
    _lazy.schedules()().delete_sync(schedule)


async def activate(schedule: str) -> ScheduleDetail:
    """Let a schedule fire."""
    return await _lazy.schedules()().activate(schedule)


def activate_sync(schedule: str) -> ScheduleDetail:
    """Let a schedule fire, blocking."""
    return _lazy.schedules()().activate_sync(schedule)


async def deactivate(schedule: str) -> ScheduleDetail:
    """Let a schedule pass its ticks by until it is activated."""
    return await _lazy.schedules()().deactivate(schedule)


def deactivate_sync(schedule: str) -> ScheduleDetail:
    """Let a schedule pass its ticks by, blocking."""
    return _lazy.schedules()().deactivate_sync(schedule)


async def upcoming(schedule: str, count: int = 10) -> Sequence[Tick]:
    """Read the next ticks of a schedule: the time each is named by, and when it fires."""
    return await _lazy.schedules()().upcoming(schedule, count)


def upcoming_sync(schedule: str, count: int = 10) -> Sequence[Tick]:
    """Read the next ticks of a schedule, blocking."""
    return _lazy.schedules()().upcoming_sync(schedule, count)


async def timezones(*, exclude_utc: bool = False) -> Sequence[str]:
    """Read the names of the time zones the platform knows."""
    return await _lazy.schedules()().timezones(exclude_utc=exclude_utc)


def timezones_sync(*, exclude_utc: bool = False) -> Sequence[str]:
    """Read the names of the time zones, blocking."""
    return _lazy.schedules()().timezones_sync(exclude_utc=exclude_utc)


def _fields(target: Target, every: Duration | None, **said: str | None) -> dict[str, Any]:
    task_id = target if isinstance(target, str) else target.id
    return {"task": task_id, "every": every_text(every), **said}


def _schema(fn: Callable[..., Any]) -> Any:
    """A parameter without annotation is the payload."""
    parameters = inspect.signature(fn).parameters.values()
    others = [one for one in parameters if one.annotation not in {Context, "Context"}]
    bare = len(others) == 1 and others[0].annotation is inspect.Parameter.empty
    return ScheduledPayload if bare else None
