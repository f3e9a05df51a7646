"""Metadata: an object that a run, its children and the outside change while it runs (protocol A.7).

A change may touch the run, its parent and its root; all of them change in one transaction or none does. Their
rows are locked in the order of their ids, and each write expects the version that was read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from trigger_core import metadata as arithmetic
from trigger_core.errors import ConflictingWriteError, RunNotFoundError, TriggerError
from trigger_core.metadata import Operation
from trigger_core.schemas.errors import ErrorBody
from trigger_core.schemas.metadata import MetadataFlush, MetadataFlushed, MetadataUpdate
from trigger_platform.engine import request, run_attempt
from trigger_platform.engine.request import RequestKey
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, LogRow, RunRow

__all__ = ["flush", "read", "update"]


def read(u: Unit, environment: EnvironmentRow, run_id: str) -> dict[str, Any]:
    """Return the metadata of a run; empty when it has none.

    Raises:
        NotFoundError: the environment has no such run.
    """
    return _current(_find(u, environment, run_id))


def update(
    u: Unit,
    environment: EnvironmentRow,
    run_id: str,
    change: MetadataUpdate,
    *,
    key: RequestKey | None = None,
) -> dict[str, Any]:
    """Change the metadata of a run, and of its parent and root if asked to; return the run's.

    A request that is repeated changes nothing: adding to a number twice would be wrong.

    Raises:
        NotFoundError: the environment has no such run.
        UsageError: an operation is refused.
        PayloadTooLargeError: the result has more than 256 KiB.
    """
    run = _find(u, environment, run_id)
    if request.recall(u, environment, key) is not None:
        return _current(run)
    after = _change(u, run, change)
    request.remember(u, environment, key, "")
    return after


def flush(
    u: Unit, environment: EnvironmentRow, boot_id: str, flushes: Sequence[MetadataFlush]
) -> list[MetadataFlushed]:
    """Take down what the code of runs did, each flush once, and answer those that wait for it.

    What is invalid leaves a line in the run's log and disturbs nothing else (behaviour 141).
    """
    runs = run_attempt.runs_by_id(u, environment.id, [one.run_id for one in flushes])
    errors = {
        (one.run_id, one.number): _flush_one(u, environment, boot_id, runs.get(one.run_id), one)
        for one in flushes
    }
    return [
        MetadataFlushed(
            run_id=one.run_id,
            lease=one.lease,
            refs=one.refs,
            error=errors[one.run_id, one.number],
        )
        for one in flushes
        if one.refs
    ]


def _flush_one(
    u: Unit, environment: EnvironmentRow, boot_id: str, run: RunRow | None, one: MetadataFlush
) -> ErrorBody | None:
    if run is None or not run_attempt.owns(run, boot_id, one.lease):
        return None
    token = f"{one.lease}:{one.number}"
    if not u.tx.run(
        "request_claim",
        environment_id=environment.id,
        scope=f"metadata:{run.id}",
        token=token,
        now=u.now,
    ):
        return None
    try:
        _change(u, run, one)
    except ConflictingWriteError:
        raise
    except TriggerError as error:
        _log(u, run, f"The metadata was not changed: {error}")
        return ErrorBody(error=error.what, code=error.code, fix=error.hint)
    return None


def _find(u: Unit, environment: EnvironmentRow, run_id: str) -> RunRow:
    run = u.tx.maybe("run_by_id", RunRow, id=run_id, environment_id=environment.id)
    if run is None:
        raise RunNotFoundError(run_id)
    return run


def _current(run: RunRow) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.metadata) if run.metadata else {}
    return found


def _change(u: Unit, run: RunRow, change: MetadataUpdate) -> dict[str, Any]:
    """Decide every new value before any is written, so that a refusal leaves nothing behind."""
    asked = _by_run(run, change)
    ids = json.dumps(sorted(asked))
    rows = u.tx.all("runs_by_ids_locked", RunRow, ids=ids)
    after = {row.id: arithmetic.apply(_current(row), asked[row.id]) for row in rows}
    texts = {run_id: arithmetic.checked(value) for run_id, value in after.items()}
    for row in rows:
        if texts[row.id] != row.metadata:
            _write(u, row, texts[row.id])
    return after[run.id]


def _by_run(run: RunRow, change: MetadataUpdate) -> dict[str, list[Operation]]:
    """Return the operations by the run they concern; a run without parent stands for its own."""
    own = [] if change.metadata is None else [Operation("update", value=change.metadata)]
    asked = {run.id: [*own, *change.operations]}
    for relative, operations in (
        (run.parent_id, change.parent_operations),
        (run.root_id, change.root_operations),
    ):
        if operations:
            asked.setdefault(relative or run.id, []).extend(operations)
    return asked


def _write(u: Unit, run: RunRow, text: str) -> None:
    written = u.tx.run(
        "run_metadata", id=run.id, expected=run.metadata_version, metadata=text, now=u.now
    )
    if written == 0:
        raise ConflictingWriteError("the metadata was changed by somebody else")
    u.emit(run.environment_id, "run.changed", run.id, run.sequence)


def _log(u: Unit, run: RunRow, message: str) -> None:
    line = LogRow(run.id, run.attempt, u.now, "WARNING", "system", message, None)
    u.record("log_insert", [line])
    u.emit(run.environment_id, "run.logged", run.id, 0)
