"""One address before several platforms; at a chosen moment of what passes through it, something is done."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Self

__all__ = ["Address", "Balancer", "Moment"]

Address = tuple[str, int]
Moment = Literal["asked", "answered", "told"]
"""A request came and was not passed on; its answer came and was not passed on; or was passed on."""

_CHUNK = 256 * 1024
_LONGEST_HEAD = 256


@dataclass(eq=False)
class _Trap:
    """What is waited for, and what is done then."""

    moment: Moment
    words: bytes
    left: int
    act: Callable[[Address], None]
    sprung: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None


@dataclass(eq=False)
class _Way:
    """A connection of a client, and the one to a platform behind it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    behind: asyncio.StreamReader
    beyond: asyncio.StreamWriter
    address: Address
    asked: bytes = b""
    seen: bytes = b""

    def abort(self) -> None:
        """Cut both, as the death of a machine does."""
        for writer in (self.writer, self.beyond):
            writer.transport.abort()


class Balancer:
    """Gives each connection to the next platform that takes it; runs on a thread of its own."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        self.addresses = list(addresses)
        self.refused = 0
        self.url = ""
        self._turn = 0
        self._trap: _Trap | None = None
        self._ways: set[_Way] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._meet, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def when(
        self, moment: Moment, words: bytes, count: int, act: Callable[[Address], None]
    ) -> Callable[[float], None]:
        """Do something at the ``count``-th moment from now that has such words; return how to wait for it.

        Words are of the request, those of its answer too. The connection is cut afterwards, and ``act`` is
        given the platform that has it. Others go on meanwhile.
        """
        trap = self._trap = _Trap(moment, words, count, act)

        def wait(seconds: float) -> None:
            assert trap.sprung.wait(seconds), f"{trap.left} more of {moment} {words!r} did not come"
            if trap.failure is not None:
                raise trap.failure

        return wait

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _close(self) -> None:
        self._server.close()
        for way in self._ways:
            way.abort()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._serve(reader, writer)
        finally:
            self._serving.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = await self._connect()
        if found is None:
            self.refused += 1
            writer.transport.abort()
            return
        way = _Way(reader, writer, *found)
        self._ways.add(way)
        both = [asyncio.ensure_future(self._upwards(way)), asyncio.ensure_future(self._down(way))]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for end in (way.writer, way.beyond):  # what was written still arrives
            end.close()
        await asyncio.gather(*both, return_exceptions=True)
        self._ways.discard(way)

    async def _connect(
        self,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Address] | None:
        first = self._turn
        self._turn += 1
        for n in range(len(self.addresses)):
            address = self.addresses[(first + n) % len(self.addresses)]
            with suppress(OSError):
                return *await asyncio.open_connection(*address), address
        return None

    async def _upwards(self, way: _Way) -> None:
        while data := await way.reader.read(_CHUNK):
            if data.startswith((b"POST ", b"GET ", b"PUT ", b"PATCH ", b"DELETE ")):
                way.asked, way.seen = data[:_LONGEST_HEAD], b""
            if await self._springs("asked", way, way.seen + data, way.seen):
                return
            way.seen = data[-_LONGEST_HEAD:]
            way.beyond.write(data)
            await way.beyond.drain()

    async def _down(self, way: _Way) -> None:
        while data := await way.behind.read(_CHUNK):
            is_answer = data.startswith(b"HTTP/1.1 ")
            if is_answer and await self._springs("answered", way, way.asked):
                return
            way.writer.write(data)
            await way.writer.drain()
            if is_answer and await self._springs("told", way, way.asked):
                return

    async def _springs(self, moment: Moment, way: _Way, text: bytes, known: bytes = b"") -> bool:
        trap = self._trap
        if trap is None or trap.moment != moment or trap.words not in text or trap.words in known:
            return False
        trap.left -= 1
        if trap.left > 0:
            return False
        self._trap = None
        try:
            await asyncio.to_thread(trap.act, way.address)
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits
            trap.failure = error
        way.abort()
        trap.sprung.set()
        return True
