"""Machine presets: how much CPU and memory one attempt may use (protocol H.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["DEFAULT_MACHINE", "PRESETS", "Machine", "MachineName", "choose", "smallest"]

MachineName: TypeAlias = Literal[
    "micro", "small-1x", "small-2x", "medium-1x", "medium-2x", "large-1x", "large-2x"
]


@dataclass(frozen=True, slots=True)
class Machine:
    """A preset: ``cpu`` in virtual cores, ``memory_gb`` in gibibytes."""

    name: MachineName
    cpu: float
    memory_gb: float

    @property
    def memory_bytes(self) -> int:
        """The memory limit in bytes."""
        return int(self.memory_gb * 1024**3)


DEFAULT_MACHINE: MachineName = "small-1x"

PRESETS: dict[MachineName, Machine] = {
    machine.name: machine
    for machine in (
        Machine("micro", 0.25, 0.25),
        Machine("small-1x", 0.5, 0.5),
        Machine("small-2x", 1, 1),
        Machine("medium-1x", 1, 2),
        Machine("medium-2x", 2, 4),
        Machine("large-1x", 4, 8),
        Machine("large-2x", 8, 16),
    )
}


def smallest(cpu: float, memory_gb: float) -> MachineName | None:
    """Return the smallest preset with that much of both; ``None`` when not even the largest has it."""
    fitting = (
        machine.name
        for machine in PRESETS.values()
        if machine.cpu >= cpu and machine.memory_gb >= memory_gb
    )
    return next(fitting, None)


def choose(preset: str | None, cpu: float | None, memory_gb: float | None) -> MachineName:
    """Return the preset a declaration means: by name, else by size, else the default (engine 3.3)."""
    if preset is not None and preset in PRESETS:
        return preset
    if cpu is None or memory_gb is None:
        return DEFAULT_MACHINE
    return smallest(cpu, memory_gb) or DEFAULT_MACHINE
