"""What executes a run, as the SDK sees it; the worker's executor implements it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trigger_sdk._span import Recording
    from trigger_sdk.context import Context

__all__ = [
    "ActiveRun",
    "Ended",
    "ForRuns",
    "ForToken",
    "RunHost",
    "Until",
    "WaitRequest",
    "Waited",
    "current_run",
]


@dataclass(frozen=True, slots=True)
class Until:
    """Wait until a moment, in ms since the epoch."""

    moment: int


@dataclass(frozen=True, slots=True)
class ForToken:
    """Wait for a token."""

    waitpoint_id: str


@dataclass(frozen=True, slots=True)
class ForRuns:
    """Trigger children (``items`` as they go over the wire) and wait for all of them."""

    items: Sequence[dict[str, Any]]
    is_batch: bool


WaitRequest: TypeAlias = "Until | ForToken | ForRuns"


@dataclass(frozen=True, slots=True)
class Ended:
    """How one thing that was waited for ended: a packet, or an error as JSON."""

    ok: bool
    run_id: str
    output: str | None
    output_type: str


@dataclass(frozen=True, slots=True)
class Waited:
    """How a wait ended: one entry per thing that was waited for, in order."""

    ended: tuple[Ended, ...]
    batch_id: str | None = None


class RunHost(Protocol):
    """The process that executes a run, with its way to the platform."""

    def log(self, level: str, message: str, attributes: dict[str, Any], source: str) -> None:
        """Record a line."""
        ...

    def begin_span(self, span: Recording) -> None:
        """Know of a span that is open."""
        ...

    def end_span(self, span: Recording) -> None:
        """Tell a span that is over."""
        ...

    async def wait(self, request: WaitRequest) -> Waited:
        """Wait without holding a slot.

        Raises:
            ApiError: the platform refused.
        """
        ...

    def wait_sync(self, request: WaitRequest) -> Waited:
        """Wait likewise, blocking."""
        ...

    def change_metadata(self, target: str, operation: dict[str, Any]) -> None:
        """Tell an operation on the metadata of the ``run``, its ``parent`` or its ``root``."""
        ...

    async def flush_metadata(self) -> None:
        """Wait until the operations are written.

        Raises:
            ApiError: the platform refused them.
        """
        ...

    def flush_metadata_sync(self) -> None:
        """Wait likewise, blocking."""
        ...


@dataclass(frozen=True, slots=True)
class ActiveRun:
    """The run that the current code belongs to.

    Attributes:
        ctx: what the task is told of it.
        host: the process that executes it.
        metadata: as this code has made it.
        declared: the streams that this attempt has written to.
        received: how many values this attempt has asked for, by input stream.
    """

    ctx: Context
    host: RunHost
    metadata: dict[str, Any] = field(default_factory=dict)
    declared: set[Any] = field(default_factory=set)
    received: dict[str, int] = field(default_factory=dict)


current_run: ContextVar[ActiveRun | None] = ContextVar("trigger_current_run", default=None)
"""Set while a task executes; a context variable, so that runs sharing a process do not mix."""
