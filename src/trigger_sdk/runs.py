"""Runs as callers see them: handles, reads, waiting for the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypedDict, TypeVar, Unpack

from trigger_core import clock, duration
from trigger_core.duration import Duration, Moment
from trigger_sdk import _lazy

if TYPE_CHECKING:
    from trigger_core.schemas.runs import RunDetail, RunError, RunStatus, RunSummary

__all__ = [
    "BatchHandle",
    "Column",
    "Filters",
    "Run",
    "RunHandle",
    "cancel",
    "cancel_sync",
    "list",
    "list_sync",
    "poll",
    "poll_sync",
    "replay",
    "replay_sync",
    "reschedule",
    "reschedule_sync",
    "retrieve",
    "retrieve_sync",
    "subscribe",
    "subscribe_sync",
    "subscribe_with_tag",
    "subscribe_with_tag_sync",
]

R = TypeVar("R")
Names: TypeAlias = "str | Sequence[str]"
Column: TypeAlias = Literal["payload", "output", "metadata", "error"]
_SAME: Any = object()
_NAMES = frozenset({"status", "task", "version", "tag", "queue", "machine"})


class Filters(TypedDict, total=False):
    """Which runs :func:`list` goes through; several filters must all match.

    Names are one or several, of which any will do; the queue of a task is called ``task/<id>``. ``batch`` and
    ``schedule`` are ids. ``period`` is how far back to look (``"7d"``), instead of ``created_from``.
    """

    status: Names
    task: Names
    version: Names
    tag: Names
    queue: Names
    machine: Names
    batch: str | None
    schedule: str | None
    is_test: bool | None
    created_from: datetime | None
    created_to: datetime | None
    period: Duration | None


@dataclass(frozen=True, slots=True)
class RunHandle(Generic[R]):
    """A run that was triggered. ``public_access_token`` lets a browser read this run, for an hour."""

    id: str
    is_cached: bool
    public_access_token: str | None
    read_output: Callable[[Any], R]


@dataclass(frozen=True, slots=True)
class BatchHandle:
    """Runs that were triggered together, in the order of the items."""

    id: str
    run_count: int
    run_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Run(Generic[R]):
    """A run as it was when it was read.

    Attributes:
        detail: everything the platform says about it.
        output: what the task returned, typed if the task is known; ``None`` unless it succeeded.
    """

    detail: RunDetail
    output: R | None

    @property
    def id(self) -> str:
        """The run's id."""
        return self.detail.id

    @property
    def task(self) -> str:
        """The task's id."""
        return self.detail.task_identifier

    @property
    def status(self) -> RunStatus:
        """The status."""
        return self.detail.status

    @property
    def error(self) -> RunError | None:
        """Why it failed."""
        return self.detail.error

    @property
    def is_completed(self) -> bool:
        """Whether it is over, well or not."""
        return self.detail.is_completed

    @property
    def is_success(self) -> bool:
        """Whether it succeeded."""
        return self.detail.is_success

    @property
    def is_failed(self) -> bool:
        """Whether it ended without success and was not canceled."""
        return self.detail.is_failed and not self.detail.is_cancelled

    @property
    def is_canceled(self) -> bool:
        """Whether it was canceled."""
        return self.detail.is_cancelled

    @property
    def attempt_count(self) -> int:
        """How many attempts were started."""
        return self.detail.attempt_count


async def retrieve(run: RunHandle[R] | str) -> Run[R]:
    """Read a run by its handle or id; with the handle of a known task the output is typed.

    Raises:
        NotFoundError: there is no such run.
    """
    return await _lazy.remote()().retrieve(run)


def retrieve_sync(run: RunHandle[R] | str) -> Run[R]:
    """Read a run, blocking."""
    return _lazy.remote()().retrieve_sync(run)


async def poll(
    run: RunHandle[R] | str, *, interval: Duration = "200ms", timeout: Duration = "10m"
) -> Run[R]:
    """Read a run again and again until it is over.

    Raises:
        PollTimeoutError: it is not over after ``timeout``.
    """
    return await _lazy.remote()().poll(run, interval=interval, timeout=timeout)


def poll_sync(
    run: RunHandle[R] | str, *, interval: Duration = "200ms", timeout: Duration = "10m"
) -> Run[R]:
    """Read a run again and again until it is over, blocking."""
    return _lazy.remote()().poll_sync(run, interval=interval, timeout=timeout)


async def cancel(run: RunHandle[Any] | str) -> None:
    """Cancel a run; one that is over stays as it is."""
    await _lazy.remote()().cancel(run)


def cancel_sync(run: RunHandle[Any] | str) -> None:
    """Cancel a run, blocking."""
    _lazy.remote()().cancel_sync(run)


async def replay(run: RunHandle[R] | str, *, payload: Any = _SAME) -> RunHandle[R]:
    """Create a new run with the same task and options, and with the same payload unless one is given."""
    return await _lazy.remote()().replay(run, *(() if payload is _SAME else (payload,)))


def replay_sync(run: RunHandle[R] | str, *, payload: Any = _SAME) -> RunHandle[R]:
    """Create a new run likewise, blocking."""
    return _lazy.remote()().replay_sync(run, *(() if payload is _SAME else (payload,)))


async def reschedule(run: RunHandle[R] | str, *, delay: Moment) -> Run[R]:
    """Give a run that is still delayed another delay: a duration from now, or a moment.

    Raises:
        UnprocessableError: the run has left its delay, or the moment has passed.
    """
    return await _lazy.remote()().reschedule(run, delay)


def reschedule_sync(run: RunHandle[R] | str, *, delay: Moment) -> Run[R]:
    """Give a run another delay, blocking; see :func:`reschedule`."""
    return _lazy.remote()().reschedule_sync(run, delay)


async def subscribe(
    run: RunHandle[R] | str, *, skip_columns: Sequence[Column] = ()
) -> AsyncIterator[Run[R]]:
    """Follow a run: as it is now, and after every change until it is over.

    Args:
        run: its handle or id; with the handle of a known task the output is typed.
        skip_columns: what is not needed, such as a large ``"payload"``.

    Raises:
        NotFoundError: there is no such run.
    """
    async for found in _lazy.streams()().subscribe(run, skip_columns):
        yield found


def subscribe_sync(
    run: RunHandle[R] | str, *, skip_columns: Sequence[Column] = ()
) -> Iterator[Run[R]]:
    """Follow a run, blocking; see :func:`subscribe`."""
    yield from _lazy.streams()().subscribe_sync(run, skip_columns)


async def subscribe_with_tag(
    *tags: str, created_within: Duration = "24h", skip_columns: Sequence[Column] = ()
) -> AsyncIterator[Run[Any]]:
    """Follow the runs that have all of some tags, those that come later too, for as long as you listen.

    Args:
        tags: at least one.
        created_within: how old runs may be when this begins; a day at most.
        skip_columns: what is not needed.
    """
    params = {"tags": ",".join(tags), "createdAt": duration.to_text(created_within)}
    async for run in _lazy.streams()().subscribe_many("/realtime/v1/runs", params, skip_columns):
        yield run


def subscribe_with_tag_sync(
    *tags: str, created_within: Duration = "24h", skip_columns: Sequence[Column] = ()
) -> Iterator[Run[Any]]:
    """Follow runs with tags, blocking; see :func:`subscribe_with_tag`."""
    params = {"tags": ",".join(tags), "createdAt": duration.to_text(created_within)}
    yield from _lazy.streams()().subscribe_many_sync("/realtime/v1/runs", params, skip_columns)


async def list(  # noqa: A001 - the word users know
    **filters: Unpack[Filters],
) -> AsyncIterator[RunSummary]:
    """Go through runs, newest first, page by page as needed; without filters through all."""
    async for run in _lazy.remote()().list(**_wire(filters)):
        yield run


def list_sync(**filters: Unpack[Filters]) -> Iterator[RunSummary]:
    """Go through runs, newest first, blocking."""
    yield from _lazy.remote()().list_sync(**_wire(filters))


def _wire(filters: Filters) -> dict[str, Any]:
    """Return filters as the call takes them: names in lists, moments and durations as texts."""
    given: dict[str, Any] = {name: one for name, one in filters.items() if one is not None}
    for name, value in given.items():
        if name in _NAMES and isinstance(value, str):
            given[name] = [value]
        elif isinstance(value, datetime):
            given[name] = clock.to_iso(duration.resolve_delay(value, 0))
        elif name == "period":
            given[name] = duration.to_text(value)
    return given
