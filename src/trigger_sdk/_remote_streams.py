"""Everything the SDK asks of streams and feeds, for blocking and for async callers."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from trigger_core import duration, packet
from trigger_core.api import following, live_run
from trigger_core.api.calls import streams as calls
from trigger_core.api.events import Event
from trigger_core.duration import Duration
from trigger_core.errors import TriggerError
from trigger_core.schemas.streams import AwaitInput
from trigger_sdk._host import ActiveRun, current_run
from trigger_sdk._remote import Remote
from trigger_sdk.runs import Run, RunHandle

__all__ = ["Place", "RemoteStreams"]

R = TypeVar("R")

_LONGEST_IDLE_S = 600
_GATHER_S = 0.01
_AT_ONCE = 256
_RELATIVES = frozenset({"self", "parent", "root"})


@dataclass(frozen=True, slots=True)
class Place:
    """A stream of a run, of its parent or of its root."""

    run_id: str
    target: str
    name: str

    @classmethod
    def of(cls, name: str, target: str) -> Place:
        """Return the stream that the current code writes to.

        Raises:
            TriggerError: it does not execute in a run, and no run was named.
        """
        if target not in _RELATIVES:
            return cls(target, "self", name)
        active = current_run.get()
        if active is None:
            raise TriggerError(
                f"there is no run whose stream {name!r} could be written to",
                code="NOT_IN_A_RUN",
                hint="call this inside a task, or name a run: target=run.id",
            )
        return cls(active.ctx.run.id, target, name)


class RemoteStreams(Remote):
    """The platform, as far as streams and feeds go."""

    place = Place.of

    async def append(self, place: Place, values: Sequence[Any]) -> None:
        """Write values."""
        await self._write(place, [_text(value) for value in values], _writer(), 0)

    def append_sync(self, place: Place, values: Sequence[Any]) -> None:
        """Write values."""
        self._write_sync(place, [_text(value) for value in values], _writer(), 0)

    async def pipe(self, place: Place, source: AsyncIterable[Any] | Iterable[Any]) -> int:
        """Write what a source yields; what comes while some is being sent is sent together after it."""
        client_id, sent = _writer(), 0
        async for values in _gathered(source):
            await self._write(place, values, client_id, sent)
            sent += len(values)
        return sent

    def pipe_sync(self, place: Place, source: Iterable[Any]) -> int:
        """Write what a source yields, each value at once."""
        client_id, sent = _writer(), 0
        for value in source:
            self._write_sync(place, [_text(value)], client_id, sent)
            sent += 1
        return sent

    async def _write(self, place: Place, values: Sequence[str], client_id: str, first: int) -> None:
        if _is_new(place):
            await self._send(calls.declare(place.run_id, place.target, place.name))
        call = calls.write(
            place.run_id, place.target, place.name, values=values, client_id=client_id, first=first
        )
        await self._send(call)

    def _write_sync(self, place: Place, values: Sequence[str], client_id: str, first: int) -> None:
        if _is_new(place):
            self._send_sync(calls.declare(place.run_id, place.target, place.name))
        call = calls.write(
            place.run_id, place.target, place.name, values=values, client_id=client_id, first=first
        )
        self._send_sync(call)

    async def read(self, run_id: str, name: str, idle: Duration | None) -> AsyncIterator[Any]:
        """Yield the values of a stream."""
        path, after, is_over = calls.path(run_id, name), None, False
        while True:
            async for event in following.stream(self._async, path, after, _idle_s(idle)):
                after = event.id or after
                yield _value(event)
            if idle is not None or is_over:
                return
            is_over = (await self.retrieve(run_id)).is_completed

    def read_sync(self, run_id: str, name: str, idle: Duration | None) -> Iterator[Any]:
        """Yield the values of a stream."""
        path, after, is_over = calls.path(run_id, name), None, False
        while True:
            for event in following.stream_sync(self._sync, path, after, _idle_s(idle)):
                after = event.id or after
                yield _value(event)
            if idle is not None or is_over:
                return
            is_over = self.retrieve_sync(run_id).is_completed

    async def send(self, run_id: str, name: str, value: Any) -> None:
        """Send a run a value."""
        await self._send(calls.send(run_id, name, json.loads(_text(value))))

    def send_sync(self, run_id: str, name: str, value: Any) -> None:
        """Send a run a value."""
        self._send_sync(calls.send(run_id, name, json.loads(_text(value))))

    async def await_input(self, name: str, position: int, timeout: Duration | None) -> str:
        """Return the token that the value at a position completes."""
        call = calls.await_input(_active().ctx.run.id, _awaited(name, position, timeout))
        return (await self._send(call)).waitpoint_id

    def await_input_sync(self, name: str, position: int, timeout: Duration | None) -> str:
        """Return the token that the value at a position completes."""
        call = calls.await_input(_active().ctx.run.id, _awaited(name, position, timeout))
        return self._send_sync(call).waitpoint_id

    async def subscribe(
        self, run: RunHandle[R] | str, skip: Sequence[str]
    ) -> AsyncIterator[Run[R]]:
        """Follow a run until it is over."""
        path = _feed("runs", run if isinstance(run, str) else run.id)
        async for row in following.rows(self._async, path, _params(skip)):
            found = await self.retrieve(run) if _lies_elsewhere(row) else _run(run, row)
            yield found
            if found.is_completed:
                return

    def subscribe_sync(self, run: RunHandle[R] | str, skip: Sequence[str]) -> Iterator[Run[R]]:
        """Follow a run until it is over."""
        path = _feed("runs", run if isinstance(run, str) else run.id)
        for row in following.rows_sync(self._sync, path, _params(skip)):
            found = self.retrieve_sync(run) if _lies_elsewhere(row) else _run(run, row)
            yield found
            if found.is_completed:
                return

    async def subscribe_many(
        self, path: str, params: dict[str, str], skip: Sequence[str]
    ) -> AsyncIterator[Run[Any]]:
        """Follow runs, for ever."""
        async for row in following.rows(self._async, path, params | _params(skip)):
            run_id: str = row["friendlyId"]
            yield await self.retrieve(run_id) if _lies_elsewhere(row) else _run(run_id, row)

    def subscribe_many_sync(
        self, path: str, params: dict[str, str], skip: Sequence[str]
    ) -> Iterator[Run[Any]]:
        """Follow runs, for ever."""
        for row in following.rows_sync(self._sync, path, params | _params(skip)):
            run_id: str = row["friendlyId"]
            yield self.retrieve_sync(run_id) if _lies_elsewhere(row) else _run(run_id, row)


def _feed(kind: str, name: str) -> str:
    return f"/realtime/v1/{kind}/{quote(name, safe='')}"


def _params(skip: Sequence[str]) -> dict[str, str]:
    return {"skipColumns": ",".join(skip)} if skip else {}


def _lies_elsewhere(row: Mapping[str, Any]) -> bool:
    """Tell whether an output is too large to come with the row."""
    return row.get("outputType") == packet.STORE and row.get("output") is not None


def _run(run: RunHandle[R] | str, row: Mapping[str, Any]) -> Run[R]:
    detail = live_run.detail(row)
    output = detail.output
    if detail.is_success and not isinstance(run, str):
        output = run.read_output(output)
    return Run(detail, output)


def _active() -> ActiveRun:
    active = current_run.get()
    if active is None:
        raise TriggerError(
            "there is no run that could receive",
            code="NOT_IN_A_RUN",
            hint="call this inside a task",
        )
    return active


def _awaited(name: str, position: int, timeout: Duration | None) -> AwaitInput:
    return AwaitInput(
        stream_id=name,
        last_seq_num=position - 1 if position else None,
        timeout=None if timeout is None else duration.to_text(timeout),
    )


def _is_new(place: Place) -> bool:
    """Tell whether the current attempt writes to a stream for the first time; elsewhere every call may be."""
    active = current_run.get()
    if active is None:
        return True
    is_new = place not in active.declared
    active.declared.add(place)
    return is_new


def _writer() -> str:
    return secrets.token_hex(8)


def _text(value: Any) -> str:
    """Return a value as JSON of one line."""
    encoded = packet.encode(value, name="value")
    return json.dumps(
        packet.to_plain(encoded.data, encoded.type), ensure_ascii=False, separators=(",", ":")
    )


def _value(event: Event) -> Any:
    try:
        return json.loads(event.data)
    except ValueError:
        return event.data


def _idle_s(idle: Duration | None) -> int:
    asked = _LONGEST_IDLE_S if idle is None else round(duration.parse_ms(idle) / 1000)
    return max(1, min(_LONGEST_IDLE_S, asked))


async def _gathered(source: AsyncIterable[Any] | Iterable[Any]) -> AsyncIterator[list[str]]:
    """Yield the values of a source, together what comes shortly after each other."""
    if not isinstance(source, AsyncIterable):
        values = [_text(value) for value in source]
        for start in range(0, len(values), _AT_ONCE):
            yield values[start : start + _AT_ONCE]
        return
    queue: asyncio.Queue[str | None] = asyncio.Queue(_AT_ONCE)
    producing = asyncio.create_task(_produce(source, queue))
    try:
        while (first := await queue.get()) is not None:
            await asyncio.sleep(_GATHER_S)
            gathered = [first, *(queue.get_nowait() for _ in range(queue.qsize()))]
            values = [value for value in gathered if value is not None]
            yield values
            if len(values) < len(gathered):
                break
        await producing
    finally:
        producing.cancel()


async def _produce(source: AsyncIterable[Any], queue: asyncio.Queue[str | None]) -> None:
    """Fill the queue; its end is ``None``, also when the source fails."""
    try:
        async for value in source:
            await queue.put(_text(value))
    except Exception:
        await queue.put(None)
        raise
    await queue.put(None)
