"""The concurrency keys of a queue whose runs wait, those that wait the longest first."""

from __future__ import annotations

from dataclasses import dataclass

from trigger_platform.engine import pool, queue
from trigger_platform.engine.queue import Kind
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["KeyRow", "KeyRows", "page"]


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key: how many of its runs wait, since when the first of them does, how many hold a slot."""

    key: str
    queued: int
    since: int
    running: int


@dataclass(frozen=True, slots=True)
class KeyRows:
    """Some keys, and how many there are in all."""

    keys: list[KeyRow]
    total: int


def page(
    u: Unit, environment: EnvironmentRow, kind: Kind, name: str, *, number: int, size: int
) -> KeyRows:
    """Return a page; the first has the number 1. Runs without a key stand under the empty one.

    Raises:
        NotFoundError: the environment has no such queue.
    """
    found = queue.find(u, environment, kind, name).queue
    where = {"queue": found.name, "pools": pool.everything(u, environment)}
    page = {"limit": size, "offset": (number - 1) * size}
    keys = u.tx.all("queue_keys", KeyRow, environment_id=environment.id, **where, **page)
    return KeyRows(keys, int(u.tx.scalar("queue_keys_count", **where)))
