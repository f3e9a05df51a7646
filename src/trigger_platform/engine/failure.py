"""What a failed attempt leads to: another attempt or a final status (engine 2.7, 3.4, protocol H.4)."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

from trigger_core.retry import ATTEMPTS_CEILING, IMMEDIATE_BELOW_MS, RetryPolicy
from trigger_core.schemas.workers import Failed, TaskError
from trigger_platform.engine.states import RunStatus
from trigger_platform.store.rows import RunRow

__all__ = [
    "Decision",
    "Final",
    "Retry",
    "decide",
    "final_status",
    "internal_error",
    "plain_error",
    "policy_of",
]

_CANCELED = "TASK_RUN_CANCELLED"

_WITH_ERRORS = frozenset(
    {
        "RECURSIVE_WAIT_DEADLOCK",
        "TASK_INPUT_ERROR",
        "TASK_MIDDLEWARE_ERROR",
        "TASK_OUTPUT_ERROR",
        "TASK_RUN_STALLED_EXECUTING",
        "TASK_RUN_STALLED_EXECUTING_WITH_WAITPOINTS",
        "TASK_RUN_UNCAUGHT_EXCEPTION",
    }
)
_CRASHED = frozenset(
    {
        "DISK_SPACE_EXCEEDED",
        "HANDLE_ERROR_ERROR",
        "OUTDATED_SDK_VERSION",
        "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE",
        "TASK_PROCESS_MAYBE_OOM_KILLED",
        "TASK_PROCESS_OOM_KILLED",
        "TASK_PROCESS_SIGSEGV",
        "TASK_RUN_CRASHED",
    }
)
_OUT_OF_MEMORY = frozenset({"TASK_PROCESS_MAYBE_OOM_KILLED", "TASK_PROCESS_OOM_KILLED"})
_RETRIABLE = frozenset(
    {
        "GRACEFUL_EXIT_TIMEOUT",
        "HANDLE_ERROR_ERROR",
        "POD_EVICTED",
        "POD_UNKNOWN_ERROR",
        "TASK_EXECUTION_ABORTED",
        "TASK_EXECUTION_FAILED",
        "TASK_INPUT_ERROR",
        "TASK_MIDDLEWARE_ERROR",
        "TASK_OUTPUT_ERROR",
        "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE",
        "TASK_PROCESS_SIGSEGV",
        "TASK_PROCESS_SIGTERM",
        "TASK_RUN_CRASHED",
        "TASK_RUN_STALLED_EXECUTING",
        "TASK_RUN_STALLED_EXECUTING_WITH_WAITPOINTS",
        "TASK_RUN_UNCAUGHT_EXCEPTION",
    }
)
_LOOKED_UP = frozenset(
    {
        "TASK_MIDDLEWARE_ERROR",
        "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE",
        "TASK_PROCESS_SIGSEGV",
        "TASK_PROCESS_SIGTERM",
        "TASK_RUN_STALLED_EXECUTING",
        "TASK_RUN_STALLED_EXECUTING_WITH_WAITPOINTS",
        "TASK_RUN_UNCAUGHT_EXCEPTION",
    }
)


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again after ``delay_ms``; ``queued`` gives the worker back, ``machine`` is the next one."""

    delay_ms: int
    queued: bool
    machine: str | None = None


@dataclass(frozen=True, slots=True)
class Final:
    """Give up, or end as asked."""

    status: RunStatus


Decision = Retry | Final


def decide(run: RunRow, failed: Failed, rng: random.Random) -> Decision:
    """Decide what becomes of a run whose attempt failed; the order is that of engine section 3.4."""
    code = failed.error.code if failed.error.type == "INTERNAL_ERROR" else None
    if code == _CANCELED:
        return Final(RunStatus.CANCELED)
    if code in _OUT_OF_MEMORY:
        return _on_a_larger_machine(run, rng) or Final(final_status(code))
    if failed.skip_retrying or not _may_retry(run, code):
        return Final(final_status(code))
    if failed.retry is not None:
        delay = failed.retry.delay
        return Retry(delay, queued=delay >= IMMEDIATE_BELOW_MS)
    if code not in _LOOKED_UP:
        return Final(final_status(code))
    delay_ms = policy_of(run).next_delay_ms(run.attempt, rng)
    return Final(final_status(code)) if delay_ms is None else Retry(delay_ms, queued=True)


def _on_a_larger_machine(run: RunRow, rng: random.Random) -> Retry | None:
    """An attempt that ran out of memory is worth another one only where there is more of it (RUN-033)."""
    policy = policy_of(run)
    machine = policy.out_of_memory_machine
    if machine is None or machine == run.machine:
        return None
    delay_ms = policy.next_delay_ms(run.attempt, rng)
    return None if delay_ms is None else Retry(delay_ms, queued=True, machine=machine)


def _may_retry(run: RunRow, code: str | None) -> bool:
    if code is not None and code not in _RETRIABLE:
        return False
    limit = min(run.max_attempts or 1, ATTEMPTS_CEILING)
    return run.attempt < limit


def policy_of(run: RunRow) -> RetryPolicy:
    """Return the retry policy that was frozen when the run was first claimed."""
    stored = json.loads(run.retry) if run.retry else {}
    if run.max_attempts is not None:
        stored["maxAttempts"] = run.max_attempts
    return RetryPolicy.from_wire(stored)


def final_status(code: str | None) -> RunStatus:
    """Return the status of a run that ends with an internal error code, or with the user's own error."""
    if code is None or code in _WITH_ERRORS:
        return RunStatus.COMPLETED_WITH_ERRORS
    if code == _CANCELED:
        return RunStatus.CANCELED
    if code == "MAX_DURATION_EXCEEDED":
        return RunStatus.TIMED_OUT
    return RunStatus.CRASHED if code in _CRASHED else RunStatus.SYSTEM_FAILURE


def internal_error(code: str, message: str) -> str:
    """Return the JSON of an error of the system (protocol 0.11)."""
    error = TaskError(type="INTERNAL_ERROR", code=code, message=message)
    return json.dumps(error.to_wire())


def plain_error(text: str) -> str:
    """Return the JSON of an error that is only a sentence."""
    return json.dumps(TaskError(type="STRING_ERROR", raw=text).to_wire())
