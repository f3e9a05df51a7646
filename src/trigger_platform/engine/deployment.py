"""Deployments: immutable builds of the user's code, from the wish to build one until it serves runs.

PENDING → (INSTALLING →) BUILDING → DEPLOYING, once a worker is registered for it, → DEPLOYED; from every
state before that it may become FAILED, CANCELED or TIMED_OUT (protocol E.6). Its version has its name from
the start, numbered together with the versions that a dev session registers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from trigger_core import ids, version
from trigger_core.errors import ConflictError, NotFoundError, UnprocessableError
from trigger_core.schemas.deployments import (
    DeploymentError,
    DeploymentProgress,
    DeploymentStatus,
    GitMeta,
    InitializeDeployment,
)
from trigger_core.schemas.workers import Registered, RegisterWorker
from trigger_platform.engine import environment as locking
from trigger_platform.engine import pending_version, worker_version
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import DeploymentRow, EnvironmentRow, ProjectRow, WorkerRow

__all__ = [
    "FINAL",
    "Images",
    "Initialized",
    "cancel",
    "current",
    "fail",
    "finalize",
    "find",
    "initialize",
    "is_current",
    "next_due",
    "progress",
    "promote",
    "register_worker",
    "time_out",
]

FINAL = frozenset({"DEPLOYED", "FAILED", "CANCELED", "TIMED_OUT"})
"""States that never change again."""

_STAGE_MS = 60 * 60_000
_NEXT: dict[str, DeploymentStatus] = {"PENDING": "INSTALLING", "INSTALLING": "BUILDING"}


@dataclass(frozen=True, slots=True)
class Initialized:
    """A deployment to build, or an existing one that needs no build; and builds that it took the place of."""

    deployment: DeploymentRow
    is_existing: bool
    is_current: bool = False
    canceled: list[DeploymentRow] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Images:
    """Where images are pushed to, and what they run on.

    Attributes:
        registry: host and folder, such as ``registry.example.com/trigger``.
        platform: such as ``linux/amd64``.
    """

    registry: str
    platform: str


def initialize(
    u: Unit, environment: EnvironmentRow, request: InitializeDeployment, images: Images
) -> Initialized:
    """Begin a deployment under the next free name (protocol E.3); without news for an hour it times out.

    What the same code was deployed as under the same external id is not built again, unless it is forced.

    Raises:
        UnprocessableError: it is forced without an external id.
        ConflictError: a build under the external id is under way, and it is not forced.
    """
    external_id = _external_id(request)
    name = worker_version.next_name(u, environment)
    canceled: list[DeploymentRow] = []
    if external_id is not None:
        if not request.force:
            known = _deployed_as(u, environment, external_id, request.content_hash)
            if known is not None:
                return Initialized(known, is_existing=True, is_current=is_current(u, known))
        canceled = _take_over(u, environment, external_id, force=request.force)
    project = u.tx.one("project_by_id", ProjectRow, id=environment.project_id)
    short_code = ids.short_code(u.rng)
    made = DeploymentRow(
        id=ids.deployment_id(u.rng),
        environment_id=environment.id,
        version=name,
        short_code=short_code,
        content_hash=request.content_hash,
        type=request.type,
        status=request.initial_status,
        worker_id=None,
        external_id=external_id,
        image_reference=f"{images.registry}/{project.ref}:{name}.{environment.word}.{short_code}",
        image_platform=images.platform,
        runtime=request.runtime,
        triggered_via=request.triggered_via,
        git=_json(request.git_meta),
        error=None,
        due_at=u.now + _STAGE_MS,
        created_at=u.now,
        deployed_at=None,
        ended_at=None,
    )
    u.insert("deployment_insert", [made])
    u.expect(made.due_at)
    _announce(u, made)
    return Initialized(made, is_existing=False, canceled=canceled)


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


def is_current(u: Unit, found: DeploymentRow) -> bool:
    """Tell whether unpinned runs execute on a deployment's version at this moment."""
    environment = u.tx.one("environment_by_id", EnvironmentRow, id=found.environment_id)
    return found.worker_id is not None and found.worker_id == environment.current_worker_id


def progress(
    u: Unit, environment: EnvironmentRow, deployment_id: str, request: DeploymentProgress
) -> DeploymentRow:
    """Note that the build has come further: PENDING, INSTALLING, BUILDING; and what became known of it.

    Raises:
        NotFoundError, ConflictError: there is none, or it is past that.
    """
    found = find(u, environment, deployment_id)
    if found.status not in _NEXT:
        raise _refused(found, "make progress")
    u.tx.run(
        "deployment_describe",
        id=found.id,
        content_hash=request.content_hash or found.content_hash,
        git=_json(request.git_meta) or found.git,
        runtime=request.runtime or found.runtime,
    )
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
    image_digest: str | None = None,
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
    image = f"{found.image_reference}@{image_digest}" if image_digest else found.image_reference
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
    u: Unit, environment: EnvironmentRow, deployment_id: str, error: DeploymentError
) -> DeploymentRow:
    """End a build that went wrong; one that has ended stays as it is."""
    found = find(u, environment, deployment_id)
    if found.status in FINAL:
        return found
    return _end(u, found, "FAILED", json.dumps(error.to_wire()))


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
    return _cancel(u, found, reason)


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


def _external_id(request: InitializeDeployment) -> str | None:
    external_id = (request.external_id or "").strip() or None
    if request.force and external_id is None:
        raise UnprocessableError(
            "only a build under an external id can be forced", status=422, code="NOTHING_TO_FORCE"
        )
    return external_id


def _deployed_as(
    u: Unit, environment: EnvironmentRow, external_id: str, content_hash: str
) -> DeploymentRow | None:
    """Return the highest version that serves the code under an external id."""
    found = u.tx.all(
        "deployments_deployed_as",
        DeploymentRow,
        environment_id=environment.id,
        external_id=external_id,
    )
    same = [one for one in found if one.content_hash == content_hash]
    return max(same, key=lambda one: version.sort_key(one.version), default=None)


def _take_over(
    u: Unit, environment: EnvironmentRow, external_id: str, *, force: bool
) -> list[DeploymentRow]:
    """End the builds under an external id that are under way, or refuse to build beside them."""
    found = u.tx.all(
        "deployments_under_way",
        DeploymentRow,
        environment_id=environment.id,
        external_id=external_id,
    )
    if found and not force:
        raise ConflictError(
            f"{external_id} is being deployed already, as version {found[-1].version}",
            status=409,
            code="DEPLOYMENT_UNDER_WAY",
            because=f"it is {found[-1].status}",
            hint="wait for it, or force the new one",
        )
    return [_cancel(u, one, "another build took its place") for one in found]


def _json(git: GitMeta | None) -> str | None:
    return json.dumps(git.to_wire()) if git else None


def _cancel(u: Unit, found: DeploymentRow, reason: str) -> DeploymentRow:
    return _end(u, found, "CANCELED", json.dumps({"name": "Canceled", "message": reason}))


def _end(u: Unit, found: DeploymentRow, status: DeploymentStatus, error: str) -> DeploymentRow:
    return _move(u, found, status, error=error, ended_at=u.now)


def _move(u: Unit, found: DeploymentRow, to: DeploymentStatus, **columns: Any) -> DeploymentRow:
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
