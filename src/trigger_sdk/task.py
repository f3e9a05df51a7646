"""``@task`` turns a function into something that can be triggered and is still that function."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, update_wrapper
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    TypeAlias,
    TypeVar,
    overload,
)

from trigger_core import duration
from trigger_core.duration import Duration
from trigger_core.errors import ConfigError
from trigger_core.machines import PRESETS, MachineName, smallest
from trigger_core.retry import RetryPolicy
from trigger_sdk import _lazy, batch, wait
from trigger_sdk._host import ForRuns
from trigger_sdk._registry import registry
from trigger_sdk.context import Context
from trigger_sdk.item import Item
from trigger_sdk.options import Options
from trigger_sdk.queue import Queue
from trigger_sdk.results import BatchResult, Pending, TaskResult, task_result
from trigger_sdk.retry import Retry
from trigger_sdk.schedule import Schedule

if TYPE_CHECKING:
    from trigger_core.packet import Packet
    from trigger_sdk._signature import Signature
    from trigger_sdk.runs import BatchHandle, RunHandle

__all__ = ["Isolation", "Payloads", "Task", "TaskSpec", "Triggerable", "task"]

P = ParamSpec("P")
R = TypeVar("R")
Payloads: TypeAlias = "Iterable[Any] | AsyncIterable[Any]"
"""Payloads, or items made by :meth:`Triggerable.item`; may be made as they are asked for."""
Isolation = Literal["process", "reuse"]

_MIN_DURATION_MS = 5_000


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What a task declares; ``None`` where the project's configuration decides."""

    id: str
    fn: Callable[..., Any]
    file_path: str
    line: int
    export_name: str
    description: str | None
    retry: RetryPolicy | None
    queue: Queue | None
    machine: MachineName | None
    max_duration_ms: int | None
    ttl_ms: int | None
    isolation: Isolation | None
    is_async: bool
    is_scheduled: bool = False
    schedule: Schedule | None = None


async def _collect(payloads: Payloads) -> list[Any]:
    if isinstance(payloads, AsyncIterable):
        return [payload async for payload in payloads]
    return list(payloads)


class Triggerable(Generic[P, R]):
    """A task together with options: everything needed to trigger runs of it."""

    def __init__(self, target: Task[P, R] | None, options: Options) -> None:
        self._target = target
        self._options = options

    @property
    def _task(self) -> Task[P, R]:
        assert self._target is not None
        return self._target

    async def trigger(self, *args: P.args, **kwargs: P.kwargs) -> RunHandle[R]:
        """Create a run; return as soon as the platform has it.

        Raises:
            InvalidPayloadError: the arguments do not fit the task; nothing was sent.
            PayloadTooLargeError: the payload is over 3 MiB; nothing was sent.
            NoSessionError: no platform is known.
            ApiError: the platform refused.
        """
        return await _lazy.remote()().trigger(self._item(args, kwargs))

    def trigger_sync(self, *args: P.args, **kwargs: P.kwargs) -> RunHandle[R]:
        """Create a run, blocking; see :meth:`trigger`."""
        return _lazy.remote()().trigger_sync(self._item(args, kwargs))

    def trigger_and_wait(self, *args: P.args, **kwargs: P.kwargs) -> Pending[TaskResult[R], R]:
        """Create a run and wait for its end: ``await task.trigger_and_wait(x).unwrap()``.

        Only inside a task. The waiting run holds no slot; several waits may run in parallel.

        Raises:
            TriggerError: the code does not execute in a run.
            InvalidPayloadError, PayloadTooLargeError, ApiError: as :meth:`trigger`.
        """

        async def start() -> TaskResult[R]:
            item = self._item(args, kwargs)
            waited = await wait.host().wait(ForRuns([item.to_wire()], is_batch=False))
            return task_result(self.id, waited.ended[0], self.decode_output)

        return Pending(start)

    def trigger_and_wait_sync(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """Create a run and wait for its end, in a task that is not ``async``."""
        item = self._item(args, kwargs)
        waited = wait.host().wait_sync(ForRuns([item.to_wire()], is_batch=False))
        return task_result(self.id, waited.ended[0], self.decode_output)

    async def batch_trigger_and_wait(self, payloads: Payloads) -> BatchResult[R]:
        """Create many runs at once and wait for all of them; raises as :meth:`trigger_and_wait`."""
        items = self._items(await _collect(payloads))
        return await batch.trigger_and_wait(items)

    def batch_trigger_and_wait_sync(self, payloads: Iterable[Any]) -> BatchResult[R]:
        """Create many runs at once and wait for all of them, in a task that is not ``async``."""
        return batch.trigger_and_wait_sync(self._items(payloads))

    async def batch_trigger(self, payloads: Payloads) -> BatchHandle:
        """Create many runs at once; each element is a payload or an :meth:`item`."""
        return await _lazy.remote()().batch_trigger(self._items(await _collect(payloads)))

    def batch_trigger_sync(self, payloads: Iterable[Any]) -> BatchHandle:
        """Create many runs at once, blocking."""
        return _lazy.remote()().batch_trigger_sync(self._items(payloads))

    def item(self, *args: P.args, **kwargs: P.kwargs) -> Item[R]:
        """Return one run of a batch; combine with ``with_options`` for options of its own."""
        return self._item(args, kwargs)

    def _item(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Item[R]:
        return Item(self, self._task.encode_payload(args, kwargs), self._options)

    def _items(self, payloads: Iterable[Any]) -> list[Item[R]]:
        return [
            payload
            if isinstance(payload, Item)
            else Item(self, self._task.encode_whole(payload), self._options)
            for payload in payloads
        ]

    @property
    def id(self) -> str:
        """The task's id."""
        return self._task.spec.id

    def decode_output(self, value: Any) -> R:
        """Read a run's output into what the task is annotated to return."""
        result: R = self._task.signature.read_output(value)
        return result


class Task(Triggerable[P, R]):
    """A task. Calling it calls the function; triggering it creates a run."""

    def __init__(self, spec: TaskSpec, schema: Any = None) -> None:
        super().__init__(None, Options())
        self.spec = spec
        self.fn = spec.fn
        self._schema = schema
        update_wrapper(self, spec.fn)

    @property
    def _task(self) -> Task[P, R]:
        return self

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Call the function as it is: no run, no platform."""
        return self.fn(*args, **kwargs)

    def with_options(self, **options: Any) -> Triggerable[P, R]:
        """Return the task with options for the runs triggered through it; see :class:`Options`.

        Raises:
            ConfigError: there is no such option.
        """
        try:
            return Triggerable(self, replace(self._options, **options))
        except TypeError as error:
            known = ", ".join(Options.__dataclass_fields__)
            raise ConfigError(str(error), hint=f"the options are: {known}") from error

    @cached_property
    def signature(self) -> Signature:
        """What the function takes and returns."""
        return _lazy.signature()(self.fn, self._schema)

    def encode_payload(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Packet:
        """Write the payload that a call with these arguments means."""
        return _lazy.remote().encode_payload(self.signature.payload(args, kwargs))

    def encode_whole(self, payload: Any) -> Packet:
        """Write a payload that is given as a whole: for several parameters an object with those keys."""
        return _lazy.remote().encode_payload(self.signature.whole(payload))


@overload
def task(fn: Callable[Concatenate[Context, P], Awaitable[R]], /) -> Task[P, R]: ...
@overload
def task(fn: Callable[P, Awaitable[R]], /) -> Task[P, R]: ...
@overload
def task(fn: Callable[Concatenate[Context, P], R], /) -> Task[P, R]: ...
@overload
def task(fn: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    *,
    id: str | None = None,
    description: str | None = None,
    retry: Retry | None = None,
    queue: Queue | str | None = None,
    machine: MachineName | Mapping[str, float] | None = None,
    max_duration: Duration | None = None,
    ttl: Duration | None = None,
    isolation: Isolation | None = None,
    schema: Any = None,
) -> _Decorator: ...
def task(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    id: str | None = None,  # noqa: A002 - the word users know
    description: str | None = None,
    retry: Retry | None = None,
    queue: Queue | str | None = None,
    machine: MachineName | Mapping[str, float] | None = None,
    max_duration: Duration | None = None,
    ttl: Duration | None = None,
    isolation: Isolation | None = None,
    schema: Any = None,
) -> Any:
    """Make a task of a function.

    Args:
        fn: the function, when the decorator is used bare.
        id: what the task is called everywhere; the function's name in kebab-case unless given.
        description: one sentence; the first line of the docstring unless given.
        retry: how failed attempts are repeated; three attempts with back-off unless the project says
            otherwise.
        queue: the queue its runs go to; every task has one of its own.
        machine: machine preset, or ``{"cpu": …, "memory": …}`` (cores, GiB) for the smallest that has both;
            its memory limit is enforced when it is given.
        max_duration: limit of one attempt's active time, at least five seconds.
        ttl: runs expire if no attempt starts in this time.
        isolation: ``"process"`` for a fresh process per attempt, ``"reuse"`` for a warm one.
        schema: validates the payload instead of the annotations.

    Raises:
        ConfigError: a value is not allowed.
    """

    def decorate(function: Callable[..., Any]) -> Task[..., Any]:
        spec = TaskSpec(
            id=id or _kebab(function.__name__),
            fn=function,
            file_path=inspect.getsourcefile(function) or "",
            line=function.__code__.co_firstlineno,
            export_name=function.__name__,
            description=description or _first_line(function),
            retry=retry.policy() if retry else None,
            queue=Queue(queue) if isinstance(queue, str) else queue,
            machine=_checked_machine(machine),
            max_duration_ms=_max_duration_ms(max_duration),
            ttl_ms=None if ttl is None else duration.parse_ms(ttl),
            isolation=_checked_isolation(isolation),
            is_async=inspect.iscoroutinefunction(function),
        )
        made: Task[..., Any] = Task(spec, schema)
        registry.add(made)
        return made

    return decorate if fn is None else decorate(fn)


class _Decorator:
    """How ``@task(...)`` looks to type checkers."""

    @overload
    def __call__(self, fn: Callable[Concatenate[Context, P], Awaitable[R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, Awaitable[R]], /) -> Task[P, R]: ...
    @overload
    def __call__(self, fn: Callable[Concatenate[Context, P], R], /) -> Task[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Task[P, R]: ...
    def __call__(self, fn: Any, /) -> Any:
        raise NotImplementedError


def _kebab(name: str) -> str:
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", name).replace("_", "-").lower()
    return words.strip("-")


def _first_line(function: Callable[..., Any]) -> str | None:
    text = inspect.getdoc(function)
    return text.splitlines()[0] if text else None


def _checked_machine(machine: MachineName | Mapping[str, float] | None) -> MachineName | None:
    if isinstance(machine, Mapping):
        return _fitting_machine(machine)
    if machine is not None and machine not in PRESETS:
        raise ConfigError(
            f"there is no machine preset {machine!r}", hint=f"presets: {', '.join(PRESETS)}"
        )
    return machine


def _fitting_machine(asked: Mapping[str, float]) -> MachineName:
    if set(asked) != {"cpu", "memory"}:
        raise ConfigError(
            f"a machine has cpu and memory, not {', '.join(map(str, asked)) or 'nothing'}",
            hint='machine={"cpu": 2, "memory": 4}',
        )
    found = smallest(asked["cpu"], asked["memory"])
    if found is None:
        raise ConfigError(f"no machine preset has {asked['cpu']} cores and {asked['memory']} GiB")
    return found


def _checked_isolation(isolation: Isolation | None) -> Isolation | None:
    if isolation not in {None, "process", "reuse"}:
        raise ConfigError(f"isolation is 'process' or 'reuse', not {isolation!r}")
    return isolation


def _max_duration_ms(value: Duration | None) -> int | None:
    return None if value is None else max(_MIN_DURATION_MS, duration.parse_ms(value))
