"""The tasks and queues that imported modules declare."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trigger_sdk.queue import Queue
    from trigger_sdk.task import Task, TaskSpec

__all__ = ["Duplicate", "Registry", "registry"]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two tasks with one id."""

    first: TaskSpec
    second: TaskSpec


@dataclass(slots=True)
class Registry:
    """What was declared; the indexer reads it after importing the project's files."""

    tasks: dict[str, Task[..., Any]] = field(default_factory=dict)
    queues: dict[str, Queue] = field(default_factory=dict)
    duplicates: list[Duplicate] = field(default_factory=list)

    def add(self, task: Task[..., Any]) -> None:
        """Remember a task; a second one with the same id is noted, not refused, so that imports go on."""
        known = self.tasks.get(task.id)
        if known is not None and _place(known.spec) != _place(task.spec):
            self.duplicates.append(Duplicate(known.spec, task.spec))
            return
        self.tasks[task.id] = task


registry = Registry()
"""Decorators have nowhere else to put what they find: the one object that modules share."""


def _place(spec: TaskSpec) -> tuple[str, int]:
    return spec.file_path, spec.line
