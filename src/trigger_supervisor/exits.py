"""What is told of an attempt whose runner could not be started, or ended without a word (protocol H.4)."""

from __future__ import annotations

import signal

from trigger_core.errors import TriggerError
from trigger_core.schemas.execution import CompleteAttempt, FailedAttempt
from trigger_core.schemas.workers import TaskError
from trigger_supervisor.placement.placement import Exit

__all__ = ["let_go", "not_started", "unexpected"]

_BY_SIGNAL = {
    signal.SIGSEGV: "TASK_PROCESS_SIGSEGV",
    signal.SIGTERM: "TASK_PROCESS_SIGTERM",
}
_EXITED = "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE"


def unexpected(run_id: str, how: Exit, *, was_ended: bool) -> CompleteAttempt:
    """Return the end of an attempt whose runner is gone; its task's policy decides whether it is tried again.

    ``was_ended`` says that the supervisor itself ended the runner, since it ends too.
    """
    if was_ended:
        what = "The supervisor ended, and with it the runner of the attempt."
        return _failed(run_id, "TASK_PROCESS_SIGTERM", what)
    if how.signal is not None:
        name = signal.Signals(how.signal).name
        what = f"The runner of the attempt was ended by {name}."
        return _failed(run_id, _BY_SIGNAL.get(signal.Signals(how.signal), _EXITED), what)
    what = f"The runner exited with code {how.code} before the attempt was over."
    return _failed(run_id, _EXITED, what)


def let_go(run_id: str) -> CompleteAttempt:
    """Return the end of an attempt whose runner asks for another run instead."""
    return _failed(run_id, _EXITED, "The runner let go of the attempt before it was over.")


def not_started(run_id: str, error: TriggerError) -> CompleteAttempt:
    """Return the end of an attempt for which there is no runner; another try would fail likewise."""
    said = [error.what, error.because, error.hint]
    return _failed(run_id, "COULD_NOT_FIND_EXECUTOR", ": ".join(one for one in said if one))


def _failed(run_id: str, code: str, message: str) -> CompleteAttempt:
    error = TaskError(type="INTERNAL_ERROR", code=code, message=message)
    return CompleteAttempt(completion=FailedAttempt(ok=False, id=run_id, error=error))
