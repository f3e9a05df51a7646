"""An executor as the worker sees it: a stream to it, the pipes of its output, its process id."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections import deque
from contextlib import suppress
from typing import Protocol

from trigger_worker import capture
from trigger_worker.ipc import LineBuffer, Message, pack

__all__ = ["ExecutorProcess", "Listener"]

_CHUNK = 1 << 16
_CHUNKS_AT_ONCE = 16
_KEPT_LINES = 50
_LINGER_S = 0.5
"""A stream that is still open so long after the exit is held open by something the task started."""
_PIPE_LEVELS = {"stdout": "INFO", "stderr": "ERROR"}


class Listener(Protocol):
    """Who hears what an executor says."""

    def ready(self, process: ExecutorProcess) -> None:
        """It can take an assignment."""
        ...

    def said(self, process: ExecutorProcess, message: Message) -> None:
        """It sent a message about its attempt."""
        ...

    def wrote(self, process: ExecutorProcess, record: Message) -> None:
        """It wrote a line that bypassed Python's streams."""
        ...

    def ended(self, process: ExecutorProcess, status: int) -> None:
        """It has exited, and everything it said has been heard."""
        ...


class ExecutorProcess(asyncio.Protocol):
    """One forked executor; ``pid`` is 0 until the fork server has told it."""

    def __init__(self, token: int, listener: Listener) -> None:
        self.token = token
        self.pid = 0
        self.is_ready = False
        self.is_used = False
        self.has_begun = False
        self.last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._listener = listener
        self._status: int | None = None
        self._is_open = True
        self._has_ended = False
        self._is_paused = False
        self._lines = LineBuffer()
        self._sent = 0
        self._transport: asyncio.Transport | None = None
        self._pipes: dict[str, tuple[int, LineBuffer]] = {}

    async def open(self) -> list[int]:
        """Make the stream and the pipes; return the ends that belong to the executor."""
        loop = asyncio.get_running_loop()
        mine, theirs = socket.socketpair()
        mine.setblocking(False)
        await loop.create_unix_connection(lambda: self, sock=mine)
        fds = [theirs.detach()]
        for source in ("stdout", "stderr"):
            reading, writing = os.pipe()
            os.set_blocking(reading, False)
            self._pipes[source] = (reading, LineBuffer())
            loop.add_reader(reading, self._drain, source)
            fds.append(writing)
        return fds

    def hand(self, run: Message) -> None:
        """Hand it a run; it has not begun it if it turns out to be dead without having read it."""
        self.is_used = True
        self.has_begun = self._transport is not None and not self._transport.is_closing()
        self._sent = 0
        self.send(run)

    def send(self, message: Message) -> None:
        """Send a message."""
        self._sent += 1
        if self._transport is not None:
            self._transport.write(pack(message))

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the process; SIGKILL goes to everything it started as well."""
        if self.pid == 0:
            return
        with suppress(ProcessLookupError, PermissionError):
            if number is signal.SIGKILL:
                self._kill_all()
            elif self._status is None:
                os.kill(self.pid, number)

    def _kill_all(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            if self._status is None:  # it hangs where it is no group of its own yet
                os.kill(self.pid, signal.SIGKILL)

    def drain(self) -> None:
        """Read what is left in the pipes, so that it is reported before the end of the attempt."""
        for source in list(self._pipes):
            self._drain(source)
            self._end_line(source)

    def pause(self) -> None:
        """Read no more for now: what it writes comes faster than it can be reported."""
        if self._is_paused or self._transport is None:
            return
        self._is_paused = True
        self._transport.pause_reading()
        for reading, _ in self._pipes.values():
            asyncio.get_running_loop().remove_reader(reading)

    def resume(self) -> None:
        """Read on."""
        if not self._is_paused:
            return
        self._is_paused = False
        if self._transport is not None:
            self._transport.resume_reading()
        for source, (reading, _) in self._pipes.items():
            asyncio.get_running_loop().add_reader(reading, self._drain, source)

    def close(self) -> None:
        """Let go of the process; an idle one ends."""
        if self._transport is not None:
            self._transport.close()
        self._close_pipes()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass messages on."""
        for line in self._lines.feed(data):
            self._hear(json.loads(line))

    def connection_lost(self, error: Exception | None) -> None:
        """The process closed its end: it is over, or about to be.

        The kernel tells by the error when it has left unread what it was sent.
        """
        self._transport = None
        if isinstance(error, ConnectionError) and self._sent == 1:
            self.has_begun = False
        self.drain()
        self._close_pipes()
        self._is_open = False
        self._check_ended()

    def exited(self, status: int) -> None:
        """The fork server has seen it exit."""
        self._status = status
        self._check_ended()
        if self._is_open:
            asyncio.get_running_loop().call_later(_LINGER_S, self._stop_listening)

    def _stop_listening(self) -> None:
        """Everything the process said has been heard; only what it started could still hold the stream."""
        if self._is_paused:
            asyncio.get_running_loop().call_later(_LINGER_S, self._stop_listening)
        elif self._transport is not None:
            self._transport.abort()

    def _check_ended(self) -> None:
        if self._status is not None and not self._is_open and not self._has_ended:
            self._has_ended = True
            self._listener.ended(self, self._status)

    def _hear(self, message: Message) -> None:
        if message["t"] == "ready":
            self.is_ready = True
            self._listener.ready(self)
            return
        record = message.get("record")
        if record is not None and record["source"] == "stderr":
            self.last_lines.append(record["message"])
        if message["t"] == "done":
            self.drain()
        self._listener.said(self, message)

    def _drain(self, source: str) -> None:
        """Read what a pipe holds; a flood is read in turns with everything else."""
        reading, lines = self._pipes[source]
        for _ in range(_CHUNKS_AT_ONCE):
            try:
                data = os.read(reading, _CHUNK)
            except BlockingIOError:
                return
            if not data:
                asyncio.get_running_loop().remove_reader(reading)
                return
            for line in lines.feed(data):
                self._wrote(source, line)
            if len(lines) > capture.LONGEST_LINE:
                self._wrote(source, lines.rest())

    def _end_line(self, source: str) -> None:
        _, lines = self._pipes[source]
        rest = lines.rest()
        if rest:
            self._wrote(source, rest)

    def _wrote(self, source: str, line: bytes) -> None:
        for text in capture.pieces(line.decode(errors="replace")):
            if source == "stderr":
                self.last_lines.append(text)
            record = {
                "time": capture.stamp(),
                "level": _PIPE_LEVELS[source],
                "source": source,
                "message": text,
            }
            self._listener.wrote(self, record)

    def _close_pipes(self) -> None:
        loop = asyncio.get_running_loop()
        for reading, _ in self._pipes.values():
            loop.remove_reader(reading)
            os.close(reading)
        self._pipes.clear()
