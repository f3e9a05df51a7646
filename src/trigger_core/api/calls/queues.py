"""Queues (protocol A.10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from trigger_core.api.call import Call, reading
from trigger_core.schemas.queues import QueueDetail, QueueKeyPage, QueueKind, QueuePage

__all__ = ["QueueAddress", "address", "keys", "list_page", "override", "pause", "reset", "retrieve"]

_QUEUES = "/api/v1/queues"
_TASK = "task/"
_ID = "queue_"


@dataclass(frozen=True, slots=True)
class QueueAddress:
    """One queue, by its id, by its task's id, or by its own name."""

    kind: QueueKind
    name: str

    def path(self, suffix: str = "") -> str:
        """Return its path. A slash is encoded twice, so that no server on the way takes it for its own."""
        return f"{_QUEUES}/{quote(self.name.replace('/', '%2F'), safe='')}{suffix}"


def address(text: str) -> QueueAddress:
    """Read what people write: ``queue_…`` is an id, ``task/…`` a task's queue, all else a queue's name."""
    if text.startswith(_ID):
        return QueueAddress("id", text)
    if text.startswith(_TASK):
        return QueueAddress("task", text.removeprefix(_TASK))
    return QueueAddress("custom", text)


def list_page(*, page: int = 1, per_page: int = 100) -> Call[QueuePage]:
    """Read a page of queues in the order of their names; the first page is 1."""
    params = {"page": str(page), "perPage": str(per_page)}
    return Call("GET", _QUEUES, reading(QueuePage), params=params)


def retrieve(queue: QueueAddress) -> Call[QueueDetail]:
    """Read a queue."""
    return Call("GET", queue.path(), reading(QueueDetail), params={"type": queue.kind})


def keys(queue: QueueAddress, *, page: int = 1, per_page: int = 100) -> Call[QueueKeyPage]:
    """Read which concurrency keys wait, those that do the longest first."""
    params = {"type": queue.kind, "page": str(page), "perPage": str(per_page)}
    return Call("GET", queue.path("/keys"), reading(QueueKeyPage), params=params)


def pause(queue: QueueAddress, *, paused: bool) -> Call[QueueDetail]:
    """Start nothing new in a queue, or go on."""
    action = "pause" if paused else "resume"
    return _post(queue, "/pause", {"action": action})


def override(
    queue: QueueAddress, *, limit: int | None = None, percent: float | None = None
) -> Call[QueueDetail]:
    """Put a limit in the place of the declared one: a number, or a share of the environment's limit."""
    given = {"concurrencyLimit": limit, "percent": percent}
    body = {key: value for key, value in given.items() if value is not None}
    return _post(queue, "/concurrency/override", body)


def reset(queue: QueueAddress) -> Call[QueueDetail]:
    """Let the declared limit count again."""
    return _post(queue, "/concurrency/reset", {})


def _post(queue: QueueAddress, suffix: str, body: dict[str, Any]) -> Call[QueueDetail]:
    return Call("POST", queue.path(suffix), reading(QueueDetail), body={"type": queue.kind} | body)
