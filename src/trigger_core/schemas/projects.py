"""Projects, environments and who is asking (protocol B.2, D.1)."""

from __future__ import annotations

from trigger_core.schemas.base import WireModel

__all__ = ["EnvironmentPause", "ProjectEnvironment", "Whoami", "WhoamiProject"]


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
