"""Environments: made, found by their key, owner or branch, and taken by who counts their slots.

A project has one of staging, production and preview, and one of development for each of its developers.
Those of development and preview have branches: environments of their own that the key of their parent opens.
"""

from __future__ import annotations

from trigger_core import ids
from trigger_core.errors import NotFoundError, UsageError
from trigger_platform.engine import secret_key
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, ProjectRow, as_params

__all__ = [
    "TYPES",
    "branch_of",
    "by_secret_key",
    "create_branch",
    "find_developers",
    "find_shared",
    "lock",
    "of_developer",
    "shared",
    "signer",
]

TYPES = {"dev": "DEVELOPMENT", "staging": "STAGING", "prod": "PRODUCTION", "preview": "PREVIEW"}
"""The types of environments by the word that a path calls them."""

_KEY_WORDS = {"dev": "dev", "staging": "stg", "prod": "prod", "preview": "preview"}
_CONCURRENCY = 100
_DEV_TTL_MS = 600_000


def by_secret_key(u: Unit, key: str) -> EnvironmentRow | None:
    """Return the environment a key opens, if there is one."""
    return u.tx.maybe(
        "environment_by_key", EnvironmentRow, secret_key_hash=secret_key.fingerprint(key)
    )


def branch_of(u: Unit, parent: EnvironmentRow, branch: str) -> EnvironmentRow | None:
    """Return a branch of an environment that is in service."""
    found = u.tx.maybe("environment_branch", EnvironmentRow, parent_id=parent.id, branch=branch)
    return None if found is None or found.archived_at is not None else found


def signer(u: Unit, environment_id: str) -> EnvironmentRow | None:
    """Return an environment with the key that signs for it: a branch has its parent's."""
    found = u.tx.maybe("environment_by_id", EnvironmentRow, id=environment_id)
    if found is None or found.parent_id is None:
        return found
    parent = u.tx.one("environment_by_id", EnvironmentRow, id=found.parent_id)
    return secret_key.lent(parent, found)


def find_developers(u: Unit, project: ProjectRow, user_id: str) -> EnvironmentRow | None:
    """Return a user's own environment of development, if there is one yet."""
    return u.tx.maybe(
        "environment_of_owner", EnvironmentRow, project_id=project.id, owner_id=user_id
    )


def of_developer(u: Unit, project: ProjectRow, user_id: str) -> EnvironmentRow:
    """Return a user's own environment of development, made when there is none yet."""
    found = find_developers(u, project, user_id)
    return found or _create(u, project, "dev", slug=f"dev-{user_id}", owner_id=user_id)


def find_shared(u: Unit, project: ProjectRow, word: str) -> EnvironmentRow | None:
    """Return the environment of a type that all members share, if there is one yet."""
    return u.tx.maybe(
        "environment_of_type", EnvironmentRow, project_id=project.id, type=TYPES[word]
    )


def shared(u: Unit, project: ProjectRow, word: str) -> EnvironmentRow:
    """Return the environment of a type that all members share, made when there is none yet."""
    return find_shared(u, project, word) or _create(u, project, word, slug=word)


def create_branch(u: Unit, parent: EnvironmentRow, branch: str) -> EnvironmentRow:
    """Create a branch of an environment.

    Raises:
        UsageError: environments of this type have no branches.
    """
    if parent.word not in {"dev", "preview"} or parent.parent_id is not None:
        raise UsageError(
            f"an environment of type {parent.type} has no branches", code="NO_BRANCHES"
        )
    project = u.tx.one("project_by_id", ProjectRow, id=parent.project_id)
    return _create(
        u,
        project,
        parent.word,
        slug=f"{parent.id}:{branch}",
        owner_id=parent.owner_id,
        parent_id=parent.id,
        branch=branch,
    )


def lock(u: Unit, environment_id: str) -> EnvironmentRow:
    """Take an environment until this unit ends, and return it as it is now.

    Limits are counted from the runs that hold slots, so two must not count and take at once. It is taken
    before the runs that are claimed, and before the seat of the worker that claims them.
    """
    return u.tx.one("environment_lock", EnvironmentRow, id=environment_id)


def _create(
    u: Unit,
    project: ProjectRow,
    word: str,
    *,
    slug: str,
    owner_id: str | None = None,
    parent_id: str | None = None,
    branch: str | None = None,
) -> EnvironmentRow:
    if project.deleted_at is not None:
        raise NotFoundError("Project not found", status=404, code="PROJECT_NOT_FOUND")
    id_ = ids.environment_id(u.now, u.rng)
    u.tx.run(
        "environment_insert",
        id=id_,
        project_id=project.id,
        slug=slug,
        type=TYPES[word],
        **as_params(secret_key.fresh(u.keys, parent_id or id_, _KEY_WORDS[word])),
        concurrency_limit=_CONCURRENCY,
        burst_factor=1.0,
        default_ttl_ms=_DEV_TTL_MS if word == "dev" else None,
        now=u.now,
    )
    u.tx.run(
        "environment_belongs",
        id=id_,
        owner_id=owner_id,
        parent_id=parent_id,
        branch=branch,
        now=u.now,
    )
    return u.tx.one("environment_by_id", EnvironmentRow, id=id_)
