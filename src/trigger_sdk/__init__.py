"""Write tasks, trigger them, wait for them.

>>> from trigger_sdk import queues, task
>>> @task
... async def hello_world(name: str) -> str:
...     return f"hello {name}"
>>> handle = await hello_world.trigger("you")
"""

from __future__ import annotations

from trigger_sdk import (
    auth,
    batch,
    deployments,
    envvars,
    idempotency_keys,
    queues,
    runs,
    schedules,
    streams,
    tags,
    tasks,
    wait,
)
from trigger_sdk.auth import Scope
from trigger_sdk.config import Config, define_config
from trigger_sdk.context import CancelSignal, Context, current_context
from trigger_sdk.errors import (
    AbortTaskRunError,
    ApiError,
    AuthenticationError,
    ConfigError,
    ConnectionFailedError,
    InvalidDurationError,
    InvalidPayloadError,
    NoSessionError,
    NotFoundError,
    OutOfMemoryError,
    PayloadTooLargeError,
    PollTimeoutError,
    RetryTaskError,
    TaskCanceledError,
    TaskFailedError,
    TokenTimeoutError,
    TriggerError,
    UnserializableError,
)
from trigger_sdk.logger import logger
from trigger_sdk.metadata import metadata
from trigger_sdk.options import Debounce, Options
from trigger_sdk.queue import Queue
from trigger_sdk.results import BatchResult, RunFailure, TaskResult, TokenResult
from trigger_sdk.retry import Retry
from trigger_sdk.runs import BatchHandle, Run, RunHandle
from trigger_sdk.schedule import Schedule, ScheduledPayload
from trigger_sdk.streams import InputStream, Stream
from trigger_sdk.task import Task, task
from trigger_sdk.tasks import TaskRef
from trigger_sdk.wait import Token

__all__ = [
    "AbortTaskRunError",
    "ApiError",
    "AuthenticationError",
    "BatchHandle",
    "BatchResult",
    "CancelSignal",
    "Config",
    "ConfigError",
    "ConnectionFailedError",
    "Context",
    "Debounce",
    "InputStream",
    "InvalidDurationError",
    "InvalidPayloadError",
    "NoSessionError",
    "NotFoundError",
    "Options",
    "OutOfMemoryError",
    "PayloadTooLargeError",
    "PollTimeoutError",
    "Queue",
    "Retry",
    "RetryTaskError",
    "Run",
    "RunFailure",
    "RunHandle",
    "Schedule",
    "ScheduledPayload",
    "Scope",
    "Stream",
    "Task",
    "TaskCanceledError",
    "TaskFailedError",
    "TaskRef",
    "TaskResult",
    "Token",
    "TokenResult",
    "TokenTimeoutError",
    "TriggerError",
    "UnserializableError",
    "auth",
    "batch",
    "current_context",
    "define_config",
    "deployments",
    "envvars",
    "idempotency_keys",
    "logger",
    "metadata",
    "queues",
    "runs",
    "schedules",
    "streams",
    "tags",
    "task",
    "tasks",
    "wait",
]
