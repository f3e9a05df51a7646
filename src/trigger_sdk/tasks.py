"""Triggering tasks by their id, where their code is not at hand."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from trigger_sdk import _lazy, wait
from trigger_sdk._host import ForRuns
from trigger_sdk.item import Item
from trigger_sdk.options import Options
from trigger_sdk.results import Pending, TaskResult, task_result
from trigger_sdk.runs import RunHandle

__all__ = ["TaskRef", "trigger", "trigger_and_wait", "trigger_and_wait_sync", "trigger_sync"]

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
        return await _lazy.remote()().trigger(self.item(payload))

    def trigger_sync(self, payload: In) -> RunHandle[Out]:
        """Create a run, blocking."""
        return _lazy.remote()().trigger_sync(self.item(payload))

    def trigger_and_wait(self, payload: In) -> Pending[TaskResult[Out], Out]:
        """Create a run and wait for its end; only inside a task."""

        async def start() -> TaskResult[Out]:
            waited = await wait.host().wait(self._for_run(payload))
            return task_result(self.id, waited.ended[0], self.decode_output)

        return Pending(start)

    def trigger_and_wait_sync(self, payload: In) -> TaskResult[Out]:
        """Create a run and wait for its end, in a task that is not ``async``."""
        waited = wait.host().wait_sync(self._for_run(payload))
        return task_result(self.id, waited.ended[0], self.decode_output)

    def item(self, payload: In) -> Item[Out]:
        """Return one run of a batch."""
        return _lazy.remote().item(self, payload, self._options)

    def _for_run(self, payload: In) -> ForRuns:
        return ForRuns([self.item(payload).to_wire()], is_batch=False)

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


def trigger_and_wait(
    task_id: str, payload: Any = None, **options: Any
) -> Pending[TaskResult[Any], Any]:
    """Create a run of a task by its id and wait for its end; only inside a task."""
    ref: TaskRef[Any, Any] = TaskRef(task_id, **options)
    return ref.trigger_and_wait(payload)


def trigger_and_wait_sync(task_id: str, payload: Any = None, **options: Any) -> TaskResult[Any]:
    """Create a run of a task by its id and wait for its end, in a task that is not ``async``."""
    ref: TaskRef[Any, Any] = TaskRef(task_id, **options)
    return ref.trigger_and_wait_sync(payload)
