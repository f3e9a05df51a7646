"""What followers of runs read: ids by tag or batch, versions, and whole runs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trigger_platform.engine.unit import Unit
from trigger_platform.realtime.shape import LiveRun
from trigger_platform.store.rows import (
    OutputRow,
    PayloadRow,
    RunRow,
    RunVersionRow,
    StreamNameRow,
)

__all__ = ["ids_by_batch", "ids_by_tag", "runs", "versions", "versions_since", "whole"]

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class _Id:
    id: str


def ids_by_tag(u: Unit, environment_id: str, tag: str, after: str, limit: int) -> list[str]:
    """Return runs that have a tag, in the order of their ids."""
    found = u.tx.all(
        "run_ids_by_tag", _Id, environment_id=environment_id, tag=tag, after=after, limit=limit
    )
    return [one.id for one in found]


def ids_by_batch(u: Unit, environment_id: str, batch_id: str, after: str, limit: int) -> list[str]:
    """Return runs of a batch, in the order of their ids."""
    found = u.tx.all(
        "run_ids_by_batch",
        _Id,
        environment_id=environment_id,
        batch_id=batch_id,
        after=after,
        limit=limit,
    )
    return [one.id for one in found]


def versions(u: Unit, run_ids: Sequence[str]) -> list[RunVersionRow]:
    """Return how often runs have changed."""
    return u.tx.all("run_versions", RunVersionRow, ids=json.dumps(list(run_ids)))


def versions_since(
    u: Unit,
    environment_id: str,
    *,
    tags: Iterable[str] = (),
    batches: Iterable[str] = (),
    oldest: str = "",
    since: int,
) -> list[RunVersionRow]:
    """Return the same of the runs of tags and batches that changed since a moment, ten thousand at most."""
    common = {"environment_id": environment_id, "since": since, "limit": _MOST}
    by_tag, by_batch = json.dumps(sorted(tags)), json.dumps(sorted(batches))
    found: list[RunVersionRow] = []
    if by_tag != "[]":
        found += u.tx.all(
            "run_versions_by_tags", RunVersionRow, tags=by_tag, oldest=oldest, **common
        )
    if by_batch != "[]":
        found += u.tx.all("run_versions_by_batches", RunVersionRow, batches=by_batch, **common)
    return found


def runs(u: Unit, run_ids: Sequence[str]) -> list[RunRow]:
    """Return rows of runs, wherever they are."""
    return u.tx.all("runs_by_ids", RunRow, ids=json.dumps(list(run_ids)))


def whole(u: Unit, run_ids: Sequence[str]) -> list[LiveRun]:
    """Return runs with everything that is shown of them, in the order of their ids."""
    if not run_ids:
        return []
    ids = json.dumps(list(run_ids))
    payloads = {row.run_id: row for row in u.tx.all("payloads_of", PayloadRow, ids=ids)}
    outputs = {row.id: row.output for row in u.tx.all("outputs_of", OutputRow, ids=ids)}
    streams: dict[str, list[str]] = defaultdict(list)
    for row in u.tx.all("streams_of", StreamNameRow, ids=ids):
        streams[row.run_id].append(row.name)
    return [
        LiveRun(run, payloads.get(run.id), outputs.get(run.id), tuple(streams[run.id]))
        for run in sorted(u.tx.all("runs_by_ids", RunRow, ids=ids), key=lambda run: run.id)
    ]
