"""What the code of projects runs on in production (protocol A.20)."""

from __future__ import annotations

from trigger_core.schemas.base import NullableModel, WireList, WireModel

__all__ = [
    "CurrentRuntime",
    "ProjectRuntime",
    "ProjectRuntimes",
    "RuntimeEnvironment",
    "RuntimeOrganization",
    "RuntimeProject",
]


class RuntimeOrganization(WireModel):
    """An organisation by its name."""

    title: str
    slug: str


class RuntimeProject(WireModel):
    """A project by its names."""

    name: str
    slug: str
    external_ref: str


class RuntimeEnvironment(WireModel):
    """An environment by its slug."""

    slug: str


class CurrentRuntime(NullableModel):
    """The current deployment; ``nodeMajor`` is null for code in other languages."""

    runtime: str | None
    runtime_version: str | None
    node_major: int | None
    deployed_at: str | None
    short_code: str


class ProjectRuntime(NullableModel):
    """A project that has been used in production, and what is deployed there now."""

    organization: RuntimeOrganization
    project: RuntimeProject
    environment: RuntimeEnvironment
    deployment: CurrentRuntime | None


class ProjectRuntimes(WireList[ProjectRuntime]):
    """The answer of ``GET /api/v1/projects/runtimes``."""
