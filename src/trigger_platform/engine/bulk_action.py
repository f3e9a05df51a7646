"""Bulk actions: cancel or replay many runs, slice by slice, each of them once (protocol A.17).

The runs are taken from the newest to the oldest of those that were there when the action began. What a slice
did and how far it came are written in one transaction, and a timer brings the next one: whatever dies,
another process goes on where the last slice ended.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from trigger_core import ids
from trigger_core.errors import ConflictingWriteError, NotFoundError, TriggerError
from trigger_platform.engine import cancel, replay, states
from trigger_platform.engine.run_filter import RunFilter
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import BulkActionRow, EnvironmentRow, RunRow

__all__ = ["TIMER", "Choice", "Kind", "abort", "count", "create", "find", "proceed"]

TIMER = "bulk-action"
Kind: TypeAlias = Literal["CANCEL", "REPLAY"]
Choice: TypeAlias = "RunFilter | Sequence[str]"
"""Which runs: those that a filter matches, or these."""

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class _Id:
    id: str


@dataclass(frozen=True, slots=True)
class _Slice:
    """Runs to do something to, how many ids name none, and below which id to go on; ``None`` at the end."""

    runs: list[RunRow]
    unknown: int
    below: str | None


def count(u: Unit, environment: EnvironmentRow, choice: Choice) -> int:
    """Return how many runs are chosen now."""
    if not isinstance(choice, RunFilter):
        return len(set(choice))
    lower, upper = choice.window()
    params = {"environment_id": environment.id, "lower": lower, "upper": upper}
    return int(u.tx.scalar("count_runs", **choice.params(), **params))


def create(
    u: Unit,
    environment: EnvironmentRow,
    kind: Kind,
    choice: Choice,
    *,
    total: int,
    name: str | None = None,
) -> BulkActionRow:
    """Begin an action; ``total`` is how many runs it will meet, as far as is known."""
    if isinstance(choice, RunFilter):
        chosen, below = json.dumps(asdict(choice)), ids.before_runs_of(u.now + 1)
    else:
        chosen, below = json.dumps(sorted(set(choice), reverse=True)), ids.AFTER_RUNS
    made = BulkActionRow(
        id=ids.bulk_action_id(u.now, u.rng),
        environment_id=environment.id,
        name=name,
        type=kind,
        status="PENDING",
        chosen=chosen,
        below=below,
        total=total,
        success=0,
        failure=0,
        created_at=u.now,
        completed_at=None,
    )
    u.insert("bulk_action_insert", [made])
    _again(u, made.id)
    return made


def find(u: Unit, environment: EnvironmentRow, action_id: str) -> BulkActionRow:
    """Return an action.

    Raises:
        NotFoundError: the environment has none of this id.
    """
    found = u.tx.maybe(
        "bulk_action_by_id", BulkActionRow, id=action_id, environment_id=environment.id
    )
    if found is None:
        raise NotFoundError(
            f"there is no bulk action {action_id}", status=404, code="BULK_ACTION_NOT_FOUND"
        )
    return found


def abort(u: Unit, environment: EnvironmentRow, action_id: str) -> BulkActionRow:
    """Do nothing more; what is done stays done, and an action that is over stays as it is."""
    find(u, environment, action_id)
    if u.tx.run("bulk_action_abort", id=action_id, now=u.now):
        u.tx.run("timer_delete", kind=TIMER, subject_id=action_id)
    return find(u, environment, action_id)


def proceed(u: Unit, action_id: str) -> None:
    """Do the next slice, and arrange for the one after it."""
    row = u.tx.maybe("bulk_action_locked", BulkActionRow, id=action_id)
    if row is None or row.status != "PENDING":
        return
    environment = u.tx.one("environment_by_id", EnvironmentRow, id=row.environment_id)
    part = _next(u, environment, row)
    touched = [_act(u, environment, row, run) for run in part.runs]
    good = [run_id for run_id in touched if run_id is not None]
    links = [{"bulk_action_id": row.id, "run_id": run_id} for run_id in good]
    u.tx.many("bulk_action_run_insert", links)
    is_over = part.below is None
    u.tx.run(
        "bulk_action_advance",
        id=row.id,
        below=part.below or "",
        success=len(good),
        failure=len(touched) - len(good) + part.unknown,
        status="COMPLETED" if is_over else "PENDING",
        completed_at=u.now if is_over else None,
    )
    u.emit(row.environment_id, "bulk-action.changed", row.id, 0)
    if not is_over:
        _again(u, row.id)


def _again(u: Unit, action_id: str) -> None:
    u.tx.run("timer_set", kind=TIMER, subject_id=action_id, due_at=u.now)
    u.expect(u.now)


def _next(u: Unit, environment: EnvironmentRow, row: BulkActionRow) -> _Slice:
    chosen = json.loads(row.chosen)
    if isinstance(chosen, list):
        return _named(u, environment, [one for one in chosen if one < row.below])
    return _matching(u, environment, RunFilter(**chosen), row.below)


def _named(u: Unit, environment: EnvironmentRow, left: list[str]) -> _Slice:
    now = left[:_AT_ONCE]
    found = u.tx.all("runs_by_ids", RunRow, ids=json.dumps(now))
    runs = [run for run in found if run.environment_id == environment.id]
    return _Slice(runs, len(now) - len(runs), now[-1] if len(left) > _AT_ONCE else None)


def _matching(u: Unit, environment: EnvironmentRow, wanted: RunFilter, below: str) -> _Slice:
    """Look at some runs, whatever they are: a slice takes as long whether many match or none."""
    oldest, newest = wanted.window()
    upper = min(newest, below)
    span = {"environment_id": environment.id, "upper": upper}
    page = u.tx.all("run_ids_below", _Id, lower=oldest, limit=_AT_ONCE + 1, **span)
    is_last = len(page) <= _AT_ONCE
    lower = oldest if is_last else page[_AT_ONCE].id
    runs = u.tx.all("read_runs", RunRow, lower=lower, limit=_AT_ONCE, **span, **wanted.params())
    return _Slice(runs, 0, None if is_last else page[_AT_ONCE - 1].id)


def _act(u: Unit, environment: EnvironmentRow, row: BulkActionRow, run: RunRow) -> str | None:
    """Return the run that was canceled or made; ``None`` if that was refused."""
    try:
        if row.type == "REPLAY":
            return replay.run(u, environment, run.id).id
        if states.is_final(run.status):
            return None
        return cancel.run(u, environment, run.id).id
    except ConflictingWriteError:
        raise
    except TriggerError:
        return None
