"""A request that its sender may send again: what it was answered is kept in the transaction that acts.

A sender whose connection broke cannot know whether it was heard, so it repeats itself under the same mark
(protocol 0.5). Whatever dies when, either nothing happened and the repetition acts, or the answer is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from trigger_core.errors import ConflictingWriteError
from trigger_core.schemas.base import WireModel
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["RequestKey", "once", "recall", "remember"]

M = TypeVar("M", bound=WireModel)

_LIFE_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What makes two requests of an environment the same: what is asked for, and the sender's mark."""

    scope: str
    token: str


def once(
    u: Unit,
    environment: EnvironmentRow,
    key: RequestKey | None,
    kind: type[M],
    act: Callable[[Unit, EnvironmentRow], M],
) -> M:
    """Act, unless the same request was answered within a day: then return that answer.

    Raises:
        TriggerError: ``act`` does; nothing is remembered then.
    """
    known = recall(u, environment, key)
    if known is not None:
        return kind.model_validate_json(known)
    answer = act(u, environment)
    remember(u, environment, key, answer.model_dump_json(by_alias=True, exclude_none=True))
    return answer


def recall(u: Unit, environment: EnvironmentRow, key: RequestKey | None) -> str | None:
    """Return what was remembered of the same request."""
    if key is None:
        return None
    found: str | None = u.tx.scalar(
        "request_get",
        environment_id=environment.id,
        scope=key.scope,
        token=key.token,
        since=u.now - _LIFE_MS,
    )
    return found


def remember(u: Unit, environment: EnvironmentRow, key: RequestKey | None, result: str) -> None:
    """Keep what a request came to.

    Raises:
        ConflictingWriteError: the same request was answered meanwhile.
    """
    if key is None:
        return
    kept = u.tx.run(
        "request_put",
        environment_id=environment.id,
        scope=key.scope,
        token=key.token,
        result=result,
        now=u.now,
        since=u.now - _LIFE_MS,
    )
    if kept == 0:
        raise ConflictingWriteError("the request was answered by somebody else")
