"""What a task can know about its own run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trigger_core.machines import Machine
from trigger_sdk._host import current_run
from trigger_sdk.errors import TaskCanceledError, TriggerError

__all__ = [
    "AttemptContext",
    "BatchContext",
    "CancelSignal",
    "Context",
    "DeploymentContext",
    "EnvironmentContext",
    "ProjectContext",
    "QueueContext",
    "RunContext",
    "TaskContext",
    "current_context",
]


class CancelSignal:
    """Tells a task that its run was canceled."""

    def __init__(self) -> None:
        self._canceled = False
        self._listeners: list[Callable[[], None]] = []

    @property
    def is_canceled(self) -> bool:
        """Whether the run was canceled."""
        return self._canceled

    def throw_if_canceled(self) -> None:
        """Raise :class:`TaskCanceledError` if the run was canceled."""
        if self._canceled:
            raise TaskCanceledError

    def on_cancel(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` when the run is canceled."""
        self._listeners.append(listener)

    def set(self) -> None:
        """Mark the run as canceled; the executor does this."""
        if self._canceled:
            return
        self._canceled = True
        for listener in self._listeners:
            listener()


@dataclass(frozen=True, slots=True)
class RunContext:
    """The run; ``traceparent`` is the span of this attempt, as W3C Trace Context writes it."""

    id: str
    created_at: datetime
    started_at: datetime
    version: str
    max_attempts: int
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] | None = None
    is_test: bool = False
    is_replay: bool = False
    idempotency_key: str | None = None
    max_duration: float | None = None
    parent_id: str | None = None
    root_id: str | None = None
    priority: float = 0
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class TaskContext:
    """The task, and the file it is defined in."""

    id: str
    file_path: str


@dataclass(frozen=True, slots=True)
class AttemptContext:
    """This attempt; ``number`` counts from 1."""

    number: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class QueueContext:
    """The queue the run came through."""

    name: str
    concurrency_key: str | None = None


@dataclass(frozen=True, slots=True)
class EnvironmentContext:
    """The environment."""

    slug: str
    type: str


@dataclass(frozen=True, slots=True)
class ProjectContext:
    """The project."""

    ref: str


@dataclass(frozen=True, slots=True)
class DeploymentContext:
    """The version of the code."""

    version: str


@dataclass(frozen=True, slots=True)
class BatchContext:
    """The batch the run was triggered with."""

    id: str


@dataclass(frozen=True, slots=True)
class Context:
    """Everything a task can know about its run; annotate a parameter with it to get it."""

    run: RunContext
    task: TaskContext
    attempt: AttemptContext
    queue: QueueContext
    environment: EnvironmentContext
    project: ProjectContext
    deployment: DeploymentContext
    machine: Machine
    batch: BatchContext | None = None
    signal: CancelSignal = field(default_factory=CancelSignal)


def current_context() -> Context:
    """Return the context of the run this code executes in.

    Raises:
        TriggerError: the code does not execute in a run.
    """
    active = current_run.get()
    if active is None:
        raise TriggerError(
            "there is no current run",
            code="NOT_IN_A_RUN",
            hint="call this inside a task, or take the context as a parameter: `ctx: Context`",
        )
    return active.ctx
