"""Runs as the API shows them: pages, one run with everything, its steps and its lines."""

from __future__ import annotations

from dataclasses import dataclass, field

from trigger_core.errors import NotFoundError, RunNotFoundError
from trigger_platform.engine import states
from trigger_platform.engine import user as owner
from trigger_platform.engine.run_filter import RunFilter
from trigger_platform.engine.unit import Unit
from trigger_platform.reads import batches
from trigger_platform.reads.batches import Ended
from trigger_platform.store.rows import EnvironmentRow, PayloadRow, RunRow, ScheduleRow

__all__ = [
    "Filters",
    "FullRun",
    "LogRow",
    "RunPageRows",
    "SnapshotRow",
    "full",
    "logs",
    "one",
    "page",
    "result",
    "snapshots",
]

_FAILED = frozenset(states.FINAL_STATUSES - {states.RunStatus.COMPLETED_SUCCESSFULLY})
_LIVE = frozenset(set(states.RunStatus) - states.FINAL_STATUSES)
_CHILDREN = 100
_LOGS = 1_000


@dataclass(frozen=True, slots=True)
class SnapshotRow:
    """A step of a run."""

    sequence: int
    execution_status: str
    run_status: str
    attempt: int
    description: str
    error: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class LogRow:
    """A line of a run."""

    id: int
    attempt: int
    time: int
    level: str
    source: str
    message: str
    attributes: str | None
    span_id: str | None


@dataclass(frozen=True, slots=True)
class Filters(RunFilter):
    """Which runs, and which page of them."""

    size: int = 25
    after: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class RunPageRows:
    """A page, newest first, and the cursors to its neighbours; ``user`` is whose environment it is."""

    runs: list[RunRow]
    next: str | None = None
    previous: str | None = None
    user: str | None = None


@dataclass(frozen=True, slots=True)
class FullRun:
    """A run with everything that belongs to it."""

    run: RunRow
    payload: PayloadRow | None
    output: str | None
    snapshots: list[SnapshotRow]
    root: RunRow | None
    parent: RunRow | None
    children: list[RunRow] = field(default_factory=list)
    schedule: ScheduleRow | None = None


def one(u: Unit, environment: EnvironmentRow, run_id: str) -> RunRow:
    """Return a run.

    Raises:
        NotFoundError: the environment has no such run.
    """
    run = u.tx.maybe("run_by_id", RunRow, id=run_id, environment_id=environment.id)
    if run is None:
        raise RunNotFoundError(run_id)
    return run


def full(u: Unit, environment: EnvironmentRow, run_id: str) -> FullRun:
    """Return a run with its payload, output, steps and family; raises as :func:`one` does."""
    run = one(u, environment, run_id)
    return FullRun(
        run=run,
        payload=u.tx.maybe("payload_of", PayloadRow, run_id=run_id),
        output=u.tx.scalar("output_of", run_id=run_id),
        snapshots=snapshots(u, environment, run_id),
        root=_relative(u, run.root_id),
        parent=_relative(u, run.parent_id),
        children=u.tx.all("read_children", RunRow, parent_id=run_id, limit=_CHILDREN),
        schedule=_schedule(u, run.schedule_id),
    )


def result(u: Unit, environment: EnvironmentRow, run_id: str) -> Ended:
    """Return how a run ended.

    Raises:
        NotFoundError: the environment has no such run, or it goes on.
    """
    ended = batches.one_result(u, one(u, environment, run_id))
    if ended is None:
        raise NotFoundError(f"run {run_id} is not over", status=404, code="RUN_NOT_OVER")
    return ended


def page(u: Unit, environment: EnvironmentRow, filters: Filters) -> RunPageRows:
    """Return a page of runs, newest first. Ids sort by creation, so a time window is a range of ids."""
    source, only = _narrowest(filters)
    user = owner.called(u, environment.owner_id)
    params = filters.params() | {"environment_id": environment.id, "limit": filters.size + 1} | only
    oldest, newest = filters.window()
    if filters.before:
        lower = max(oldest, filters.before)
        found = u.tx.all(f"{source}_newer", RunRow, lower=lower, upper=newest, **params)
        runs = found[: filters.size][::-1]
        previous = runs[0].id if len(found) > filters.size else None
        return RunPageRows(runs, runs[-1].id if runs else None, previous, user)
    upper = min(newest, filters.after or newest)
    found = u.tx.all(source, RunRow, lower=oldest, upper=upper, **params)
    runs = found[: filters.size]
    more = runs[-1].id if len(found) > filters.size else None
    return RunPageRows(runs, more, runs[0].id if filters.after and runs else None, user)


def _narrowest(filters: Filters) -> tuple[str, dict[str, str]]:
    """Return the statement whose index leads past most runs that do not match, and what it looks for."""
    if filters.batch:
        return "read_runs_of_batch", {"only": filters.batch}
    if len(filters.tags) == 1:
        return "read_runs_with_tag", {"only": filters.tags[0]}
    if len(filters.tasks) == 1:
        return "read_runs_of_task", {"only": filters.tasks[0]}
    wanted = set(filters.statuses)
    if wanted and wanted <= _LIVE:
        return "read_runs_that_live", {}
    if wanted and wanted <= _FAILED:
        return "read_runs_that_failed", {}
    return "read_runs", {}


def snapshots(u: Unit, environment: EnvironmentRow, run_id: str) -> list[SnapshotRow]:
    """Return the steps of a run, oldest first; raises as :func:`one` does."""
    one(u, environment, run_id)
    return u.tx.all("read_snapshots", SnapshotRow, run_id=run_id)


def logs(u: Unit, environment: EnvironmentRow, run_id: str, after: int) -> list[LogRow]:
    """Return up to 1,000 lines of a run after line ``after``; raises as :func:`one` does."""
    one(u, environment, run_id)
    return u.tx.all("read_logs", LogRow, run_id=run_id, after=after, limit=_LOGS)


def _relative(u: Unit, run_id: str | None) -> RunRow | None:
    return None if run_id is None else u.tx.maybe("run_any", RunRow, id=run_id)


def _schedule(u: Unit, schedule_id: str | None) -> ScheduleRow | None:
    """Return the schedule that triggered a run, if it still exists."""
    if schedule_id is None:
        return None
    return u.tx.maybe("schedule_by_id", ScheduleRow, id=schedule_id)
