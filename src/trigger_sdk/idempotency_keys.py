"""Idempotency keys, hashed the way every client hashes them (protocol 0.5)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from trigger_sdk import _lazy
from trigger_sdk._host import current_run

if TYPE_CHECKING:
    from trigger_sdk.item import TaskTarget

__all__ = [
    "IdempotencyKey",
    "Key",
    "Scope",
    "create",
    "of_payload",
    "reset",
    "reset_sync",
    "salted",
    "to_hash",
]

Scope: TypeAlias = Literal["run", "attempt", "global"]

_HASH_LENGTH = 64


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A hashed key; remembers what the user wrote and what it was salted with."""

    hash: str
    key: str
    scope: Scope | None


Key: TypeAlias = "str | list[str] | IdempotencyKey"
"""A text or parts of one, salted with the current run inside of one, or a key made by :func:`create`.

As an option of a trigger, ``"payload"`` derives the key from the payload.
"""

_PAYLOAD_DIGITS = 32


def create(key: str | list[str], *, scope: Scope = "run") -> IdempotencyKey:
    """Make a key. ``run`` salts it with the current run, ``attempt`` with its attempt too, ``global`` not.

    Outside a run there is nothing to salt with. A text of 64 characters is taken as hashed already.
    """
    parts = [key] if isinstance(key, str) else list(key)
    written = "-".join(parts)
    if isinstance(key, str) and len(key) == _HASH_LENGTH:
        return IdempotencyKey(key, key, None)
    return IdempotencyKey(_digest([*parts, *_salt(scope)]), written, scope)


def salted(key: str | list[str], *salt: str) -> str:
    """Return the hash of a key that was triggered in another run: ``salt`` is its id, perhaps its attempt."""
    if isinstance(key, str) and len(key) == _HASH_LENGTH:
        return key
    return _digest([*([key] if isinstance(key, str) else key), *salt])


def of_payload(data: str | None) -> IdempotencyKey:
    """Make a key of a payload's text: equal payloads have equal keys, whatever the order of their members."""
    try:
        text = json.dumps(json.loads(data or "null"), sort_keys=True)
    except ValueError:
        text = data or ""
    return create(f"payload-{hashlib.sha256(text.encode()).hexdigest()[:_PAYLOAD_DIGITS]}")


async def reset(
    task: TaskTarget[Any] | str,
    key: Key,
    *,
    scope: Scope = "run",
    run_id: str | None = None,
    attempt: int | None = None,
) -> None:
    """Free a key, so that the next trigger of the task makes a new run.

    A key made by :func:`create` needs nothing else. A text needs to be salted as it was for the trigger:
    inside a run with that run, outside with ``run_id`` (and ``attempt``), if it was triggered in a run.

    Raises:
        NotFoundError: no run of the task answers for the key.
    """
    await _lazy.remote()().reset_key(_task_id(task), _hash_of(key, scope, run_id, attempt))


def reset_sync(
    task: TaskTarget[Any] | str,
    key: Key,
    *,
    scope: Scope = "run",
    run_id: str | None = None,
    attempt: int | None = None,
) -> None:
    """Free a key, blocking; see :func:`reset`."""
    _lazy.remote()().reset_key_sync(_task_id(task), _hash_of(key, scope, run_id, attempt))


def to_hash(key: Key) -> str:
    """Return the hash of a key that may not be made yet."""
    return key.hash if isinstance(key, IdempotencyKey) else create(key).hash


def _salt(scope: Scope) -> list[str]:
    active = current_run.get()
    if active is None or scope == "global":
        return []
    if scope == "run":
        return [active.ctx.run.id]
    return [active.ctx.run.id, str(active.ctx.attempt.number)]


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("-".join(parts).encode()).hexdigest()


def _hash_of(key: Key, scope: Scope, run_id: str | None, attempt: int | None) -> str:
    if isinstance(key, IdempotencyKey) or run_id is None:
        return key.hash if isinstance(key, IdempotencyKey) else create(key, scope=scope).hash
    salt = {"global": [], "run": [run_id], "attempt": [run_id, str(attempt or 1)]}
    return salted(key, *salt[scope])


def _task_id(task: TaskTarget[Any] | str) -> str:
    return task if isinstance(task, str) else task.id
