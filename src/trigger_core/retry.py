"""When to try again: the retry policy and its arithmetic (engine section 6)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

__all__ = ["ATTEMPTS_CEILING", "IMMEDIATE_BELOW_MS", "RetryPolicy"]

ATTEMPTS_CEILING = 250
"""No run is attempted more often than this, whatever its policy says."""

IMMEDIATE_BELOW_MS = 30_000
"""A retry that is due sooner keeps its worker and waits there; a later one goes back to the queue."""

_WIRE_NAMES = {
    "max_attempts": "maxAttempts",
    "factor": "factor",
    "min_delay_ms": "minTimeoutInMs",
    "max_delay_ms": "maxTimeoutInMs",
    "randomize": "randomize",
}


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently a failed attempt is tried again.

    Attributes:
        max_attempts: attempts in all, the first included.
        factor: growth of the delay from one attempt to the next.
        min_delay_ms: delay after the first failed attempt, in milliseconds.
        max_delay_ms: ceiling of the delay, in milliseconds.
        randomize: multiply the delay by a factor from [1, 2), so that retries spread.
        out_of_memory_machine: the preset on which an attempt that ran out of memory is tried again, once.
    """

    max_attempts: int = 3
    factor: float = 2.0
    min_delay_ms: int = 1_000
    max_delay_ms: int = 60_000
    randomize: bool = True
    out_of_memory_machine: str | None = None

    def next_delay_ms(self, attempt: int, rng: random.Random) -> int | None:
        """Return how long to wait after failed ``attempt`` (from 1), or ``None`` to give up."""
        if attempt >= min(self.max_attempts, ATTEMPTS_CEILING):
            return None
        spread = 1.0 + rng.random() if self.randomize else 1.0
        growth = self.factor ** (attempt - 1)
        return round(min(self.max_delay_ms, spread * self.min_delay_ms * growth))

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON form used in registrations (protocol D.5)."""
        wire = {name: getattr(self, field) for field, name in _WIRE_NAMES.items()}
        if self.out_of_memory_machine is not None:
            wire["outOfMemory"] = {"machine": self.out_of_memory_machine}
        return wire

    @classmethod
    def from_wire(cls, data: dict[str, Any]) -> RetryPolicy:
        """Read the JSON form; fields that are missing take the defaults."""
        known = {field: data[name] for field, name in _WIRE_NAMES.items() if name in data}
        machine = (data.get("outOfMemory") or {}).get("machine")
        return cls(**known, out_of_memory_machine=machine)
