"""Pausing an environment and letting it go on (protocol A.20)."""

from __future__ import annotations

from typing import Any

from trigger_core.schemas.projects import EnvironmentPause
from trigger_platform.engine import environment_limit
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint

__all__ = ["pause_environment", "resume_environment"]


@endpoint(
    "POST",
    "/api/v1/projects/{project_ref}/{env}/pause",
    access=Access.ENVIRONMENT_OR_ADMIN,
    returns=EnvironmentPause,
)
async def pause_environment(call: Incoming[None]) -> EnvironmentPause:
    """Start nothing new in an environment; runs under way go on, triggers are accepted."""
    return await _pause(call, paused=True)


@endpoint(
    "POST",
    "/api/v1/projects/{project_ref}/{env}/resume",
    access=Access.ENVIRONMENT_OR_ADMIN,
    returns=EnvironmentPause,
)
async def resume_environment(call: Incoming[None]) -> EnvironmentPause:
    """Let an environment go on."""
    return await _pause(call, paused=False)


async def _pause(call: Incoming[Any], *, paused: bool) -> EnvironmentPause:
    changed = await call.server.write(environment_limit.pause, call.environment_id, paused=paused)
    return EnvironmentPause(id=changed.id, slug=changed.word, paused=bool(changed.paused))
