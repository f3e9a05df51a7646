"""Environments: made, found by their key, owner or branch, and taken by who counts their slots.

A project has one of staging, production and preview, and one of development for each of its developers.
Those of development and preview have branches: environments of their own that the key of their parent opens.
"""

from __future__ import annotations

from dataclasses import replace

from trigger_core import ids
from trigger_core.errors import NotFoundError, UsageError
from trigger_platform.engine import secret_key
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, ProjectRow, SealedRow, as_params

__all__ = [
    "GRACE_MS",
    "SLUGS",
    "TYPES",
    "branch_of",
    "by_retired_key",
    "by_secret_key",
    "create_branch",
    "find_developers",
    "find_shared",
    "in_service",
    "key_word",
    "lock",
    "of_developer",
    "replace_key",
    "revoke_public_tokens",
    "shared",
    "signer",
    "signers",
]

TYPES = {"dev": "DEVELOPMENT", "staging": "STAGING", "prod": "PRODUCTION", "preview": "PREVIEW"}
"""The types of environments by the word that a path calls them."""

SLUGS = {"stg": "staging"}
"""Words that older data has for some of them."""

_KEY_WORDS = {"dev": "dev", "staging": "stg", "prod": "prod", "preview": "preview"}
GRACE_MS = 24 * 3600 * 1000
"""For how long a root key that was replaced still opens its environment."""

_CONCURRENCY = 100
_DEV_TTL_MS = 600_000


def by_secret_key(u: Unit, key: str) -> EnvironmentRow | None:
    """Return the environment a key opens, if there is one."""
    return u.tx.maybe(
        "environment_by_key", EnvironmentRow, secret_key_hash=secret_key.fingerprint(key)
    )


def by_retired_key(u: Unit, key: str) -> EnvironmentRow | None:
    """Return the environment that a replaced key still opens, with that key."""
    hashed = secret_key.fingerprint(key)
    return u.tx.maybe("retired_key_opens", EnvironmentRow, key_hash=hashed, now=u.now)


def replace_key(u: Unit, root: EnvironmentRow) -> EnvironmentRow:
    """Give an environment another root key; the one before opens it for a day more.

    Raises:
        UsageError: it is a branch, which its parent's key opens.
    """
    if root.parent_id is not None:
        raise UsageError("a branch has the key of its parent", code="NO_BRANCHES")
    root = lock(u, root.id)
    u.access = True
    u.tx.run("retired_keys_prune", now=u.now)
    u.tx.run(
        "retired_key_insert",
        key_hash=root.secret_key_hash,
        environment_id=root.id,
        sealed=root.secret_key_sealed,
        expires_at=u.now + GRACE_MS,
    )
    kept = secret_key.fresh(u.keys, root.id, key_word(root))
    u.tx.run("environment_rekey", id=root.id, **as_params(kept))
    return replace(root, **as_params(kept))


def revoke_public_tokens(u: Unit, root: EnvironmentRow) -> int:
    """Refuse public tokens, of an environment and its branches, that were signed until now; return when."""
    u.access = True
    u.tx.run("environment_tokens_since", id=root.id, now=u.now)
    return u.now


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


def in_service(u: Unit, environment_id: str) -> EnvironmentRow | None:
    """Return an environment that is in service, with the key that signs for it."""
    found = signer(u, environment_id)
    return None if found is None or found.archived_at is not None else found


def signers(u: Unit, environment_id: str) -> list[EnvironmentRow]:
    """Return an environment in service with each of the keys whose signatures hold, the current one first."""
    current = in_service(u, environment_id)
    if current is None:
        return []
    root_id = current.parent_id or current.id
    retired = u.tx.all("retired_keys_of", SealedRow, environment_id=root_id, now=u.now)
    return [current, *(replace(current, secret_key_sealed=one.sealed) for one in retired)]


def find_developers(u: Unit, project: ProjectRow, user_id: str) -> EnvironmentRow | None:
    """Return a user's own environment of development, if there is one yet."""
    return u.tx.maybe(
        "environment_of_owner", EnvironmentRow, project_id=project.id, owner_id=user_id
    )


def of_developer(u: Unit, project: ProjectRow, user_id: str) -> EnvironmentRow:
    """Return a user's own environment of development, made when there is none yet.

    One that went out of service, because the user left the organisation, comes back.
    """
    found = find_developers(u, project, user_id)
    if found is not None and found.archived_at is not None:
        u.access = True
        u.tx.run("environment_archive", id=found.id, archived_at=None)
        found = replace(found, archived_at=None)
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


def key_word(environment: EnvironmentRow) -> str:
    """Return the word that an environment's keys begin with, after ``tr_``."""
    return _KEY_WORDS[environment.word]


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
