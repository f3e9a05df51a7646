"""What executes a run, as the SDK sees it; the worker's executor implements it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from trigger_sdk.context import Context

__all__ = ["ActiveRun", "RunHost", "current_run"]


class RunHost(Protocol):
    """The process that executes a run, with its way to the platform."""

    def log(self, level: str, message: str, attributes: dict[str, Any], source: str) -> None:
        """Record a line."""
        ...

    async def wait_until(self, until_ms: int) -> None:
        """Wait until a moment (ms since the epoch) without holding a slot."""
        ...

    def wait_until_sync(self, until_ms: int) -> None:
        """Wait likewise, blocking."""
        ...


@dataclass(frozen=True, slots=True)
class ActiveRun:
    """The run that the current code belongs to."""

    ctx: Context
    host: RunHost


current_run: ContextVar[ActiveRun | None] = ContextVar("trigger_current_run", default=None)
"""Set while a task executes; a context variable, so that runs sharing a process do not mix."""
