"""Deployments and versions as the API shows them: pages, one with what was registered for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from trigger_core.errors import NotFoundError
from trigger_platform.engine import deployment
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import DeploymentRow, EnvironmentRow, TaskRow, VersionRow

__all__ = [
    "DeploymentPageRows",
    "Filters",
    "FullDeployment",
    "FullVersion",
    "current",
    "latest",
    "one",
    "page",
    "version",
]

_FOREVER = 2**62


@dataclass(frozen=True, slots=True)
class Filters:
    """Which deployments; empty means any. Both moments (ms) are inclusive."""

    statuses: Sequence[str] = ()
    created_from: int | None = None
    created_to: int | None = None
    size: int = 20
    after: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class FullVersion:
    """A version of the user's code, with its tasks."""

    row: VersionRow
    tasks: list[TaskRow]


@dataclass(frozen=True, slots=True)
class FullDeployment:
    """A deployment, and the version that was registered for it, if one was."""

    row: DeploymentRow
    version: FullVersion | None


@dataclass(frozen=True, slots=True)
class DeploymentPageRows:
    """A page, newest first, and the cursors to its neighbours; versions without their tasks."""

    deployments: list[FullDeployment]
    next: str | None
    previous: str | None


def one(u: Unit, environment: EnvironmentRow, deployment_id: str) -> FullDeployment:
    """Return a deployment with its version and tasks.

    Raises:
        NotFoundError: the environment has none of this id.
    """
    return _full(u, deployment.find(u, environment, deployment_id))


def current(u: Unit, environment: EnvironmentRow) -> FullDeployment:
    """Return the deployment that is current.

    Raises:
        NotFoundError: none was promoted yet.
    """
    found = deployment.current(u, environment)
    if found is None:
        raise _none("no deployment is current here")
    return _full(u, found)


def latest(u: Unit, environment: EnvironmentRow) -> FullDeployment:
    """Return the newest deployment whose machines are not the platform's business.

    Raises:
        NotFoundError: there is none.
    """
    found = u.tx.maybe("deployment_latest_unmanaged", DeploymentRow, environment_id=environment.id)
    if found is None:
        raise _none("there is no unmanaged deployment here")
    return _full(u, found)


def version(u: Unit, environment: EnvironmentRow, tag: str) -> FullVersion:
    """Return a version by its name, or the one that is ``current``.

    Raises:
        NotFoundError: there is none.
    """
    found = (
        _version(u, environment.current_worker_id)
        if tag == "current"
        else u.tx.maybe("version_by_name", VersionRow, environment_id=environment.id, version=tag)
    )
    if found is None:
        raise NotFoundError(f"there is no version {tag}", status=404, code="VERSION_NOT_FOUND")
    return _with_tasks(u, found)


def page(u: Unit, environment: EnvironmentRow, filters: Filters) -> DeploymentPageRows:
    """Return a page of deployments."""
    params = {
        "environment_id": environment.id,
        "statuses": json.dumps(list(filters.statuses)),
        "low": filters.created_from or 0,
        "high": _FOREVER if filters.created_to is None else filters.created_to,
        "limit": filters.size + 1,
    }
    if filters.before:
        found = u.tx.all("read_deployments_newer", DeploymentRow, before=filters.before, **params)
        rows = found[: filters.size][::-1]
        more = rows[0].id if len(found) > filters.size else None
        return _page(u, rows, rows[-1].id if rows else None, more)
    found = u.tx.all("read_deployments", DeploymentRow, after=filters.after, **params)
    rows = found[: filters.size]
    more = rows[-1].id if len(found) > filters.size else None
    back = rows[0].id if filters.after and rows else None
    return _page(u, rows, more, back)


def _page(
    u: Unit, rows: Sequence[DeploymentRow], following: str | None, previous: str | None
) -> DeploymentPageRows:
    ids = json.dumps([row.worker_id for row in rows if row.worker_id is not None])
    versions = {
        row.id: FullVersion(row, []) for row in u.tx.all("versions_by_id", VersionRow, ids=ids)
    }
    listed = [FullDeployment(row, versions.get(row.worker_id or "")) for row in rows]
    return DeploymentPageRows(listed, following, previous)


def _full(u: Unit, row: DeploymentRow) -> FullDeployment:
    found = _version(u, row.worker_id)
    return FullDeployment(row, None if found is None else _with_tasks(u, found))


def _version(u: Unit, worker_id: str | None) -> VersionRow | None:
    found = u.tx.all("versions_by_id", VersionRow, ids=json.dumps([worker_id]))
    return found[0] if found else None


def _with_tasks(u: Unit, row: VersionRow) -> FullVersion:
    return FullVersion(row, u.tx.all("read_tasks", TaskRow, worker_id=row.id))


def _none(what: str) -> NotFoundError:
    return NotFoundError(what, status=404, code="DEPLOYMENT_NOT_FOUND")
