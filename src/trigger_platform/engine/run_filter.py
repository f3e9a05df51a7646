"""Which runs: what lists of them, and actions on many of them, are narrowed down by (protocol A.5)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trigger_core import ids
from trigger_core.machines import DEFAULT_MACHINE

__all__ = ["RunFilter"]


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs; statuses in the internal vocabulary, empty means any.

    ``created_from`` and ``created_to`` are moments (ms), both inclusive; ``tags`` match runs that have any.
    No run has a region yet, and errors are not grouped: one that is asked for matches none.
    """

    statuses: Sequence[str] = ()
    tasks: Sequence[str] = ()
    versions: Sequence[str] = ()
    tags: Sequence[str] = ()
    queues: Sequence[str] = ()
    machines: Sequence[str] = ()
    regions: Sequence[str] = ()
    batch: str = ""
    schedule: str = ""
    bulk_action: str = ""
    error: str = ""
    is_test: bool | None = None
    is_root: bool = False
    created_from: int | None = None
    created_to: int | None = None

    def params(self) -> dict[str, Any]:
        """Return the parameters of the statements that read runs."""
        return {
            "statuses": _list(self.statuses),
            "tasks": _list(self.tasks),
            "versions": _list(self.versions),
            "tags": _list(self.tags),
            "queues": _list(self.queues),
            "machines": _list(self.machines),
            "default_machine": DEFAULT_MACHINE,
            "batch": self.batch,
            "schedule": self.schedule,
            "bulk_action": self.bulk_action,
            "is_test": -1 if self.is_test is None else int(self.is_test),
            "is_root": int(self.is_root),
        }

    def window(self) -> tuple[str, str]:
        """Return ids below and above every run that was created in time: ids sort by creation."""
        if self.regions or self.error:
            return ids.AFTER_RUNS, ids.BEFORE_RUNS
        start, end = self.created_from, self.created_to
        oldest = ids.before_runs_of(max(0, start)) if start is not None else ids.BEFORE_RUNS
        newest = ids.before_runs_of(end + 1) if end is not None else ids.AFTER_RUNS
        return oldest, newest


def _list(values: Sequence[str]) -> str:
    return json.dumps(list(values))
