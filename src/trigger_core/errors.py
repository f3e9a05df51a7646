"""The one error tree.

TriggerError
├── UsageError                 the caller asked for something that cannot be
│   ├── InvalidDurationError
│   ├── InvalidScheduleError   a cron expression, interval, time zone or window that cannot be
│   ├── InvalidPayloadError    the payload does not fit the task's annotation
│   ├── PayloadTooLargeError
│   └── ConfigError            trigger_config.py, a task file or an environment variable is wrong
│       └── NoSessionError     no credentials and no running `trigger dev`
├── ApiError                   the platform answered with an error
│   ├── AuthenticationError    401
│   ├── PermissionDeniedError  403
│   ├── NotFoundError          404
│   ├── ConflictError          409
│   ├── UnprocessableError     422
│   └── RateLimitedError       429
├── ConnectionFailedError      the platform could not be reached
├── TaskFailedError            a run that was waited for did not succeed
├── PollTimeoutError           a run did not finish in the time given to wait for it
├── StoreError                 the database file cannot be used
│   ├── StoreTooNewError
│   └── StoreDamagedError
├── EncryptionError            a secret cannot be encrypted or decrypted: its key is not at hand
└── EngineError                a transition the engine refuses
    ├── StaleLeaseError        the worker no longer owns the run
    └── ConflictingWriteError  another writer moved the run first

Every error carries a stable ``code``; :meth:`TriggerError.report` gives the keys of the one shape in
which failures are shown: what, because, at, fix, docs.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "ApiError",
    "AuthenticationError",
    "ConfigError",
    "ConflictError",
    "ConflictingWriteError",
    "ConnectionFailedError",
    "EncryptionError",
    "EngineError",
    "ExitCode",
    "InvalidDurationError",
    "InvalidPayloadError",
    "InvalidScheduleError",
    "NoSessionError",
    "NotFoundError",
    "NumberOutOfRangeError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "PollTimeoutError",
    "RateLimitedError",
    "RunNotFoundError",
    "StaleLeaseError",
    "StoreDamagedError",
    "StoreError",
    "StoreTooNewError",
    "TaskFailedError",
    "TriggerError",
    "UnprocessableError",
    "UsageError",
]


class ExitCode:
    """What the command line answers with."""

    OK = 0
    FAILED = 1
    USAGE = 2
    AUTH = 3
    NOT_FOUND = 4
    CONFLICT = 5
    DIFFERENCE = 10
    INTERRUPTED = 130


class TriggerError(Exception):
    """The root of every error this software raises on purpose.

    Attributes:
        code: stable name of the failure.
        what: one sentence, what happened.
        because: the cause, when it is known.
        at: ``file:line`` or another place, when there is one.
        hint: what to do about it.
        status: HTTP status that stands for it.
        exit_code: what the command line exits with.
        retryable: whether the same call may succeed later.
    """

    code: str = "ERROR"
    status: int = 500
    exit_code: ClassVar[int] = ExitCode.FAILED
    retryable: bool = False

    def __init__(
        self,
        what: str,
        *,
        code: str | None = None,
        because: str | None = None,
        at: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.because = because
        self.at = at
        self.hint = hint
        if code is not None:
            self.code = code

    @property
    def docs(self) -> str:
        """Where the failure is explained."""
        return f"docs/reference/errors.md#{self.code.lower()}"

    def report(self) -> dict[str, Any]:
        """Return the keys of the one failure shape; absent ones are left out."""
        parts = {
            "code": self.code,
            "what": self.what,
            "because": self.because,
            "at": self.at,
            "fix": self.hint,
            "docs": self.docs,
        }
        return {key: value for key, value in parts.items() if value is not None}

    def __str__(self) -> str:
        """One readable paragraph: what, because, fix."""
        lines = [self.what]
        if self.because:
            lines.append(f"because: {self.because}")
        if self.at:
            lines.append(f"at: {self.at}")
        if self.hint:
            lines.append(f"fix: {self.hint}")
        return "\n  ".join(lines)


class UsageError(TriggerError):
    """The caller asked for something that cannot be."""

    code = "USAGE"
    status = 400
    exit_code = ExitCode.USAGE


class NumberOutOfRangeError(UsageError):
    """A number is larger than the database can keep; nothing was written."""

    code = "NUMBER_OUT_OF_RANGE"


class InvalidDurationError(UsageError):
    """A text that should be a duration or a moment is neither."""

    code = "INVALID_DURATION"
    status = 422

    def __init__(self, value: object) -> None:
        super().__init__(
            f"{value!r} is not a duration",
            hint='write it like "30s", "5m", "1h30m" or "2d", or give an ISO 8601 moment for a delay',
        )


class InvalidScheduleError(UsageError):
    """A cron expression, an interval, a time zone or a distribution window cannot be."""

    code = "INVALID_SCHEDULE"
    status = 422


class InvalidPayloadError(UsageError):
    """The payload does not fit what the task declares."""

    code = "INVALID_PAYLOAD"
    status = 422


class PayloadTooLargeError(UsageError):
    """The payload is over the limit (3 MiB)."""

    code = "PAYLOAD_TOO_LARGE"
    status = 413


class ConfigError(UsageError):
    """The configuration, a task file or an environment variable is wrong."""

    code = "CONFIG_INVALID"


class NoSessionError(ConfigError):
    """There are no credentials: no environment variable and no running dev session."""

    code = "NO_SESSION"
    exit_code = ExitCode.AUTH


class ApiError(TriggerError):
    """The platform answered with an error."""

    code = "API_ERROR"

    def __init__(
        self,
        what: str,
        *,
        status: int,
        code: str | None = None,
        because: str | None = None,
        at: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, code=code, because=because, at=at, hint=hint)
        self.status = status
        self.retryable = status in {408, 429} or status >= 500


class AuthenticationError(ApiError):
    """The key or token is missing or wrong."""

    code = "AUTHENTICATION_FAILED"
    exit_code = ExitCode.AUTH


class PermissionDeniedError(ApiError):
    """The key or token does not allow this."""

    code = "PERMISSION_DENIED"
    exit_code = ExitCode.AUTH


class NotFoundError(ApiError):
    """There is no such thing."""

    code = "NOT_FOUND"
    exit_code = ExitCode.NOT_FOUND


class RunNotFoundError(NotFoundError):
    """The environment has no such run."""

    code = "RUN_NOT_FOUND"

    def __init__(self, run_id: str) -> None:
        super().__init__(
            "Run not found",
            status=404,
            because=f"there is no run {run_id} in this environment",
            hint="`trigger runs list` shows the runs there are",
        )


class ConflictError(ApiError):
    """The thing is not in a state that allows this."""

    code = "CONFLICT"
    exit_code = ExitCode.CONFLICT


class UnprocessableError(ApiError):
    """The request is well-formed but breaks a rule."""

    code = "UNPROCESSABLE"
    exit_code = ExitCode.USAGE


class RateLimitedError(ApiError):
    """Too many calls came with one key or token; it was tried again as the platform asked."""

    code = "RATE_LIMITED"


class ConnectionFailedError(TriggerError):
    """The platform could not be reached."""

    code = "CONNECTION_FAILED"
    status = 503
    retryable = True


class TaskFailedError(TriggerError):
    """A run that was waited for did not succeed."""

    code = "TASK_FAILED"


class PollTimeoutError(TriggerError):
    """A run did not finish in the time given to wait for it."""

    code = "POLL_TIMEOUT"
    retryable = True


class StoreError(TriggerError):
    """The database file cannot be used."""

    code = "STORE_UNUSABLE"


class StoreTooNewError(StoreError):
    """The database was written by a newer version of this software."""

    code = "STORE_TOO_NEW"


class StoreDamagedError(StoreError):
    """The database file is damaged; it is never recreated silently."""

    code = "STORE_DAMAGED"


class EncryptionError(TriggerError):
    """A secret cannot be encrypted or decrypted."""

    code = "ENCRYPTION_FAILED"


class EngineError(TriggerError):
    """A transition the engine refuses."""

    code = "ENGINE_REFUSED"
    status = 422


class StaleLeaseError(EngineError):
    """The worker no longer owns the run."""

    code = "STALE_LEASE"
    status = 409


class ConflictingWriteError(EngineError):
    """Another writer moved the run first; read again and decide again."""

    code = "CONFLICTING_WRITE"
    status = 409
    retryable = True
