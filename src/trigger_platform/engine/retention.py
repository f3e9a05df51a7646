"""What is old is removed: ended runs with everything that belongs to them, lines, remembered answers.

Each function removes one slice, small enough never to hold the writer long, and returns where the next one
begins. A run stays for as long as somebody needs it: a child, a live parent, a batch that is not over,
whoever waits for it, or an idempotency key that still answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trigger_platform.engine.unit import Unit

__all__ = ["SWEEPS", "Periods", "Place", "Slice"]

_RUNS = 200
_LINES = 2_000
_KEYS = 1_000
_MANY_OF_RUNS = (
    "remove_logs_of_runs",
    "remove_spans_of_runs",
    "remove_points_of_runs",
    "remove_stream_chunks",
)
_DAY_MS = 86_400_000

Place = Mapping[str, Any]
"""Where a slice begins; empty is the beginning."""


@dataclass(frozen=True, slots=True)
class Periods:
    """For how long what has ended is kept, in ms.

    Runs 30 days, their lines and spans 14 days, answers to requests a day, and so packets that were uploaded
    and that no run was triggered with.
    """

    runs_ms: int = 30 * _DAY_MS
    logs_ms: int = 14 * _DAY_MS
    requests_ms: int = _DAY_MS


@dataclass(frozen=True, slots=True)
class Slice:
    """How much was removed, and where to go on; ``None`` at the end."""

    removed: int
    next: Place | None


@dataclass(frozen=True, slots=True)
class _Old:
    id: str


@dataclass(frozen=True, slots=True)
class _OldRun:
    id: str
    completed_at: int


@dataclass(frozen=True, slots=True)
class _Removable:
    id: str
    environment_id: str


@dataclass(frozen=True, slots=True)
class _Line:
    id: int
    time: int


@dataclass(frozen=True, slots=True)
class _Request:
    environment_id: str
    scope: str
    token: str


@dataclass(frozen=True, slots=True)
class _Debounce:
    environment_id: str
    task: str
    key: str


@dataclass(frozen=True, slots=True)
class _Blob:
    environment_id: str
    path: str


def runs(u: Unit, periods: Periods, place: Place) -> Slice:
    """Remove ended runs, children before parents; one with many lines loses some of them at a time.

    Who follows one of them hears that it is gone.
    """
    page = u.tx.all(
        "old_runs",
        _OldRun,
        before=u.now - periods.runs_ms,
        at=place.get("at", 0),
        after=place.get("after", ""),
        limit=_RUNS,
    )
    old = json.dumps([one.id for one in page])
    removable = u.tx.all("removable_runs", _Removable, ids=old, now=u.now)
    ids = [one.id for one in removable]
    gone = json.dumps(ids)
    for many in _MANY_OF_RUNS:
        if u.tx.run(many, ids=gone, limit=_LINES) == _LINES:
            return Slice(0, place)
    for statement in (
        "remove_telemetry",
        "remove_streams",
        "remove_stream_writers",
        "remove_stream_waits",
        "remove_run_tags",
        "remove_payloads",
        "remove_snapshots",
        "remove_checkpoints",
        "remove_waitpoints_of_runs",
        "remove_events",
        "remove_runs",
    ):
        u.tx.run(statement, ids=gone)
    u.changed.update((one.environment_id, one.id) for one in removable)
    last = {"at": page[-1].completed_at, "after": page[-1].id} if len(page) == _RUNS else None
    return Slice(len(ids), last)


def batches(u: Unit, periods: Periods, place: Place) -> Slice:
    """Remove batches that ended and none of whose runs is left."""
    before = u.now - periods.runs_ms
    page = u.tx.all("old_batches", _Old, before=before, after=place.get("after", ""), limit=_RUNS)
    old = json.dumps([one.id for one in page])
    ids = [one.id for one in u.tx.all("removable_batches", _Old, ids=old, before=before)]
    gone = json.dumps(ids)
    for statement in (
        "remove_batch_items",
        "remove_waitpoints_of_batches",
        "remove_events",
        "remove_batches",
    ):
        u.tx.run(statement, ids=gone)
    return Slice(len(ids), _after(page, _RUNS))


def waitpoints(u: Unit, periods: Periods, place: Place) -> Slice:
    """Remove moments and tokens that are over and for which nobody waits."""
    before = u.now - periods.runs_ms
    page = u.tx.all(
        "old_waitpoints", _Old, before=before, after=place.get("after", ""), limit=_KEYS
    )
    ids = json.dumps([one.id for one in page])
    removed = u.tx.run("remove_waitpoints", ids=ids, before=before, now=u.now)
    return Slice(removed, _after(page, _KEYS))


def logs(u: Unit, periods: Periods, _place: Place) -> Slice:
    """Remove the oldest lines; the first slice without one that is old enough is the last."""
    return _told(u, periods, "logs")


def spans(u: Unit, periods: Periods, _place: Place) -> Slice:
    """Remove the oldest spans, likewise."""
    return _told(u, periods, "spans")


def points(u: Unit, periods: Periods, _place: Place) -> Slice:
    """Remove the oldest data points of metrics, likewise."""
    return _told(u, periods, "points")


def requests(u: Unit, periods: Periods, place: Place) -> Slice:
    """Remove answers to requests that nobody repeats any more."""
    start = {"environment_id": "", "scope": "", "token": ""} | dict(place)
    page = u.tx.all("requests_page", _Request, **start, limit=_KEYS)
    before = u.now - periods.requests_ms
    keys = [asdict(one) for one in page]
    removed = u.tx.many("remove_request", [key | {"before": before} for key in keys])
    return Slice(removed, keys[-1] if len(page) == _KEYS else None)


def answers(u: Unit, _periods: Periods, _place: Place) -> Slice:
    """Remove kept answers that nobody is given any more."""
    return _expired(u, "remove_kept_answers")


def revoked_tokens(u: Unit, _periods: Periods, _place: Place) -> Slice:
    """Forget revoked tokens that have expired."""
    return _expired(u, "remove_revoked_tokens")


def debounces(u: Unit, _periods: Periods, place: Place) -> Slice:
    """Remove debounce keys whose runs collect no more."""
    start = {"environment_id": "", "task": "", "key": ""} | dict(place)
    page = u.tx.all("debounces_page", _Debounce, **start, limit=_KEYS)
    keys = [asdict(one) for one in page]
    removed = u.tx.many("remove_debounce", keys)
    return Slice(removed, keys[-1] if len(page) == _KEYS else None)


def bulk_actions(u: Unit, periods: Periods, place: Place) -> Slice:
    """Remove actions on many runs that ended."""
    before = u.now - periods.runs_ms
    after = place.get("after", "")
    page = u.tx.all("old_bulk_actions", _Old, before=before, after=after, limit=_RUNS)
    ids = json.dumps([one.id for one in page])
    u.tx.run("remove_bulk_action_runs", ids=ids)
    return Slice(u.tx.run("remove_bulk_actions", ids=ids), _after(page, _RUNS))


def blobs(u: Unit, periods: Periods, place: Place) -> Slice:
    """Let go of packets that no run has, or has any more; they are removed from where they lie afterwards."""
    start = {"environment_id": "", "path": ""} | dict(place)
    page = u.tx.all("blobs_page", _Blob, **start, limit=_KEYS)
    keys = [asdict(one) for one in page]
    when = {"before": u.now - periods.requests_ms, "now": u.now}
    removed = u.tx.many("blob_let_go", [key | when for key in keys])
    return Slice(removed, keys[-1] if len(page) == _KEYS else None)


def _told(u: Unit, periods: Periods, what: str) -> Slice:
    page = u.tx.all(f"oldest_{what}", _Line, limit=_LINES)
    if not page:
        return Slice(0, None)
    removed = u.tx.run(f"remove_{what}", last=page[-1].id, before=u.now - periods.logs_ms)
    return Slice(removed, {} if removed else None)


def _expired(u: Unit, statement: str) -> Slice:
    removed = u.tx.run(statement, now=u.now, limit=_KEYS)
    return Slice(removed, {} if removed == _KEYS else None)


def _after(page: list[_Old], size: int) -> Place | None:
    return {"after": page[-1].id} if len(page) == size else None


SWEEPS: Mapping[str, Callable[[Unit, Periods, Place], Slice]] = {
    "logs": logs,
    "spans": spans,
    "points": points,
    "runs": runs,
    "batches": batches,
    "waitpoints": waitpoints,
    "requests": requests,
    "answers": answers,
    "revoked_tokens": revoked_tokens,
    "debounces": debounces,
    "bulk_actions": bulk_actions,
    "blobs": blobs,
}
"""What is swept, in this order: what runs leave behind comes after them."""
