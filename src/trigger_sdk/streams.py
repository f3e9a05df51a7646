"""Streams: what a run sends while it goes on, and what it is sent.

>>> from trigger_sdk import streams, task
>>> tokens = streams.define("tokens", str)
>>> @task
... async def write(prompt: str) -> None:
...     await tokens.pipe(model.answer(prompt))
>>> async for token in tokens.read(handle):
...     print(token, end="")
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from trigger_sdk import _lazy, wait
from trigger_sdk._host import ForToken, current_run

if TYPE_CHECKING:
    from trigger_core.duration import Duration
    from trigger_sdk._remote_streams import Place
    from trigger_sdk.runs import RunHandle

__all__ = ["InputStream", "Stream", "define", "input"]

T = TypeVar("T")


class Stream(Generic[T]):
    """Values that a run sends while it goes on; whoever may read the run may read them.

    ``target`` is the run itself unless it is ``"parent"``, ``"root"`` or the id of a run.
    """

    def __init__(self, name: str, kind: Any = None) -> None:
        self.name = name
        self._kind = kind

    async def append(self, *values: T, target: str = "self") -> None:
        """Send values.

        Raises:
            TriggerError: the code does not execute in a run, and no run is named.
            ApiError: the run is over.
            PayloadTooLargeError: a value has more than a mebibyte, or the stream would have more than 64.
        """
        await _lazy.streams()().append(self._place(target), values)

    def append_sync(self, *values: T, target: str = "self") -> None:
        """Send values, blocking."""
        _lazy.streams()().append_sync(self._place(target), values)

    async def pipe(self, source: AsyncIterable[T] | Iterable[T], *, target: str = "self") -> int:
        """Send what a source yields as it comes; return how many values that were.

        Raises:
            TriggerError, ApiError, PayloadTooLargeError: as :meth:`append` does, and what the source raises.
        """
        return await _lazy.streams()().pipe(self._place(target), source)

    def pipe_sync(self, source: Iterable[T], *, target: str = "self") -> int:
        """Send what a source yields as it comes, blocking."""
        return _lazy.streams()().pipe_sync(self._place(target), source)

    async def read(
        self, run: RunHandle[Any] | str, *, idle: Duration | None = None
    ) -> AsyncIterator[T]:
        """Read from the beginning until the run is over, or nothing has come for ``idle`` (1s to 10m).

        Raises:
            NotFoundError: there is no such run.
        """
        async for value in _lazy.streams()().read(_id(run), self.name, idle):
            yield _typed(self._kind, value)

    def read_sync(self, run: RunHandle[Any] | str, *, idle: Duration | None = None) -> Iterator[T]:
        """Read likewise, blocking."""
        for value in _lazy.streams()().read_sync(_id(run), self.name, idle):
            yield _typed(self._kind, value)

    def _place(self, target: str) -> Place:
        return _lazy.streams().place(self.name, target)


class InputStream(Generic[T]):
    """Values that a run is sent while it goes on.

    Each attempt receives them from the first one on, so that one that is repeated does the same again.
    """

    def __init__(self, name: str, kind: Any = None) -> None:
        self.name = name
        self._kind = kind

    async def send(self, run: RunHandle[Any] | str, value: T) -> None:
        """Send a run a value.

        Raises:
            ApiError: the run is over.
            NotFoundError: there is no such run.
        """
        await _lazy.streams()().send(_id(run), self.name, value)

    def send_sync(self, run: RunHandle[Any] | str, value: T) -> None:
        """Send a run a value, blocking."""
        _lazy.streams()().send_sync(_id(run), self.name, value)

    async def receive(self, *, timeout: Duration | None = None) -> T:
        """Return the next value, perhaps after a wait that holds no slot; only inside a task.

        Raises:
            TokenTimeoutError: none came in time.
            TriggerError: the code does not execute in a run.
        """
        position = self._claim()
        token = await _lazy.streams()().await_input(self.name, position, timeout)
        return self._value(position, await wait.host().wait(ForToken(token)))

    def receive_sync(self, *, timeout: Duration | None = None) -> T:
        """Return the next value, in a task that is not ``async``."""
        position = self._claim()
        token = _lazy.streams()().await_input_sync(self.name, position, timeout)
        return self._value(position, wait.host().wait_sync(ForToken(token)))

    def _claim(self) -> int:
        """Return the place of the value that this call will get; others get those after it."""
        wait.host()
        received = _received()
        position = received.get(self.name, 0)
        received[self.name] = position + 1
        return position

    def _value(self, position: int, waited: Any) -> T:
        result = wait.token_result(waited, self._kind)
        if not result.ok and _received().get(self.name) == position + 1:
            _received()[self.name] = position
        value: T = result.unwrap()
        return value


@overload
def define(name: str) -> Stream[Any]: ...
@overload
def define(name: str, kind: type[T]) -> Stream[T]: ...
def define(name: str, kind: Any = None) -> Stream[Any]:
    """Name a stream that runs write, and what its values are; left as plain JSON values unless given."""
    return Stream(name, kind)


@overload
def input(name: str) -> InputStream[Any]: ...  # noqa: A001 - the word users know
@overload
def input(name: str, kind: type[T]) -> InputStream[T]: ...  # noqa: A001
def input(name: str, kind: Any = None) -> InputStream[Any]:  # noqa: A001
    """Name a stream that runs receive from, and what its values are."""
    return InputStream(name, kind)


def _received() -> dict[str, int]:
    active = current_run.get()
    assert active is not None
    return active.received


def _typed(kind: Any, value: Any) -> Any:
    return value if kind is None else _lazy.signature().read(kind, value)


def _id(run: RunHandle[Any] | str) -> str:
    return run if isinstance(run, str) else run.id
