"""Pausing an environment and letting it go on (protocol A.20)."""

from __future__ import annotations

from typing import Any

from trigger_core import clock
from trigger_core.schemas.auth import RegeneratedKey
from trigger_core.schemas.projects import EnvironmentPause
from trigger_platform.engine import environment, environment_limit, secret_key
from trigger_platform.engine.unit import Unit
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, Reply, endpoint

__all__ = ["pause_environment", "regenerate_key", "resume_environment"]


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


@endpoint(
    "POST",
    "/api/v1/projects/{project_ref}/{env}/regenerate-api-key",
    access=Access.KEY_REPLACER,
    returns=RegeneratedKey,
)
async def regenerate_key(call: Incoming[None]) -> Reply:
    """Give an environment another secret key; the one before opens it for a day more."""

    def work(u: Unit) -> RegeneratedKey:
        changed = environment.replace_key(u, call.principal.environment)
        until = clock.to_iso(u.now + environment.GRACE_MS)
        return RegeneratedKey(
            api_key=secret_key.read(u.keys, changed), previous_key_expires_at=until
        )

    made = await call.once_for_caller(RegeneratedKey, work, shows_secret=True)
    return Reply(made, {"cache-control": "no-store"})


async def _pause(call: Incoming[Any], *, paused: bool) -> EnvironmentPause:
    changed = await call.server.write(environment_limit.pause, call.environment_id, paused=paused)
    return EnvironmentPause(id=changed.id, slug=changed.word, paused=bool(changed.paused))
