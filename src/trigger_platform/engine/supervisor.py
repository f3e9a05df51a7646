"""Supervisors: they take runs of every deployed environment, and speak for the runners that execute them.

A group of supervisors holds its runs together: a runner outlives the supervisor that started it, and goes on
through another one (protocol F.1). What happens to a run that was taken is the business of
:mod:`~trigger_platform.engine.snapshot_channel`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from trigger_core.errors import RunNotFoundError
from trigger_core.schemas.workers import Assignment
from trigger_platform.engine import dequeue, environment, signals, worker_group
from trigger_platform.engine.snapshot_channel import Home, home
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import DeploymentRow, EnvironmentRow, RunRow, WorkerGroupRow

__all__ = ["START_MS", "Taken", "boot_id", "place", "take"]

START_MS = 180_000
"""How long a runner may take to begin a run that a supervisor took: its image may have to be fetched."""

_TOGETHER = 20
_SEEN_EVERY_MS = 10_000


@dataclass(frozen=True, slots=True)
class Taken:
    """A run that was handed to a supervisor, with the deployment whose image executes it."""

    run: Assignment
    environment: EnvironmentRow
    deployment: DeploymentRow
    home: Home


@dataclass(frozen=True, slots=True)
class _Servable:
    environment_id: str
    worker_id: str


def boot_id(group: WorkerGroupRow) -> str:
    """Return the name under which a group of supervisors holds runs."""
    return signals.reader(group.id)


def take(u: Unit, group: WorkerGroupRow, limit: int) -> list[Taken]:
    """Claim up to ``limit`` runs of managed deployments, from the environments that were served the least."""
    last = group.last_heartbeat_at
    if last is None or u.now - last >= _SEEN_EVERY_MS:
        worker_group.seen(u, group.id)
    versions: dict[str, list[str]] = {}
    for pair in u.tx.all("versions_to_supervise", _Servable):
        versions.setdefault(pair.environment_id, []).append(pair.worker_id)
    names = list(versions)
    taken: list[Taken] = []
    for first in range(0, len(names), _TOGETHER):
        if len(taken) >= limit:
            break
        workers = {name: versions[name] for name in names[first : first + _TOGETHER]}
        claimed = dequeue.claim_across(
            u, workers, boot_id(group), limit - len(taken), lease_ms=START_MS
        )
        for environment_id, runs in claimed.items():
            taken += _with_deployments(u, environment_id, runs)
    return taken


def place(
    u: Unit, group: WorkerGroupRow, run_id: str, environment_id: str | None
) -> EnvironmentRow:
    """Return the environment of a run that the group may speak for, with the key that opens it.

    Raises:
        NotFoundError: there is no such run, another worker has it, or it is not in the environment.
    """
    run = u.tx.maybe("run_any", RunRow, id=run_id)
    if run is None or run.boot_id not in {None, boot_id(group)}:
        raise _missing(run_id)
    found = environment.signer(u, run.environment_id)
    is_elsewhere = environment_id is not None and environment_id != run.environment_id
    if found is None or found.type == "DEVELOPMENT" or is_elsewhere:
        raise _missing(run_id)
    return found


def _with_deployments(u: Unit, environment_id: str, runs: list[Assignment]) -> list[Taken]:
    here = u.tx.one("environment_by_id", EnvironmentRow, id=environment_id)
    ids = json.dumps(sorted({run.worker_id for run in runs}))
    found = u.tx.all("deployments_of_workers", DeploymentRow, environment_id=here.id, ids=ids)
    deployments = {row.worker_id: row for row in found}
    whose = home(u, here)
    return [Taken(run, here, deployments[run.worker_id], whose) for run in runs]


def _missing(run_id: str) -> RunNotFoundError:
    return RunNotFoundError(run_id)
