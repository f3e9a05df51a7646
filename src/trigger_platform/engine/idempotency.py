"""Idempotency keys: one live run per environment, task and key (engine 3.1)."""

from __future__ import annotations

import json

from trigger_core import duration
from trigger_core.errors import InvalidDurationError, NotFoundError
from trigger_platform.engine.states import RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, RunRow

__all__ = ["expiry", "find_run", "reset", "written"]

_DEFAULT_LIFE_MS = 30 * 86_400_000
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
    """Return when a key stops answering; a life that cannot be read means the default of 30 days.

    ``1h30m`` is read as well; the original takes one number with one unit and ignores anything else.
    """
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


def reset(u: Unit, environment: EnvironmentRow, key: str, task: str) -> None:
    """Free a key, whatever became of its run: the next trigger makes a new one (protocol A.14).

    Raises:
        NotFoundError: no run of the task answers for it.
    """
    freed = u.tx.run(
        "runs_clear_idempotency", environment_id=environment.id, task=task, idempotency_key=key
    )
    if not freed:
        raise NotFoundError(
            f"no run of {task} answers for this key", status=404, code="IDEMPOTENCY_KEY_UNKNOWN"
        )


def written(run: RunRow) -> str | None:
    """Return a run's key as the user wrote it."""
    if run.idempotency_options:
        key: str = json.loads(run.idempotency_options)["key"]
        return key
    return run.idempotency_key
