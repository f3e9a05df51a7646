"""Triggering tasks by their id, where their code is not at hand."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from trigger_sdk import _lazy
from trigger_sdk.options import Options
from trigger_sdk.runs import RunHandle

__all__ = ["TaskRef", "trigger", "trigger_sync"]

In = TypeVar("In")
Out = TypeVar("Out")


class TaskRef(Generic[In, Out]):
    """A task known by its id and, for type checkers, by what it takes and returns."""

    def __init__(self, task_id: str, **options: Any) -> None:
        self._id = task_id
        self._options = Options(**options)

    @property
    def id(self) -> str:
        """The task's id."""
        return self._id

    async def trigger(self, payload: In) -> RunHandle[Out]:
        """Create a run."""
        return await _lazy.remote()().trigger(_lazy.remote().item(self, payload, self._options))

    def trigger_sync(self, payload: In) -> RunHandle[Out]:
        """Create a run, blocking."""
        return _lazy.remote()().trigger_sync(_lazy.remote().item(self, payload, self._options))

    def decode_output(self, value: Any) -> Out:
        """Return the output as it came: the task's annotations are not known here."""
        result: Out = value
        return result


async def trigger(task_id: str, payload: Any = None, **options: Any) -> RunHandle[Any]:
    """Create a run of a task by its id; options are those of ``with_options``."""
    ref: TaskRef[Any, Any] = TaskRef(task_id, **options)
    return await ref.trigger(payload)


def trigger_sync(task_id: str, payload: Any = None, **options: Any) -> RunHandle[Any]:
    """Create a run of a task by its id, blocking."""
    ref: TaskRef[Any, Any] = TaskRef(task_id, **options)
    return ref.trigger_sync(payload)
