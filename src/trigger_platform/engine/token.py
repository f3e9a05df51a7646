"""Tokens: waitpoints that somebody outside completes, or that run out of time (protocol A.13)."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass

from trigger_core.errors import AuthenticationError, NotFoundError
from trigger_platform.engine import secret_key, waitpoint
from trigger_platform.engine.unit import Unit
from trigger_platform.engine.waitpoint import Completion
from trigger_platform.key_ring import KeyRing
from trigger_platform.store.rows import EnvironmentRow, WaitpointRow

__all__ = ["Made", "callback_hash", "complete", "create", "find", "timed_out", "verify"]

_TIMEOUT_CODE = "TRIGGER_WAITPOINT_TIMEOUT"


@dataclass(frozen=True, slots=True)
class Made:
    """A token; cached when a key found an earlier one."""

    token: WaitpointRow
    is_cached: bool


def create(
    u: Unit,
    environment: EnvironmentRow,
    *,
    timeout_at: int | None = None,
    tags: list[str] | None = None,
    key: str | None = None,
    key_expires_at: int | None = None,
) -> Made:
    """Create a token, or find the one that answers for a key."""
    known = _by_key(u, environment, key)
    if known is not None:
        return Made(known, is_cached=True)
    made = waitpoint.create(
        u,
        environment.id,
        "MANUAL",
        due_at=timeout_at,
        tags=json.dumps(tags) if tags else None,
        key=key or None,
        key_expires_at=key_expires_at,
    )
    return Made(made, is_cached=False)


def find(u: Unit, environment: EnvironmentRow, token_id: str) -> WaitpointRow:
    """Return a token.

    Raises:
        NotFoundError: the environment has none of this id.
    """
    found = u.tx.maybe("waitpoint_by_id", WaitpointRow, id=token_id, environment_id=environment.id)
    if found is None or found.type != "MANUAL":
        raise NotFoundError(f"there is no token {token_id}", status=404, code="WAITPOINT_NOT_FOUND")
    return found


def complete(
    u: Unit, environment: EnvironmentRow, token_id: str, output: str | None, output_type: str
) -> None:
    """Complete a token; one that is completed already keeps its output.

    Raises:
        NotFoundError: the environment has none of this id.
    """
    found = find(u, environment, token_id)
    waitpoint.complete(u, [Completion(found.id, output, output_type)])


def timed_out(token: WaitpointRow) -> Completion:
    """Return the end of a token that nobody completed in time."""
    error = {"code": _TIMEOUT_CODE, "message": "The token was not completed in time."}
    return Completion(token.id, json.dumps(error), "application/json", is_error=True)


def callback_hash(keys: KeyRing, environment: EnvironmentRow, token_id: str) -> str:
    """Return what makes a callback address unguessable."""
    message = token_id.removeprefix("waitpoint_").encode()
    return hmac.new(
        secret_key.read(keys, environment).encode(), message, hashlib.sha256
    ).hexdigest()


def verify(keys: KeyRing, signers: Sequence[EnvironmentRow], token_id: str, given: str) -> None:
    """Check the hash of a callback address; one that was made with a replaced key holds as long as that.

    Raises:
        AuthenticationError: it is not the right one.
    """
    expected = [callback_hash(keys, one, token_id).encode() for one in signers]
    if not any(hmac.compare_digest(one, given.encode()) for one in expected):
        raise AuthenticationError("the callback address is not valid", status=401)


def _by_key(u: Unit, environment: EnvironmentRow, key: str | None) -> WaitpointRow | None:
    if not key:
        return None
    known = u.tx.maybe("waitpoint_by_key", WaitpointRow, environment_id=environment.id, key=key)
    if known is None:
        return None
    if known.key_expires_at is not None and known.key_expires_at <= u.now:
        u.tx.run("waitpoint_retire_key", id=known.id)
        return None
    return known
