"""Deployments: immutable builds of the user's code, from the wish to build one until it serves runs.

PENDING → (INSTALLING →) BUILDING → DEPLOYING, once a worker is registered for it, → DEPLOYED; from every
state before that it may become FAILED, CANCELED or TIMED_OUT (protocol E.6). Its version has its name from
the start, numbered together with the versions that a dev session registers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from trigger_core import ids, version
from trigger_core.errors import ConflictError, NotFoundError, UnprocessableError
from trigger_core.schemas.workers import Registered, RegisterWorker
from trigger_platform.engine import environment as locking
from trigger_platform.engine import pending_version, worker_version
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import DeploymentRow, EnvironmentRow, WorkerRow

__all__ = [
    "FINAL",
    "Initialized",
    "cancel",
    "current",
    "fail",
    "finalize",
    "find",
    "initialize",
    "next_due",
    "progress",
    "promote",
    "register_worker",
    "time_out",
]

Status = Literal[
    "PENDING", "INSTALLING", "BUILDING", "DEPLOYING", "DEPLOYED", "FAILED", "CANCELED", "TIMED_OUT"
]
FINAL = frozenset({"DEPLOYED", "FAILED", "CANCELED", "TIMED_OUT"})
"""States that never change again."""

_STAGE_MS = 60 * 60_000
_NEXT: dict[str, Status] = {"PENDING": "INSTALLING", "INSTALLING": "BUILDING"}


@dataclass(frozen=True, slots=True)
class Initialized:
    """A deployment to build; existing when the external id was deployed before and needs no build."""

    deployment: DeploymentRow
    is_existing: bool


def initialize(
    u: Unit,
    environment: EnvironmentRow,
    content_hash: str,
    *,
    building: bool = False,
    external_id: str | None = None,
    force: bool = False,
    git: dict[str, Any] | None = None,
    image_reference: str | None = None,
) -> Initialized:
    """Begin a deployment under the next free name (protocol E.3); without news for an hour it times out.

    Args:
        u: the unit of work.
        environment: where it will serve.
        content_hash: names the code.
        building: it is being built already.
        external_id: the caller's own name for it, at most 128 characters; blank means none.
        force: build anew even if something is deployed under the external id.
        git: where the code comes from.
        image_reference: where the image will be.

    Raises:
        UnprocessableError: the external id is too long.
    """
    external_id = (external_id or "").strip() or None
    if external_id is not None and len(external_id) > 128:
        raise UnprocessableError(
            "an external deployment id has at most 128 characters",
            status=422,
            code="EXTERNAL_ID_TOO_LONG",
        )
    name = worker_version.next_name(u, environment)
    known = _deployed_as(u, environment, external_id) if external_id and not force else None
    if known is not None:
        return Initialized(known, is_existing=True)
    made = DeploymentRow(
        id=ids.deployment_id(u.rng),
        environment_id=environment.id,
        version=name,
        short_code=ids.short_code(u.rng),
        content_hash=content_hash,
        status="BUILDING" if building else "PENDING",
        worker_id=None,
        external_id=external_id,
        image_reference=image_reference,
        git=json.dumps(git) if git else None,
        error=None,
        due_at=u.now + _STAGE_MS,
        created_at=u.now,
        deployed_at=None,
        ended_at=None,
    )
    u.insert("deployment_insert", [made])
    u.expect(made.due_at)
    _announce(u, made)
    return Initialized(made, is_existing=False)


def find(u: Unit, environment: EnvironmentRow, deployment_id: str) -> DeploymentRow:
    """Return a deployment.

    Raises:
        NotFoundError: the environment has none of this id.
    """
    found = u.tx.maybe(
        "deployment_by_id", DeploymentRow, id=deployment_id, environment_id=environment.id
    )
    if found is None:
        raise _missing(deployment_id)
    return found


def current(u: Unit, environment: EnvironmentRow) -> DeploymentRow | None:
    """Return the deployment whose version unpinned runs execute on; ``None`` before the first promotion."""
    if environment.current_worker_id is None:
        return None
    return u.tx.maybe(
        "deployment_of_worker",
        DeploymentRow,
        worker_id=environment.current_worker_id,
        environment_id=environment.id,
    )


def progress(u: Unit, environment: EnvironmentRow, deployment_id: str) -> DeploymentRow:
    """Note that the build has come further: PENDING, INSTALLING, BUILDING.

    Raises:
        NotFoundError, ConflictError: there is none, or it is past that.
    """
    found = find(u, environment, deployment_id)
    if found.status not in _NEXT:
        raise _refused(found, "make progress")
    return _move(u, found, _NEXT[found.status], due_at=u.now + _STAGE_MS)


def register_worker(
    u: Unit, environment: EnvironmentRow, deployment_id: str, request: RegisterWorker
) -> Registered:
    """Register what was indexed as the deployment's version; it serves nothing yet (protocol E.4).

    Sent again for the same code it is answered alike.

    Raises:
        NotFoundError, ConflictError: there is none, or it is past that.
        UsageError, InvalidDurationError: as :func:`worker_version.register` does.
    """
    found = find(u, environment, deployment_id)
    if found.status == "DEPLOYING" and found.worker_id is not None:
        known = u.tx.one("worker_by_id", WorkerRow, id=found.worker_id)
        if known.content_hash == request.metadata.content_hash:
            return worker_version.registered(known)
    if found.status in FINAL or found.worker_id is not None:
        raise _refused(found, "be indexed")
    worker = worker_version.record(u, environment, request, found.version)
    _move(u, found, "DEPLOYING", worker_id=worker.id, due_at=u.now + _STAGE_MS)
    return worker_version.registered(worker)


def finalize(
    u: Unit,
    environment: EnvironmentRow,
    deployment_id: str,
    *,
    promoted: bool = True,
    image_reference: str | None = None,
) -> DeploymentRow:
    """Let a deployment serve (protocol E.5): it becomes current unless that is not wanted.

    A build that ends after a newer one became current does not take its place. Runs that waited for its
    external id are released in any case. Finalized again it stays as it is.

    Raises:
        NotFoundError, ConflictError: there is none, or no worker was registered for it.
    """
    found = find(u, environment, deployment_id)
    if found.status == "DEPLOYED":
        return found
    if found.status != "DEPLOYING" or found.worker_id is None:
        raise _refused(found, "be finalized")
    image = image_reference or found.image_reference
    after = _move(u, found, "DEPLOYED", image_reference=image, deployed_at=u.now, ended_at=u.now)
    fresh = locking.lock(u, environment.id)
    if promoted and not _is_older(after, current(u, fresh)):
        _make_current(u, fresh, after)
    pending_version.external_landed(u, after.id)
    return after


def promote(
    u: Unit, environment: EnvironmentRow, name: str, *, allow_rollbacks: bool = False
) -> DeploymentRow:
    """Make a deployed version the current one (protocol A.12).

    Raises:
        NotFoundError: there is no such version.
        ConflictError: it is not deployed, or older than the current one and that is not allowed.
    """
    found = u.tx.maybe(
        "deployment_by_version", DeploymentRow, environment_id=environment.id, version=name
    )
    if found is None:
        raise _missing(name)
    if found.status != "DEPLOYED":
        raise _refused(found, "be promoted", status=400)
    fresh = locking.lock(u, environment.id)
    now = current(u, fresh)
    if not allow_rollbacks and _is_older(found, now):
        raise ConflictError(
            f"version {name} is older than the current one, {now.version if now else '-'}",
            status=400,
            code="ROLLBACK_REFUSED",
            hint="allow rollbacks if going back is what you want",
        )
    _make_current(u, fresh, found)
    return found


def fail(
    u: Unit, environment: EnvironmentRow, deployment_id: str, error: dict[str, Any]
) -> DeploymentRow:
    """End a build that went wrong; one that has ended stays as it is."""
    found = find(u, environment, deployment_id)
    if found.status in FINAL:
        return found
    return _end(u, found, "FAILED", json.dumps(error))


def cancel(
    u: Unit, environment: EnvironmentRow, deployment_id: str, reason: str = ""
) -> DeploymentRow:
    """End a build that is no longer wanted; one that is canceled stays as it is.

    Raises:
        NotFoundError, ConflictError: there is none, or it has ended.
    """
    found = find(u, environment, deployment_id)
    if found.status == "CANCELED":
        return found
    if found.status in FINAL:
        raise _refused(found, "be canceled")
    return _end(u, found, "CANCELED", json.dumps({"name": "Canceled", "message": reason}))


def time_out(u: Unit, found: DeploymentRow) -> None:
    """End a build of which nothing was heard for too long."""
    message = f"Nothing was heard of it for an hour while it was {found.status}."
    _end(u, found, "TIMED_OUT", json.dumps({"name": "TimedOut", "message": message}))


def next_due(u: Unit) -> int | None:
    """Return when the next build has taken too long."""
    found: int | None = u.tx.scalar("deployment_next_due")
    return found


def _make_current(u: Unit, environment: EnvironmentRow, found: DeploymentRow) -> None:
    worker = u.tx.one("worker_by_id", WorkerRow, id=found.worker_id)
    worker_version.become_current(u, environment, worker)
    _announce(u, found)


def _is_older(one: DeploymentRow, now: DeploymentRow | None) -> bool:
    if now is None:
        return False
    return version.sort_key(one.version) < version.sort_key(now.version)


def _deployed_as(u: Unit, environment: EnvironmentRow, external_id: str) -> DeploymentRow | None:
    found = u.tx.all(
        "deployments_deployed_as",
        DeploymentRow,
        environment_id=environment.id,
        external_id=external_id,
    )
    return max(found, key=lambda one: version.sort_key(one.version), default=None)


def _end(u: Unit, found: DeploymentRow, status: Status, error: str) -> DeploymentRow:
    return _move(u, found, status, error=error, ended_at=u.now)


def _move(u: Unit, found: DeploymentRow, to: Status, **columns: Any) -> DeploymentRow:
    values = {
        "worker_id": found.worker_id,
        "image_reference": found.image_reference,
        "error": None,
        "due_at": None,
        "deployed_at": None,
        "ended_at": None,
    } | columns
    moved = u.tx.run("deployment_move", id=found.id, expected=found.status, status=to, **values)
    if moved != 1:
        raise _refused(found, f"become {to}")
    after = u.tx.one("deployment_any", DeploymentRow, id=found.id)
    u.expect(after.due_at)
    _announce(u, after)
    return after


def _announce(u: Unit, row: DeploymentRow) -> None:
    u.emit(row.environment_id, "deployment.changed", row.id, 0)


def _missing(name: str) -> NotFoundError:
    return NotFoundError(f"there is no deployment {name}", status=404, code="DEPLOYMENT_NOT_FOUND")


def _refused(found: DeploymentRow, what: str, *, status: int = 409) -> ConflictError:
    return ConflictError(
        f"deployment {found.version} cannot {what}",
        status=status,
        code="DEPLOYMENT_STATE",
        because=f"it is {found.status}",
    )
