"""Worker groups: supervisors that share a token (``tr_wgt_``), of which the database knows the hash."""

from __future__ import annotations

from dataclasses import dataclass

from trigger_core import ids
from trigger_core.errors import ConflictError, NotFoundError
from trigger_platform.engine import access_token
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import WorkerGroupRow, as_params

__all__ = ["Made", "by_token", "create", "delete", "listed", "rotate", "seen"]


@dataclass(frozen=True, slots=True)
class Made:
    """A group and its token, which cannot be read again."""

    group: WorkerGroupRow
    token: str


def create(u: Unit, name: str, description: str | None = None) -> Made:
    """Create a group.

    Raises:
        ConflictError: there is one of this name.
    """
    if any(one.name == name for one in listed(u)):
        raise ConflictError(
            f"there is a worker group {name!r} already", status=409, code="WORKER_GROUP_EXISTS"
        )
    token = ids.worker_token()
    group = WorkerGroupRow(
        id=ids.worker_group_id(u.now, u.rng),
        name=name,
        description=description,
        type="MANAGED",
        token_hash=access_token.hash_of(token),
        last_heartbeat_at=None,
        updated_at=u.now,
        created_at=u.now,
    )
    u.tx.run("worker_group_insert", **as_params(group))
    return Made(group, token)


def rotate(u: Unit, name: str) -> Made:
    """Give a group another token; the one before opens nothing from now on.

    Raises:
        NotFoundError: there is no such group.
    """
    group, token = _named(u, name), ids.worker_token()
    u.tx.run("worker_group_rotate", id=group.id, token_hash=access_token.hash_of(token), now=u.now)
    return Made(group, token)


def delete(u: Unit, name: str) -> WorkerGroupRow:
    """Remove a group; its token opens nothing from now on.

    Raises:
        NotFoundError: there is no such group.
    """
    group = _named(u, name)
    u.tx.run("worker_group_delete", id=group.id)
    return group


def by_token(u: Unit, token: str) -> WorkerGroupRow | None:
    """Return the group a token is of."""
    return u.tx.maybe(
        "worker_group_by_token", WorkerGroupRow, token_hash=access_token.hash_of(token)
    )


def listed(u: Unit) -> list[WorkerGroupRow]:
    """Return every group, by name."""
    return u.tx.all("worker_groups", WorkerGroupRow)


def seen(u: Unit, group_id: str) -> None:
    """Note that a supervisor of the group is alive."""
    u.tx.run("worker_group_seen", id=group_id, now=u.now)


def _named(u: Unit, name: str) -> WorkerGroupRow:
    found = u.tx.maybe("worker_group_by_name", WorkerGroupRow, name=name)
    if found is None:
        raise NotFoundError(
            f"there is no worker group {name!r}", status=404, code="WORKER_GROUP_NOT_FOUND"
        )
    return found
