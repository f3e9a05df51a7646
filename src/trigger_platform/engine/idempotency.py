"""Idempotency keys: one live run per environment, task and key (engine 3.1)."""

from __future__ import annotations

from trigger_core import duration
from trigger_core.errors import ConflictingWriteError, InvalidDurationError
from trigger_platform.engine.states import RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import RunRow

__all__ = ["expiry", "find_run", "recall", "remember"]

_DEFAULT_LIFE_MS = 30 * 86_400_000
_REQUEST_LIFE_MS = 86_400_000
_LETS_GO = frozenset(
    {
        RunStatus.COMPLETED_WITH_ERRORS,
        RunStatus.SYSTEM_FAILURE,
        RunStatus.CRASHED,
        RunStatus.TIMED_OUT,
        RunStatus.EXPIRED,
    }
)
"""Outcomes after which a key makes a new run. A canceled run keeps its key, as in the original (W34)."""


def expiry(now: int, life: str | None) -> int:
    """Return when a key stops answering; a life that cannot be read means the default of 30 days."""
    if life is None:
        return now + _DEFAULT_LIFE_MS
    try:
        return now + duration.parse_ms(life)
    except InvalidDurationError:
        return now + _DEFAULT_LIFE_MS


def find_run(u: Unit, environment_id: str, task: str, key: str) -> RunRow | None:
    """Return the run that answers for a key; a run that lets go of it gives it up here."""
    run = u.tx.maybe(
        "run_by_idempotency_key",
        RunRow,
        environment_id=environment_id,
        task=task,
        idempotency_key=key,
    )
    if run is None:
        return None
    expired = run.idempotency_expires_at is not None and run.idempotency_expires_at <= u.now
    if not expired and run.status not in _LETS_GO:
        return run
    u.tx.run("run_clear_idempotency", id=run.id)
    return None


def recall(u: Unit, environment_id: str, scope: str, token: str) -> str | None:
    """Return the answer a request with this token got within the last 24 hours."""
    since = u.now - _REQUEST_LIFE_MS
    found: str | None = u.tx.scalar(
        "request_get", environment_id=environment_id, scope=scope, token=token, since=since
    )
    return found


def remember(u: Unit, environment_id: str, scope: str, token: str, result: str) -> None:
    """Keep the answer of a request.

    Raises:
        ConflictingWriteError: the same request was answered meanwhile.
    """
    kept = u.tx.run(
        "request_put",
        environment_id=environment_id,
        scope=scope,
        token=token,
        result=result,
        now=u.now,
        since=u.now - _REQUEST_LIFE_MS,
    )
    if kept == 0:
        raise ConflictingWriteError("the request was answered by somebody else")
