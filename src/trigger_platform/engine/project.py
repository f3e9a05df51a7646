"""Projects: the embedded platform makes one, with a development environment and a token, at first start."""

from __future__ import annotations

from dataclasses import dataclass

from trigger_core import ids
from trigger_platform.engine import access_token
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, ProjectRow

__all__ = ["Ensured", "ensure"]

_LOCAL_TOKEN = "local-access-token"  # noqa: S105 - the name of a setting
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
    u.tx.run(
        "environment_insert",
        id=ids.environment_id(u.now, u.rng),
        project_id=project.id,
        slug="dev",
        type="DEVELOPMENT",
        secret_key=ids.secret_key("dev"),
        concurrency_limit=_DEV_CONCURRENCY,
        burst_factor=1.0,
        default_ttl_ms=_DEV_TTL_MS,
        now=u.now,
    )
    return project


def _local_token(u: Unit) -> str:
    """The embedded platform keeps the token beside the data it protects, in a file only the user can read."""
    known: str | None = u.tx.scalar("setting_get", name=_LOCAL_TOKEN)
    if known is not None:
        return known
    token = access_token.create(u, "local")
    u.tx.run("setting_set", name=_LOCAL_TOKEN, value=token)
    return token
