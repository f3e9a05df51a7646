"""One connection: how many there may be, how slow its other end may be, and how it ends when the server does.

What an HTTP library leaves open: a sender that never finishes its request holds a connection for ever, one
that never finishes its headers fills the memory, and so does one that never reads its answer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from trigger_platform.http import peer
from trigger_platform.http.whole_answers import WholeAnswers

__all__ = ["Connection", "Gate", "cut", "protocol"]

_CUT = "trigger.cut"
_HEAD_BYTES = 64 * 1024
_IDLE, _HEAD, _BODY = "idle", "head", "body"


@dataclass(slots=True)
class Gate:
    """What all connections of a server go by.

    Attributes:
        most: how many there may be at once.
        head_s: how long the headers of a request may take.
        body_s: how long a body may send nothing, and nothing be taken of an answer.
        is_for_one_user: whether pages are for the user of this process alone, who need not log in.
        is_draining: whether connections end with their next answer.
        heard_at: when the last request began, on the event loop's clock.
    """

    most: int
    head_s: float
    body_s: float
    is_for_one_user: bool = False
    is_draining: bool = False
    heard_at: float = 0.0


class Connection(HttpToolsProtocol):
    """A connection with limits."""

    gate: ClassVar[Gate]

    _stage = _HEAD
    _head_bytes = 0
    _began = 0.0
    _heard = 0.0
    _is_foreign = False
    _watch: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let it in, unless there are too many."""
        super().connection_made(transport)
        self.transport = WholeAnswers(transport, self.loop)  # type: ignore[assignment]  # for all that is used
        self._began = self.loop.time()
        if len(self.connections) > self.gate.most:
            self._refuse(b"503 Service Unavailable", b"too many connections")
            return
        if self.gate.is_for_one_user:
            self._is_foreign = not peer.is_ours(self.client, self.server)
        self._watch = self.loop.call_later(self.gate.head_s, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch it no longer."""
        self._unwatch()
        self._flows()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to watch whether the other end takes its answer."""
        super().pause_writing()
        self._flows()
        self._stall = self.loop.call_later(
            self.gate.body_s, self._see, self.transport.get_write_buffer_size()
        )

    def resume_writing(self) -> None:
        """Go on: it does."""
        self._flows()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request."""
        self._heard = self.loop.time()
        if self._stage is _HEAD:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._stage is _HEAD and self._head_bytes > _HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large", b"the headers are too large")
        elif self._stage is not _IDLE and self._watch is None:
            self._watch = self.loop.call_later(self._patience() - self._heard, self._look)

    def on_message_begin(self) -> None:
        """Begin with the headers of a request."""
        if self._stage is not _HEAD:
            self._stage, self._head_bytes, self._began = _HEAD, 0, self._heard
        super().on_message_begin()
        if self._is_foreign:
            self.scope["state"]["is_foreign"] = True
        self.scope["extensions"] = {_CUT: {"call": self._cut}}

    def on_headers_complete(self) -> None:
        """Begin with the request itself."""
        self._stage = _BODY
        self.gate.heard_at = self._heard
        super().on_headers_complete()
        if self.gate.is_draining:
            self.end_with_answer()

    def on_message_complete(self) -> None:
        """Expect nothing more of this request."""
        self._stage = _IDLE
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the protocol of web sockets."""
        self._unwatch()
        self._flows()
        self.transport = cast("WholeAnswers", self.transport).transport
        super().handle_websocket_upgrade()

    def end_with_answer(self) -> None:
        """Let the client go elsewhere once the request that is under way is answered."""
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def _patience(self) -> float:
        """Return when it has taken too long."""
        if self._stage is _HEAD:
            return self._began + self.gate.head_s
        return self._heard + self.gate.body_s

    def _look(self) -> None:
        """See whether a request makes progress."""
        self._watch = None
        if self._stage is _IDLE or self.transport.is_closing():
            return
        now = self.loop.time()
        if self.flow.read_paused:  # it is not the sender who lets us wait
            self._heard = now
        left = self._patience() - now
        if left <= 0:
            self._refuse(b"408 Request Timeout", b"the request takes too long")
        else:
            self._watch = self.loop.call_later(left, self._look)

    def _see(self, before: int) -> None:
        """End the connection when nothing was taken of its answer since there were so many bytes of it."""
        left = self.transport.get_write_buffer_size()
        if left >= before:
            self.transport.abort()
        else:
            self._stall = self.loop.call_later(self.gate.body_s, self._see, left)

    def _refuse(self, status: bytes, text: bytes) -> None:
        """End the connection; an answer that was begun stays as it is."""
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            head = b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n" % (
                status,
                len(text),
            )
            self.transport.write(head + b"connection: close\r\n\r\n" + text)
        self.transport.close()

    def _cut(self) -> None:
        """End the connection in the middle of an answer."""
        self.cycle.disconnected = True
        self.transport.close()

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _flows(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None


def cut(scope: Scope) -> None:
    """Break an answer off, where an end would tell who reads it that there is no more.

    What was sent before arrives. Behind another server than ours the answer ends.
    """
    offered = (scope.get("extensions") or {}).get(_CUT)
    if offered is not None:
        offered["call"]()


def protocol(gate: Gate) -> type[Connection]:
    """Return the class of the connections behind a gate."""
    return type("GatedConnection", (Connection,), {"gate": gate})
