"""What a task may raise to steer its retries, and what calls raise."""

from __future__ import annotations

from trigger_core.duration import Duration, parse_ms
from trigger_core.errors import (
    ApiError,
    AuthenticationError,
    ConfigError,
    ConnectionFailedError,
    InvalidDurationError,
    InvalidPayloadError,
    NoSessionError,
    NotFoundError,
    PayloadTooLargeError,
    PollTimeoutError,
    TaskFailedError,
    TriggerError,
)
from trigger_core.packet import UnserializableError

__all__ = [
    "AbortTaskRunError",
    "ApiError",
    "AuthenticationError",
    "ConfigError",
    "ConnectionFailedError",
    "InvalidDurationError",
    "InvalidPayloadError",
    "NoSessionError",
    "NotFoundError",
    "OutOfMemoryError",
    "PayloadTooLargeError",
    "PollTimeoutError",
    "RetryTaskError",
    "TaskCanceledError",
    "TaskFailedError",
    "TokenTimeoutError",
    "TriggerError",
    "UnserializableError",
]


class AbortTaskRunError(Exception):
    """Raise it in a task to fail the run for good: no retry follows."""


class RetryTaskError(Exception):
    """Raise it in a task to try again after a delay of your choice, while attempts remain."""

    def __init__(self, message: str = "retry", *, delay: Duration) -> None:
        super().__init__(message)
        self.delay_ms = parse_ms(delay)


class OutOfMemoryError(Exception):
    """Raise it in a task that noticed it has run out of memory; it is treated like a kill by the limit."""


class TokenTimeoutError(TriggerError):
    """Nobody completed the token that was waited for in time."""

    code = "TOKEN_TIMEOUT"


class TaskCanceledError(BaseException):
    """Raised inside a synchronous task whose run was canceled; clean up and let it pass."""
