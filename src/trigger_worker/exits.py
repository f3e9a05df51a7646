"""Telling apart how a process ended: exit code, signal, out of memory (protocol H.4)."""

from __future__ import annotations

import os
import signal

from trigger_core.schemas.workers import TaskError

__all__ = ["classify", "ended_by", "never_started", "version_died", "version_gone"]

_STDERR_LINES = 20
_REASONS = {
    "canceled": ("TASK_RUN_CANCELLED", "The run was canceled."),
    "max_duration": ("MAX_DURATION_EXCEEDED", "The attempt ran longer than its max_duration."),
    "out_of_memory": (
        "TASK_PROCESS_OOM_KILLED",
        "The attempt used more memory than its machine has.",
    ),
}


def ended_by(reason: str | None) -> TaskError | None:
    """Return the error for an attempt that the worker ended for a reason."""
    if reason not in _REASONS:
        return None
    return _error(*_REASONS[reason])


def classify(status: int, *, kernel_ran_out: bool, last_lines: list[str]) -> TaskError:
    """Return the error for a process that ended with a wait status without having reported.

    ``kernel_ran_out`` says whether the kernel killed something for want of memory meanwhile; ``last_lines``
    are the last ones it wrote to stderr.
    """
    said = "\n".join(last_lines[-_STDERR_LINES:])
    tail = f"\n{said}" if said else ""
    if not os.WIFSIGNALED(status):
        code = os.waitstatus_to_exitcode(status)
        return _error(
            "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE",
            f"The process exited with code {code} before the task returned.{tail}",
        )
    number = os.WTERMSIG(status)
    if number == signal.SIGKILL:
        return _killed(kernel_ran_out=kernel_ran_out)
    if number == signal.SIGSEGV:
        return _error("TASK_PROCESS_SIGSEGV", f"The process crashed (SIGSEGV).{tail}")
    if number == signal.SIGTERM:
        return _error("TASK_PROCESS_SIGTERM", "The process was terminated (SIGTERM).")
    name = signal.Signals(number).name
    return _error(
        "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE", f"The process was ended by {name}.{tail}"
    )


def version_died(version: str) -> TaskError:
    """Return the error for an attempt whose process ended with the process it was forked from."""
    return _error(
        "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE",
        f"The process of version {version} was killed or crashed, and with it the process of the attempt.",
    )


def version_gone(version: str) -> TaskError:
    """Return the error for an attempt that was handed to a version nobody can execute any more."""
    return _error(
        "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE",
        f"The process of version {version} ended before the attempt could start, "
        "and the code has changed since.",
    )


def never_started(last_lines: list[str]) -> TaskError:
    """Return the error for an attempt for which no process could be made ready."""
    said = "\n".join(last_lines[-_STDERR_LINES:])
    tail = f"\n{said}" if said else ""
    return _error(
        "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE",
        f"The processes made for the attempt ended before they could start it.{tail}",
    )


def _killed(*, kernel_ran_out: bool) -> TaskError:
    if kernel_ran_out:
        return _error(
            "TASK_PROCESS_OOM_KILLED", "The kernel killed the process for want of memory."
        )
    return _error(
        "TASK_PROCESS_MAYBE_OOM_KILLED",
        "The process was killed (SIGKILL), by somebody or for want of memory.",
    )


def _error(code: str, message: str) -> TaskError:
    return TaskError(type="INTERNAL_ERROR", code=code, message=message)
