"""What importing a project came to: written by the version's process, read by the worker."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TextIO

from trigger_core.schemas.workers import TaskDeclaration, WorkerMetadata
from trigger_worker.ipc import Message

__all__ = ["CRASHED", "IndexReport", "read"]

CRASHED: Message = {
    "code": "TASK_IMPORT_CRASHED",
    "what": "the process that imports the tasks died",
    "fix": "look for code at module level that exits, or that crashes the interpreter",
}


@dataclass(frozen=True, slots=True)
class IndexReport:
    """The project's metadata, or an error."""

    metadata: WorkerMetadata | None
    error: Message | None
    files: list[str]
    async_tasks: frozenset[str] = frozenset()
    max_concurrent_runs: int = 1
    cancel_grace_ms: int = 0
    tasks: dict[str, TaskDeclaration] = field(default_factory=dict)

    def reuses(self, task: str) -> bool:
        """Tell whether a task's executors may run another attempt afterwards."""
        declared = self.tasks.get(task)
        return declared is not None and declared.isolation == "reuse"


def read(file: TextIO) -> IndexReport:
    """Read the report; a process that died has written none."""
    file.seek(0)
    text = file.read()
    if not text:
        return IndexReport(None, CRASHED, [])
    content = json.loads(text)
    if "error" in content:
        return IndexReport(None, content["error"], content["files"])
    metadata = WorkerMetadata.model_validate(content["metadata"])
    return IndexReport(
        metadata,
        None,
        content["files"],
        frozenset(content["asyncTasks"]),
        content["maxConcurrentRuns"],
        content["cancelGraceMs"],
        {task.id: task for task in metadata.tasks},
    )
