"""Named queues."""

from __future__ import annotations

from dataclasses import dataclass

from trigger_core.errors import ConfigError
from trigger_sdk._registry import registry

__all__ = ["Queue"]


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue that several tasks may share.

    Attributes:
        name: letters, digits, ``_``, ``-`` and ``/``.
        concurrency_limit: how many runs of one concurrency key execute at once; ``None`` for no
            limit of its own.
    """

    name: str
    concurrency_limit: int | None = None

    def __post_init__(self) -> None:
        """Refuse a limit below zero, and let the indexer know the queue."""
        if self.concurrency_limit is not None and self.concurrency_limit < 0:
            raise ConfigError(f"queue {self.name!r}: concurrency_limit cannot be negative")
        registry.queues[self.name] = self
