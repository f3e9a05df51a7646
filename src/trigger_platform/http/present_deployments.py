"""Deployments and versions on the wire (protocol A.12, A.20, E)."""

from __future__ import annotations

import json
import re
from typing import Any

from trigger_core import clock, ids
from trigger_core.schemas.deployments import (
    CanceledDeployment,
    DeploymentDetail,
    DeploymentError,
    DeploymentInitialized,
    DeploymentItem,
    DeploymentPage,
    DeploymentTask,
    DeploymentWorker,
    PromotedDeployment,
    WorkerDetail,
    WorkerTask,
)
from trigger_core.schemas.projects import (
    ProjectRuntime,
    ReferredProject,
    RunningDeployment,
    SluggedEnvironment,
    TitledOrganization,
)
from trigger_core.schemas.runs import Page
from trigger_platform.engine.deployment import Initialized
from trigger_platform.reads.deployments import DeploymentPageRows, FullDeployment, FullVersion
from trigger_platform.reads.project_runtimes import Production
from trigger_platform.store.rows import DeploymentRow, TaskRow

__all__ = ["detail", "initialized", "item", "page", "production", "promoted", "version"]

_NODE_VERSION = re.compile(r"([0-9]+)(\.[0-9]+){1,2}([-+].*)?\Z")


def initialized(made: Initialized) -> DeploymentInitialized:
    """Return the answer to the wish to build."""
    row = made.deployment
    canceled = [
        CanceledDeployment(version=o.version, short_code=o.short_code) for o in made.canceled
    ]
    return DeploymentInitialized(
        id=row.id,
        content_hash=row.content_hash,
        short_code=row.short_code,
        version=row.version,
        image_tag=row.image_reference or "",
        image_platform=row.image_platform,
        external_id=row.external_id,
        outcome="existing" if made.is_existing else "created",
        is_promoted=made.is_current if made.is_existing else None,
        canceled_deployments=canceled or None,
    )


def detail(found: FullDeployment) -> DeploymentDetail:
    """Return one deployment."""
    row = found.row
    git = _git(row)
    error = _error(row)
    is_canceled = row.status == "CANCELED"
    return DeploymentDetail.model_validate(
        {
            "id": row.id,
            "status": row.status,
            "content_hash": row.content_hash,
            "short_code": row.short_code,
            "version": row.version,
            "image_platform": row.image_platform,
            "image_reference": row.image_reference,
            "external_id": row.external_id,
            "commit_sha": git.get("commitSha") if git else None,
            "error_data": None if is_canceled else error,
            "canceled_reason": error.message if is_canceled and error else None,
            "created_at": clock.to_iso(row.created_at),
            "deployed_at": _iso(row.deployed_at),
            "worker": _worker(found.version) if found.version else None,
        }
    )


def production(found: Production) -> ProjectRuntime:
    """Return what a project's production runs on."""
    view, current = found.view, found.deployment
    return ProjectRuntime(
        organization=TitledOrganization(title=view.organization.title, slug=view.organization.slug),
        project=ReferredProject(
            name=view.project.name, slug=view.project.slug, external_ref=view.project.ref
        ),
        environment=SluggedEnvironment(slug="prod"),
        deployment=None if current is None else _running(current),
    )


def _running(current: FullDeployment) -> RunningDeployment:
    shown = item(current)
    is_node = shown.runtime is not None and shown.runtime.startswith("node")
    known = _NODE_VERSION.match(shown.runtime_version or "") if is_node else None
    return RunningDeployment(
        runtime=shown.runtime,
        runtime_version=shown.runtime_version,
        node_major=int(known[1]) if known else None,
        deployed_at=shown.deployed_at,
        short_code=shown.short_code,
    )


def item(found: FullDeployment) -> DeploymentItem:
    """Return a deployment as lists show it."""
    row = found.row
    said = json.loads(found.version.row.metadata) if found.version else {}
    return DeploymentItem.model_validate(
        {
            "id": row.id,
            "created_at": clock.to_iso(row.created_at),
            "short_code": row.short_code,
            "version": row.version,
            "runtime": said.get("runtime") or row.runtime,
            "runtime_version": said.get("runtimeVersion"),
            "status": "BUILDING" if row.status == "INSTALLING" else row.status,
            "deployed_at": _iso(row.deployed_at),
            "git": _git(row),
            "error": _error(row),
        }
    )


def page(rows: DeploymentPageRows) -> DeploymentPage:
    """Return a page of deployments."""
    return DeploymentPage(
        data=[item(one) for one in rows.deployments],
        pagination=Page(next=rows.next, previous=rows.previous),
    )


def promoted(row: DeploymentRow) -> PromotedDeployment:
    """Return which deployment is current now."""
    return PromotedDeployment(id=row.id, version=row.version, short_code=row.short_code)


def version(found: FullVersion) -> WorkerDetail:
    """Return a version with its tasks."""
    row = found.row
    return WorkerDetail(
        id=row.id,
        version=row.version,
        sdk_version=row.sdk_version,
        cli_version=json.loads(row.metadata).get("cliVersion"),
        tasks=[_task(one, clock.to_iso(row.created_at)) for one in found.tasks],
    )


def _worker(found: FullVersion) -> DeploymentWorker:
    tasks = [
        DeploymentTask(
            id=ids.task_id(one.worker_id, one.task), slug=one.task, file_path=one.file_path
        )
        for one in found.tasks
    ]
    return DeploymentWorker(id=found.row.id, version=found.row.version, tasks=tasks)


def _task(row: TaskRow, created_at: str) -> WorkerTask:
    return WorkerTask(
        id=ids.task_id(row.worker_id, row.task),
        slug=row.task,
        file_path=row.file_path,
        trigger_source=row.trigger_source,
        created_at=created_at,
        payload_schema=json.loads(row.payload_schema) if row.payload_schema else None,
        queue_config={"name": row.queue},
    )


def _git(row: DeploymentRow) -> dict[str, Any] | None:
    found: dict[str, Any] | None = json.loads(row.git) if row.git else None
    return found


def _error(row: DeploymentRow) -> DeploymentError | None:
    return DeploymentError.model_validate_json(row.error) if row.error else None


def _iso(moment: int | None) -> str | None:
    return None if moment is None else clock.to_iso(moment)
