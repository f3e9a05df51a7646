"""Projects: the embedded platform makes one, with a development environment and a token, at first start."""

from __future__ import annotations

from dataclasses import dataclass

from trigger_core import ids
from trigger_platform.engine import access_token, environment_key, sealing
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, ProjectRow, as_params

__all__ = ["Ensured", "ensure"]

_DEV_CONCURRENCY = 100
_DEV_TTL_MS = 600_000


@dataclass(frozen=True, slots=True)
class Ensured:
    """A project that certainly exists, and the local user's token."""

    project: ProjectRow
    environment: EnvironmentRow
    access_token: str


def ensure(u: Unit, ref: str) -> Ensured:
    """Find the project by its reference, or create it with a development environment."""
    project = u.tx.maybe("project_by_ref", ProjectRow, ref=ref) or _create(u, ref)
    environment = u.tx.one("environment_by_slug", EnvironmentRow, project_id=project.id, slug="dev")
    return Ensured(project, environment, _local_token(u))


def _create(u: Unit, ref: str) -> ProjectRow:
    project = ProjectRow(id=ids.environment_id(u.now, u.rng), ref=ref, name=ref)
    u.tx.run("project_insert", id=project.id, ref=ref, name=project.name, now=u.now)
    environment_id = ids.environment_id(u.now, u.rng)
    u.tx.run(
        "environment_insert",
        id=environment_id,
        project_id=project.id,
        slug="dev",
        type="DEVELOPMENT",
        **as_params(environment_key.fresh(u.keys, environment_id, "dev")),
        concurrency_limit=_DEV_CONCURRENCY,
        burst_factor=1.0,
        default_ttl_ms=_DEV_TTL_MS,
        now=u.now,
    )
    return project


def _local_token(u: Unit) -> str:
    known = sealing.local_token(u)
    if known is not None:
        return known
    token = access_token.create(u, "local")
    sealing.keep_local_token(u, token)
    return token
