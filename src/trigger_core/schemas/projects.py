"""Projects, environments, branches and who is asking (protocol A.20, B.2, D.1, E.2)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from trigger_core.schemas.base import NullableModel, WireList, WireModel
from trigger_core.schemas.organizations import OrganizationDetail

__all__ = [
    "ArchiveBranch",
    "ArchivedBranch",
    "Branch",
    "BranchEnvironment",
    "BranchId",
    "Branches",
    "CreateProject",
    "EnvironmentPause",
    "EnvironmentSummary",
    "Environments",
    "ProjectDetail",
    "ProjectEnvironment",
    "ProjectId",
    "ProjectInit",
    "ProjectName",
    "ProjectRuntime",
    "ProjectRuntimes",
    "Projects",
    "ReferredProject",
    "RunningDeployment",
    "SluggedEnvironment",
    "TitledOrganization",
    "UpsertBranch",
    "Whoami",
    "WhoamiProject",
]

BranchEnvironment = Literal["preview", "development"]


class ProjectEnvironment(WireModel):
    """The answer of ``GET /api/v1/projects/{ref}/{env}``."""

    api_key: str
    name: str
    api_url: str
    project_id: str


class WhoamiProject(WireModel):
    """A project that the asker named and may see."""

    name: str
    url: str
    org_title: str


class Whoami(WireModel):
    """The answer of ``GET /api/v2/whoami``."""

    user_id: str
    email: str
    dashboard_url: str
    project: WhoamiProject | None = None


class EnvironmentPause(WireModel):
    """The answer of ``POST /api/v1/projects/{ref}/{env}/pause`` and ``resume``."""

    id: str
    slug: str
    paused: bool


class ProjectDetail(WireModel):
    """A project with the organisation it belongs to."""

    id: str
    external_ref: str
    name: str
    slug: str
    created_at: str
    organization: OrganizationDetail


class Projects(WireList[ProjectDetail]):
    """Projects."""


class CreateProject(WireModel):
    """A project to be, or another name for one."""

    name: str = Field(min_length=1, max_length=255)


class ProjectName(WireModel):
    """The answer of a project that was renamed."""

    id: str
    name: str


class ProjectId(WireModel):
    """The answer of a project that was removed."""

    id: str


class ProjectInit(NullableModel):
    """When somebody set up a folder for the project first."""

    id: str
    initialized_at: str | None


class EnvironmentSummary(NullableModel):
    """An environment in the list of a project's."""

    id: str
    slug: str
    type: str
    is_branchable_environment: bool
    branch_name: str | None
    paused: bool


class Environments(WireList[EnvironmentSummary]):
    """Environments."""


class UpsertBranch(WireModel):
    """A branch to be made, or one to be brought up to date."""

    env: BranchEnvironment
    branch: str = Field(min_length=1, max_length=255)
    git: dict[str, Any] | None = None


class BranchId(WireModel):
    """The environment of a branch."""

    id: str


class Branch(WireModel):
    """A branch in the list of a project's."""

    id: str
    name: str
    created_at: str
    updated_at: str
    git: dict[str, Any] | None = None
    is_paused: bool


class Branches(WireModel):
    """The branches of a project."""

    branches: list[Branch]


class ArchiveBranch(WireModel):
    """A branch that is to go out of service."""

    env: BranchEnvironment = "preview"
    branch: str = Field(min_length=1, max_length=255)


class ArchivedBranch(WireModel):
    """A branch that went out of service."""

    success: bool
    branch: BranchId


class TitledOrganization(WireModel):
    """The organisation of a project, as lists across organisations show it."""

    title: str
    slug: str


class ReferredProject(WireModel):
    """A project, as lists across projects show it."""

    name: str
    slug: str
    external_ref: str


class SluggedEnvironment(WireModel):
    """An environment by the word that paths use."""

    slug: str


class RunningDeployment(NullableModel):
    """What a production runs on; ``node_major`` only where that is Node.js of a known version."""

    runtime: str | None = None
    runtime_version: str | None = None
    node_major: int | None = None
    deployed_at: str | None = None
    short_code: str


class ProjectRuntime(NullableModel):
    """A project's production; without a deployment when nothing was promoted there yet."""

    organization: TitledOrganization
    project: ReferredProject
    environment: SluggedEnvironment
    deployment: RunningDeployment | None = None


class ProjectRuntimes(WireList[ProjectRuntime]):
    """What the productions of the asker's projects run on."""
