"""One wait of an executor's code: the waitpoints it waits for, once they are known, and their ends."""

from __future__ import annotations

from dataclasses import dataclass, field

from trigger_core.schemas.workers import WaitResult

__all__ = ["Wait"]


@dataclass(eq=False)
class Wait:
    """What the code waits for; ``awaited`` is ``None`` until the platform has answered."""

    awaited: list[str] | None = None
    batch_id: str | None = None
    results: dict[str, WaitResult] = field(default_factory=dict)

    @property
    def open_waitpoints(self) -> list[str]:
        """What has not ended yet."""
        return [one for one in self.awaited or () if one not in self.results]

    @property
    def is_over(self) -> bool:
        """Whether everything has ended."""
        return self.awaited is not None and not self.open_waitpoints
