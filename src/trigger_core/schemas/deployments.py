"""Deployments: reading them (protocol A.12, A.20), and making one (E)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, SerializerFunctionWrapHandler, StringConstraints, model_serializer

from trigger_core.schemas.base import WireModel
from trigger_core.schemas.runs import Page
from trigger_core.schemas.workers import RegisterWorker

__all__ = [
    "BuildProvider",
    "CancelDeployment",
    "CanceledDeployment",
    "DeploymentDetail",
    "DeploymentError",
    "DeploymentId",
    "DeploymentInitialized",
    "DeploymentItem",
    "DeploymentPage",
    "DeploymentProgress",
    "DeploymentStatus",
    "DeploymentTask",
    "DeploymentWorker",
    "FailDeployment",
    "FinalizeDeployment",
    "GitMeta",
    "IndexDeployment",
    "InitializeDeployment",
    "PromotedDeployment",
    "WorkerAddresses",
    "WorkerByTag",
    "WorkerDetail",
    "WorkerTask",
]

DeploymentStatus: TypeAlias = Literal[
    "PENDING", "INSTALLING", "BUILDING", "DEPLOYING", "DEPLOYED", "FAILED", "CANCELED", "TIMED_OUT"
]

_Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]


class GitMeta(WireModel):
    """Where the code of a deployment or of a preview branch comes from."""

    provider: str | None = None
    source: str | None = None
    gh_username: str | None = None
    gh_user_avatar_url: str | None = None
    commit_author_name: str | None = None
    commit_message: str | None = None
    commit_ref: str | None = None
    commit_sha: str | None = None
    dirty: bool | None = None
    remote_url: str | None = None
    pull_request_number: int | None = None
    pull_request_title: str | None = None
    pull_request_state: Literal["open", "closed", "merged"] | None = None


class InitializeDeployment(WireModel):
    """The body of ``POST /api/v1/deployments``."""

    content_hash: str
    type: Literal["MANAGED", "UNMANAGED", "V1"] = "MANAGED"
    runtime: str | None = None
    git_meta: GitMeta | None = None
    triggered_via: str | None = None
    initial_status: Literal["PENDING", "BUILDING"] = "PENDING"
    external_id: Annotated[str, StringConstraints(max_length=128)] | None = None
    force: bool = False
    is_native_build: bool = False


class CanceledDeployment(WireModel):
    """A build that was ended because another one takes its place."""

    version: str
    short_code: str


class DeploymentInitialized(WireModel):
    """The answer: what to build, under which tag; ``outcome`` is ``existing`` when there is no need to."""

    id: str
    content_hash: str
    short_code: str
    version: str
    image_tag: str
    image_platform: str
    external_id: str | None = None
    outcome: Literal["created", "existing"]
    is_promoted: bool | None = None
    canceled_deployments: list[CanceledDeployment] | None = None


class DeploymentTask(WireModel):
    """A task of a deployed version."""

    id: str
    slug: str
    file_path: str


class DeploymentWorker(WireModel):
    """The version that was registered for a deployment."""

    id: str
    version: str
    tasks: list[DeploymentTask]


class DeploymentError(WireModel):
    """Why a build failed."""

    name: str
    message: str
    stack: str | None = None
    stderr: str | None = None


class DeploymentDetail(WireModel):
    """The answer of ``GET /api/v1/deployments/{id}``."""

    id: str
    status: DeploymentStatus
    content_hash: str
    short_code: str
    version: str
    image_platform: str
    image_reference: str | None = None
    external_id: str | None = None
    commit_sha: str | None = Field(default=None, alias="commitSHA")
    error_data: DeploymentError | None = None
    canceled_reason: str | None = None
    created_at: str
    deployed_at: str | None = None
    worker: DeploymentWorker | None = None


class DeploymentItem(WireModel):
    """A deployment as lists show it. While packages are installed it counts as ``BUILDING``."""

    id: str
    created_at: str
    short_code: str
    version: str
    runtime: str | None
    runtime_version: str | None
    status: Literal[
        "PENDING", "BUILDING", "DEPLOYING", "DEPLOYED", "FAILED", "CANCELED", "TIMED_OUT"
    ]
    deployed_at: str | None = None
    git: GitMeta | None = None
    error: DeploymentError | None = None

    @model_serializer(mode="wrap")
    def _with_runtime(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Send the runtime even where there is none: clients insist on it."""
        given: dict[str, Any] = handler(self)
        return {"runtime": None, "runtimeVersion": None} | given


class DeploymentPage(WireModel):
    """The answer of ``GET /api/v1/deployments``, newest first."""

    data: list[DeploymentItem]
    pagination: Page = Page()


class IndexDeployment(RegisterWorker):
    """The body of ``POST /api/v1/deployments/{id}/background-workers``."""

    local_only: bool = False
    build_platform: str | None = None
    target_platform: str | None = None


class DeploymentProgress(WireModel):
    """The body of ``POST /api/v1/deployments/{id}/progress``: the build has come further."""

    content_hash: str | None = None
    git_meta: GitMeta | None = None
    runtime: str | None = None


class FinalizeDeployment(WireModel):
    """The body of ``POST /api/v3/deployments/{id}/finalize``."""

    image_digest: _Digest | None = None
    skip_promotion: bool = False


class FailDeployment(WireModel):
    """The body of ``POST /api/v1/deployments/{id}/fail``."""

    error: DeploymentError


class BuildProvider(WireModel):
    """The answer of ``GET /api/v1/remote-build-provider-status``."""

    status: Literal["operational", "degraded", "unknown"]
    message: str


class CancelDeployment(WireModel):
    """The body of ``POST /api/v1/deployments/{id}/cancel``."""

    reason: Annotated[str, StringConstraints(max_length=200)] = ""


class DeploymentId(WireModel):
    """A deployment by its id."""

    id: str


class PromotedDeployment(WireModel):
    """The answer of ``POST /api/v1/deployments/{version}/promote``."""

    id: str
    version: str
    short_code: str


class WorkerTask(WireModel):
    """A task of a version, with what a form to test it needs."""

    id: str
    slug: str
    file_path: str
    trigger_source: str
    created_at: str
    payload_schema: dict[str, Any] | None = None
    queue_config: dict[str, Any] | None = None


class WorkerDetail(WireModel):
    """A registered version of the user's code."""

    id: str
    version: str
    engine: Literal["V2"] = "V2"
    sdk_version: str
    cli_version: str | None = None
    tasks: list[WorkerTask]


class WorkerAddresses(WireModel):
    """Where to look further."""

    runs: str


class WorkerByTag(WireModel):
    """The answer of ``GET /api/v1/projects/{ref}/{env}/workers/{tag}``."""

    worker: WorkerDetail
    urls: WorkerAddresses
