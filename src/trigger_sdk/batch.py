"""Batches of different tasks: ``await batch.trigger([task_a.item(x), task_b.item(y)])``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from trigger_sdk import _lazy, wait
from trigger_sdk._host import ForRuns, Waited
from trigger_sdk.item import Item
from trigger_sdk.results import BatchResult, task_result

if TYPE_CHECKING:
    from trigger_core.schemas.batches import BatchDetail
    from trigger_sdk.runs import BatchHandle, Column, Run

__all__ = [
    "retrieve",
    "retrieve_sync",
    "subscribe",
    "subscribe_sync",
    "trigger",
    "trigger_and_wait",
    "trigger_and_wait_sync",
    "trigger_sync",
]

R = TypeVar("R")


async def trigger(items: Iterable[Item[Any]]) -> BatchHandle:
    """Create runs of any tasks at once; raises as :meth:`Task.trigger` does."""
    return await _lazy.remote()().batch_trigger(list(items))


def trigger_sync(items: Iterable[Item[Any]]) -> BatchHandle:
    """Create runs of any tasks at once, blocking."""
    return _lazy.remote()().batch_trigger_sync(list(items))


async def trigger_and_wait(items: Iterable[Item[R]]) -> BatchResult[R]:
    """Create runs of any tasks and wait for all of them; only inside a task."""
    given = list(items)
    return _result(given, await wait.host().wait(_request(given)) if given else Waited(()))


def trigger_and_wait_sync(items: Iterable[Item[R]]) -> BatchResult[R]:
    """Create runs of any tasks and wait for all of them, in a task that is not ``async``."""
    given = list(items)
    return _result(given, wait.host().wait_sync(_request(given)) if given else Waited(()))


async def retrieve(batch_id: str) -> BatchDetail:
    """Read a batch: its status, its runs, and the items that could not be triggered."""
    return await _lazy.remote()().retrieve_batch(batch_id)


def retrieve_sync(batch_id: str) -> BatchDetail:
    """Read a batch, blocking."""
    return _lazy.remote()().retrieve_batch_sync(batch_id)


async def subscribe(
    batch: BatchHandle | str, *, skip_columns: Sequence[Column] = ()
) -> AsyncIterator[Run[Any]]:
    """Follow the runs of a batch, each as it is now and after every change, for as long as you listen.

    Raises:
        NotFoundError: there is no such batch.
    """
    path = f"/realtime/v1/batches/{batch if isinstance(batch, str) else batch.id}"
    async for run in _lazy.streams()().subscribe_many(path, {}, skip_columns):
        yield run


def subscribe_sync(
    batch: BatchHandle | str, *, skip_columns: Sequence[Column] = ()
) -> Iterator[Run[Any]]:
    """Follow the runs of a batch, blocking; see :func:`subscribe`."""
    path = f"/realtime/v1/batches/{batch if isinstance(batch, str) else batch.id}"
    yield from _lazy.streams()().subscribe_many_sync(path, {}, skip_columns)


def _request(items: Sequence[Item[Any]]) -> ForRuns:
    return ForRuns([item.to_wire() for item in items], is_batch=True)


def _result(items: Sequence[Item[R]], waited: Waited) -> BatchResult[R]:
    results = tuple(
        task_result(item.task.id, ended, item.task.decode_output)
        for item, ended in zip(items, waited.ended, strict=True)
    )
    return BatchResult(waited.batch_id or "", results)
