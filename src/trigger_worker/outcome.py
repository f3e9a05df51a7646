"""How an attempt ended, as the worker reports it: output, or error with the decision whether to try again."""

from __future__ import annotations

import random
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from trigger_core.errors import ApiError, InvalidPayloadError, TriggerError
from trigger_core.packet import Packet, UnserializableError
from trigger_core.retry import RetryPolicy
from trigger_sdk.errors import (
    AbortTaskRunError,
    OutOfMemoryError,
    RetryTaskError,
    TaskCanceledError,
)
from trigger_worker.ipc import Message

__all__ = ["failed", "internal", "succeeded"]

_MESSAGE_LIMIT = 1_000
_FRAMES = 50
_OWN = Path(__file__).parent
_MACHINERY = ("asyncio/", "trigger_worker/", "trigger_sdk/")


def succeeded(packet: Packet) -> Message:
    """The attempt returned."""
    return {"t": "done", "ok": True, "output": packet.data, "outputType": packet.type}


def internal(code: str, message: str, *, skip: bool = False) -> Message:
    """The attempt ended for a reason that has a code of its own (protocol H.4)."""
    error = {"type": "INTERNAL_ERROR", "code": code, "message": message}
    return {"t": "done", "ok": False, "error": error, "retry": None, "skip": skip}


def failed(error: BaseException, attempt: int, policy: RetryPolicy, rng: random.Random) -> Message:
    """The attempt raised; decide by the task's policy whether it is worth another one."""
    if isinstance(error, TaskCanceledError):
        return internal("TASK_RUN_CANCELLED", "The run was canceled.")
    if isinstance(error, MemoryError | OutOfMemoryError):
        return internal("TASK_PROCESS_OOM_KILLED", str(error) or "The task ran out of memory.")
    if isinstance(error, SystemExit):
        return internal(
            "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE", f"The task called sys.exit({error.code!r})."
        )
    if isinstance(error, InvalidPayloadError):
        return internal("TASK_INPUT_ERROR", str(error), skip=True)
    message = _describe(error)
    if isinstance(error, AbortTaskRunError) or _was_refused(error):
        return message | {"retry": None, "skip": True}
    delay = (
        error.delay_ms if isinstance(error, RetryTaskError) else policy.next_delay_ms(attempt, rng)
    )
    return message | {"retry": None if delay is None else {"delay": delay}}


def _was_refused(error: BaseException) -> bool:
    """The platform refused a call; it would refuse the next attempt's as well (behaviour 233)."""
    return isinstance(error, ApiError) and not error.retryable


def _describe(error: BaseException) -> Message:
    if isinstance(error, UnserializableError):
        described: dict[str, Any] = {
            "type": "INTERNAL_ERROR",
            "code": "TASK_OUTPUT_ERROR",
            "message": str(error),
        }
    else:
        described = {
            "type": "BUILT_IN_ERROR",
            "name": type(error).__name__,
            "message": _text(error)[:_MESSAGE_LIMIT],
            "stackTrace": _stack(error),
        }
    return {"t": "done", "ok": False, "error": described, "retry": None, "skip": False}


def _text(error: BaseException) -> str:
    return str(error) if isinstance(error, TriggerError) else (str(error) or repr(error))


def _stack(error: BaseException) -> str:
    """Return the traceback without the frames of what called the task."""
    own = _without_machinery(error.__traceback__)
    lines = traceback.format_exception(
        type(error), error, own or error.__traceback__, limit=_FRAMES
    )
    return "".join(lines)


def _without_machinery(tb: TracebackType | None) -> TracebackType | None:
    while tb is not None and _is_machinery(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    return tb


def _is_machinery(filename: str) -> bool:
    return any(part in filename for part in _MACHINERY) and (
        str(_OWN.parent) in filename or "/asyncio/" in filename
    )
