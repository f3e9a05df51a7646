"""Memory limits of an attempt: the worker watches the resident size, the kernel backs it up.

The watch notices within its period; an allocation too fast for it meets ``RLIMIT_DATA`` at twice the limit
and becomes a ``MemoryError``.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path

from trigger_core.machines import PRESETS

__all__ = ["PERIOD_S", "apply", "limit_of", "oom_kills", "resident_bytes"]

PERIOD_S = 0.05
"""How often the resident size is looked at."""

_PAGE = os.sysconf("SC_PAGE_SIZE")
_HEADROOM = 2


def limit_of(machine: str | None) -> int | None:
    """Return the limit in bytes; a run that asked for no machine has none."""
    if machine is None or machine not in PRESETS:
        return None
    return PRESETS[machine].memory_bytes


def apply(machine: str | None) -> None:
    """Set this process's own backstop, or take away the one of an attempt before."""
    limit = limit_of(machine)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = hard if limit is None else limit * _HEADROOM
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if wanted != soft:
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))


def resident_bytes(pid: int) -> int:
    """Return the resident size of a process, 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/statm").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(text.split()[1]) * _PAGE


def oom_kills() -> int:
    """Return how many processes the kernel has killed for want of memory since it booted."""
    for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
        if line.startswith("oom_kill "):
            return int(line.split()[1])
    return 0
