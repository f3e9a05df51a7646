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
from trigger_worker.ipc import Message, pack

__all__ = ["ExecutorProcess", "Listener"]

_CHUNK = 1 << 16
_KEPT_LINES = 50
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
        self.last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._listener = listener
        self._status: int | None = None
        self._is_open = True
        self._rest = b""
        self._transport: asyncio.WriteTransport | None = None
        self._pipes: dict[str, tuple[int, bytes]] = {}

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
            self._pipes[source] = (reading, b"")
            loop.add_reader(reading, self._drain, source)
            fds.append(writing)
        return fds

    def send(self, message: Message) -> None:
        """Send a message."""
        if self._transport is not None:
            self._transport.write(pack(message))

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the process; SIGKILL goes to everything it started as well."""
        if self.pid == 0:
            return
        with suppress(ProcessLookupError, PermissionError):
            if number is signal.SIGKILL:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def drain(self) -> None:
        """Read what is left in the pipes, so that it is reported before the end of the attempt."""
        for source in list(self._pipes):
            self._drain(source)
            self._end_line(source)

    def close(self) -> None:
        """Let go of the process; an idle one ends."""
        if self._transport is not None:
            self._transport.close()
        self._close_pipes()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass messages on."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._hear(json.loads(line))

    def connection_lost(self, _error: Exception | None) -> None:
        """The process closed its end: it is over, or about to be."""
        self._transport = None
        self.drain()
        self._close_pipes()
        self._is_open = False
        self._check_ended()

    def exited(self, status: int) -> None:
        """The fork server has seen it exit."""
        self._status = status
        self._check_ended()

    def _check_ended(self) -> None:
        if self._status is not None and not self._is_open:
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
        reading, rest = self._pipes[source]
        while True:
            try:
                data = os.read(reading, _CHUNK)
            except BlockingIOError:
                break
            if not data:
                asyncio.get_running_loop().remove_reader(reading)
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._wrote(source, line)
            if len(data) < _CHUNK:
                break
        self._pipes[source] = (reading, rest)

    def _end_line(self, source: str) -> None:
        reading, rest = self._pipes[source]
        if rest:
            self._pipes[source] = (reading, b"")
            self._wrote(source, rest)

    def _wrote(self, source: str, line: bytes) -> None:
        text = line.decode(errors="replace")
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
