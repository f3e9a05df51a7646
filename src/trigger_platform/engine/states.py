"""The two layers of a run's state, and which moves between them are legal (engine section 2)."""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "EXECUTING_STATES",
    "FINAL_STATUSES",
    "HOLDING_STATES",
    "INITIAL_STATES",
    "LEASED_STATES",
    "LEGAL_MOVES",
    "ExecutionStatus",
    "RunStatus",
    "is_delayed",
    "is_final",
]


class RunStatus(StrEnum):
    """What the user sees (internal vocabulary, protocol H.1)."""

    DELAYED = "DELAYED"
    PENDING = "PENDING"
    PENDING_VERSION = "PENDING_VERSION"
    DEQUEUED = "DEQUEUED"
    EXECUTING = "EXECUTING"
    WAITING_TO_RESUME = "WAITING_TO_RESUME"
    CANCELED = "CANCELED"
    COMPLETED_SUCCESSFULLY = "COMPLETED_SUCCESSFULLY"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    SYSTEM_FAILURE = "SYSTEM_FAILURE"
    CRASHED = "CRASHED"
    EXPIRED = "EXPIRED"
    TIMED_OUT = "TIMED_OUT"


class ExecutionStatus(StrEnum):
    """What the engine is doing with the run (protocol H.2).

    QUEUED_EXECUTING is a run whose wait is over and whose process is alive, in line for a slot. SUSPENDED
    is reserved for runs whose process was checkpointed.
    """

    RUN_CREATED = "RUN_CREATED"
    DELAYED = "DELAYED"
    QUEUED = "QUEUED"
    PENDING_EXECUTING = "PENDING_EXECUTING"
    EXECUTING = "EXECUTING"
    EXECUTING_WITH_WAITPOINTS = "EXECUTING_WITH_WAITPOINTS"
    QUEUED_EXECUTING = "QUEUED_EXECUTING"
    SUSPENDED = "SUSPENDED"
    PENDING_CANCEL = "PENDING_CANCEL"
    FINISHED = "FINISHED"


_E = ExecutionStatus

FINAL_STATUSES = frozenset(
    {
        RunStatus.CANCELED,
        RunStatus.COMPLETED_SUCCESSFULLY,
        RunStatus.COMPLETED_WITH_ERRORS,
        RunStatus.SYSTEM_FAILURE,
        RunStatus.CRASHED,
        RunStatus.EXPIRED,
        RunStatus.TIMED_OUT,
    }
)

HOLDING_STATES = frozenset({_E.PENDING_EXECUTING, _E.EXECUTING})
"""States that hold a concurrency slot; a waiting run holds none, a canceled one keeps what it has."""

EXECUTING_STATES = frozenset({_E.EXECUTING, _E.EXECUTING_WITH_WAITPOINTS, _E.QUEUED_EXECUTING})
"""An attempt has started and its process is alive."""

LEASED_STATES = EXECUTING_STATES | {_E.PENDING_EXECUTING, _E.PENDING_CANCEL}
"""A worker answers for the run, and its lease runs out when the worker falls silent."""

INITIAL_STATES = frozenset({_E.RUN_CREATED, _E.DELAYED, _E.QUEUED, _E.FINISHED})
"""Where a run may begin; FINISHED is for one that could not be triggered and counts as failed."""

LEGAL_MOVES: dict[str, frozenset[str]] = {
    _E.RUN_CREATED: frozenset({_E.RUN_CREATED, _E.QUEUED, _E.DELAYED, _E.FINISHED}),
    _E.DELAYED: frozenset({_E.QUEUED, _E.DELAYED, _E.FINISHED}),
    _E.QUEUED: frozenset({_E.PENDING_EXECUTING, _E.RUN_CREATED, _E.FINISHED}),
    _E.PENDING_EXECUTING: frozenset({_E.EXECUTING, _E.QUEUED, _E.PENDING_CANCEL, _E.FINISHED}),
    _E.EXECUTING: frozenset(
        {
            _E.EXECUTING,
            _E.EXECUTING_WITH_WAITPOINTS,
            _E.QUEUED,
            _E.PENDING_CANCEL,
            _E.FINISHED,
        }
    ),
    _E.EXECUTING_WITH_WAITPOINTS: frozenset(
        {
            _E.EXECUTING,
            _E.QUEUED_EXECUTING,
            _E.QUEUED,
            _E.SUSPENDED,
            _E.PENDING_CANCEL,
            _E.FINISHED,
        }
    ),
    _E.QUEUED_EXECUTING: frozenset({_E.EXECUTING, _E.QUEUED, _E.PENDING_CANCEL, _E.FINISHED}),
    _E.SUSPENDED: frozenset({_E.QUEUED, _E.FINISHED}),
    _E.PENDING_CANCEL: frozenset({_E.FINISHED}),
    _E.FINISHED: frozenset(),
}


def is_final(status: str) -> bool:
    """Tell whether a run status is one that never changes again."""
    return status in FINAL_STATUSES


def is_delayed(execution_status: str, delay_until: int | None, now: int) -> bool:
    """Tell whether a run is before the end of its delay; one that waits for a version may have one too."""
    if execution_status == ExecutionStatus.RUN_CREATED:
        return delay_until is not None and delay_until > now
    return execution_status == ExecutionStatus.DELAYED
