"""What every way to place a run has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from trigger_supervisor.order import Order

__all__ = ["Exit", "Placement", "Runner"]


@dataclass(frozen=True, slots=True)
class Exit:
    """How a runner ended: its code or the signal that ended it, and what it wrote last."""

    code: int | None
    signal: int | None
    last_lines: str

    def __str__(self) -> str:
        return f"code {self.code}" if self.signal is None else f"signal {self.signal}"


class Runner(Protocol):
    """A runner that was started."""

    async def ended(self) -> Exit:
        """Wait until it has ended, with everything that it started."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


class Placement(Protocol):
    """Starts runners."""

    async def open(self) -> None:
        """Make ready to start some."""
        ...

    async def place(self, order: Order) -> Runner:
        """Start the runner of a run.

        Raises:
            TriggerError: it cannot be started; the message is shown with the run.
        """
        ...

    async def close(self) -> None:
        """Let go of what is open, and end what still runs."""
        ...
