"""Queues while they work: look at them, pause them, change their limits (protocol A.10).

A queue is given as a :class:`~trigger_sdk.queue.Queue`, as a task (its own queue), as ``{"type": "task",
"name": "hello-world"}`` or ``{"type": "custom", "name": "orders"}``, or as text: its name,
``task/<task id>`` or its id.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypedDict

from trigger_core.errors import UsageError
from trigger_sdk import _lazy
from trigger_sdk.queue import Queue

if TYPE_CHECKING:
    from trigger_core.schemas.queues import QueueDetail

__all__ = [
    "QueueChange",
    "QueueRef",
    "TaskLike",
    "TypedQueue",
    "list",
    "list_sync",
    "override_concurrency_limit",
    "override_concurrency_limit_sync",
    "pause",
    "pause_sync",
    "reset_concurrency_limit",
    "reset_concurrency_limit_sync",
    "resume",
    "resume_sync",
    "retrieve",
    "retrieve_sync",
]


class TypedQueue(TypedDict):
    """A queue by its task's id or by its own name."""

    type: Literal["task", "custom"]
    name: str


class TaskLike(Protocol):
    """A task, of which only the id counts here."""

    @property
    def id(self) -> str:
        """The task's id."""
        ...


QueueRef: TypeAlias = Queue | TypedQueue | TaskLike | str


@dataclass(frozen=True, slots=True)
class QueueChange:
    """What to do with a queue: internal to the SDK."""

    verb: Literal["retrieve", "pause", "resume", "override", "reset"]
    queue: str
    limit: int | None = None
    percent: float | None = None


async def list() -> AsyncIterator[QueueDetail]:  # noqa: A001 - the word users know
    """Go through the queues of the environment in the order of their names."""
    async for queue in _lazy.remote()().queues():
        yield queue


def list_sync() -> Iterator[QueueDetail]:
    """Go through the queues likewise, blocking."""
    yield from _lazy.remote()().queues_sync()


async def retrieve(queue: QueueRef) -> QueueDetail:
    """Read a queue: its limit, whether it is paused, how many runs execute and wait.

    Raises:
        NotFoundError: the environment has no such queue.
    """
    return await _lazy.remote()().queue(QueueChange("retrieve", _name(queue)))


def retrieve_sync(queue: QueueRef) -> QueueDetail:
    """Read a queue, blocking."""
    return _lazy.remote()().queue_sync(QueueChange("retrieve", _name(queue)))


async def pause(queue: QueueRef) -> QueueDetail:
    """Start nothing new in a queue; runs that execute go on. It stays paused over deploys."""
    return await _lazy.remote()().queue(QueueChange("pause", _name(queue)))


def pause_sync(queue: QueueRef) -> QueueDetail:
    """Pause a queue, blocking."""
    return _lazy.remote()().queue_sync(QueueChange("pause", _name(queue)))


async def resume(queue: QueueRef) -> QueueDetail:
    """Let a paused queue go on."""
    return await _lazy.remote()().queue(QueueChange("resume", _name(queue)))


def resume_sync(queue: QueueRef) -> QueueDetail:
    """Let a paused queue go on, blocking."""
    return _lazy.remote()().queue_sync(QueueChange("resume", _name(queue)))


async def override_concurrency_limit(
    queue: QueueRef, limit: int | None = None, *, percent: float | None = None
) -> QueueDetail:
    """Put a limit in the place of the one the code declares; deploys do not change it.

    Args:
        queue: which.
        limit: how many runs of one concurrency key may execute at once; 0 stops the queue.
        percent: instead of ``limit``: the share of the environment's limit, over 0 and up to 100.

    Raises:
        UsageError: not exactly one of the two is given.
    """
    return await _lazy.remote()().queue(_override(queue, limit, percent))


def override_concurrency_limit_sync(
    queue: QueueRef, limit: int | None = None, *, percent: float | None = None
) -> QueueDetail:
    """Override a limit, blocking."""
    return _lazy.remote()().queue_sync(_override(queue, limit, percent))


async def reset_concurrency_limit(queue: QueueRef) -> QueueDetail:
    """Let the limit count again that the code declares."""
    return await _lazy.remote()().queue(QueueChange("reset", _name(queue)))


def reset_concurrency_limit_sync(queue: QueueRef) -> QueueDetail:
    """Reset a limit, blocking."""
    return _lazy.remote()().queue_sync(QueueChange("reset", _name(queue)))


def _override(queue: QueueRef, limit: int | None, percent: float | None) -> QueueChange:
    if (limit is None) == (percent is None):
        raise UsageError("give either a limit or percent")
    return QueueChange("override", _name(queue), limit, percent)


def _name(queue: QueueRef) -> str:
    if isinstance(queue, str):
        return queue
    if isinstance(queue, Queue):
        return queue.name
    if isinstance(queue, dict):
        return f"task/{queue['name']}" if queue["type"] == "task" else queue["name"]
    return f"task/{queue.id}"
