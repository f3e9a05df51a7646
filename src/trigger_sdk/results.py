"""What waiting inside a task comes to: results of children, of batches, of tokens."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from trigger_core import packet
from trigger_sdk._host import Ended
from trigger_sdk.errors import TaskFailedError, TokenTimeoutError, TriggerError

__all__ = [
    "BatchResult",
    "Pending",
    "RunFailure",
    "TaskResult",
    "TokenResult",
    "failure_of",
    "task_result",
]

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class RunFailure:
    """Why a run failed: ``name`` and ``stack_trace`` of what the task raised, or ``code`` of the system."""

    message: str
    name: str | None = None
    code: str | None = None
    stack_trace: str | None = None


@dataclass(frozen=True, slots=True)
class TaskResult(Generic[R]):
    """How a child ended.

    Attributes:
        ok: whether it succeeded.
        id: the child's run id.
        task: the task's id.
        output: what it returned, typed; ``None`` unless it succeeded.
        error: why it failed; ``None`` if it succeeded.
    """

    ok: bool
    id: str
    task: str
    output: R | None
    error: RunFailure | None

    def unwrap(self) -> R:
        """Return the output.

        Raises:
            TaskFailedError: the child did not succeed.
        """
        if not self.ok:
            error = self.error or RunFailure("the run did not succeed")
            name = error.name or error.code
            raise TaskFailedError(
                f"run {self.id} of task {self.task!r} failed",
                because=f"{name}: {error.message}" if name else error.message,
                hint=f"look at it: trigger runs get {self.id}",
            )
        output: R = self.output  # type: ignore[assignment]  # None is a fine output of a task of None
        return output


@dataclass(frozen=True, slots=True)
class BatchResult(Generic[R]):
    """How the runs of a batch ended, in the order of the items."""

    id: str
    results: tuple[TaskResult[R], ...]

    def __iter__(self) -> Iterator[TaskResult[R]]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, position: int) -> TaskResult[R]:
        return self.results[position]

    def outputs(self) -> list[R]:
        """Return the outputs of all runs.

        Raises:
            TaskFailedError: one of them did not succeed.
        """
        return [result.unwrap() for result in self.results]


@dataclass(frozen=True, slots=True)
class TokenResult(Generic[R]):
    """How a token ended: completed with ``output``, or out of time with ``error``."""

    ok: bool
    output: R | None
    error: RunFailure | None

    def unwrap(self) -> R:
        """Return what the token was completed with.

        Raises:
            TokenTimeoutError: nobody completed it in time.
        """
        if not self.ok:
            message = self.error.message if self.error else "the token was not completed"
            raise TokenTimeoutError(message)
        output: R = self.output  # type: ignore[assignment]  # None is a fine value
        return output


class _Unwrappable(Protocol[R_co]):
    def unwrap(self) -> R_co:
        """Return the value or raise."""
        ...


W = TypeVar("W", bound=_Unwrappable[Any])


class Pending(Generic[W, R]):
    """A wait that has not ended: await it for the result, or its :meth:`unwrap` for the value."""

    def __init__(self, start: Callable[[], Awaitable[W]]) -> None:
        self._start = start

    def __await__(self) -> Generator[Any, None, W]:
        return self._start().__await__()

    async def unwrap(self) -> R:
        """Wait and return the value; raises what the result's ``unwrap`` raises."""
        value: R = (await self).unwrap()
        return value


def task_result(task: str, ended: Ended, decode: Callable[[Any], R]) -> TaskResult[R]:
    """Return the typed result of a child."""
    if ended.ok:
        value = packet.to_plain(ended.output, ended.output_type)
        return TaskResult(ok=True, id=ended.run_id, task=task, output=decode(value), error=None)
    return TaskResult(ok=False, id=ended.run_id, task=task, output=None, error=failure_of(ended))


def failure_of(ended: Ended) -> RunFailure:
    """Read the error of a wait that ended badly (the union of protocol 0.11, or a timeout)."""
    try:
        error = json.loads(ended.output or "{}")
    except ValueError as broken:
        raise TriggerError("the error of a wait cannot be read", because=str(broken)) from broken
    return RunFailure(
        message=error.get("message") or error.get("raw") or error.get("code") or "it failed",
        name=error.get("name"),
        code=error.get("code"),
        stack_trace=error.get("stackTrace"),
    )
