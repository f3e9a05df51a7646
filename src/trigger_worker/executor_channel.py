"""The executor's end of its stream: whole messages out, messages in, and signals that may come between.

Any thread may send. A signal handler runs in the midst of whatever the main thread does, so it neither reads
while a read is under way nor raises while a message is half written: both are made up for right afterwards.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable

from trigger_worker.ipc import LineBuffer, Message, pack

__all__ = ["ExecutorChannel"]

_CHUNK = 1 << 16


class ExecutorChannel:
    """Messages to and from the worker."""

    def __init__(self, end: socket.socket) -> None:
        self.inbox: list[Message] = []
        self.is_copy = False
        self._end = end
        self._lines = LineBuffer()
        self._lock = threading.Lock()
        self._main = threading.get_ident()
        self._is_writing = False
        self._is_reading = False
        self._look_again = False
        self._postponed: list[Callable[[], None]] = []
        os.register_at_fork(after_in_child=self._leave)

    def fileno(self) -> int:
        """The descriptor, for an event loop."""
        return self._end.fileno()

    def send(self, message: Message) -> None:
        """Send a message whole."""
        if self.is_copy:
            return
        data = pack(message)
        if threading.get_ident() != self._main:
            with self._lock:
                self._end.sendall(data)
            return
        self._is_writing = True
        try:
            with self._lock:
                self._end.sendall(data)
        finally:
            self._is_writing = False
        while self._postponed:
            self._postponed.pop(0)()

    def receive(self, flags: int = 0) -> bool:
        """Take what arrives into the inbox, waiting for it; ``False`` when the worker is gone."""
        self._is_reading = True
        try:
            is_open = self._take(flags)
            while self._look_again:
                self._look_again = False
                is_open = is_open and self._take_more()
            return is_open
        finally:
            self._is_reading = False

    def look(self) -> None:
        """Take what has arrived, without waiting; from a signal handler."""
        if self._is_reading:
            self._look_again = True
            return
        try:
            self.receive(socket.MSG_DONTWAIT)
        except BlockingIOError:
            return

    def when_written(self, do: Callable[[], None]) -> None:
        """Do something in a signal handler: now, or when the message under way is written."""
        if self._is_writing:
            self._postponed.append(do)
        else:
            do()

    def _take(self, flags: int) -> bool:
        data = self._end.recv(_CHUNK, flags)
        self.inbox += [json.loads(line) for line in self._lines.feed(data)]
        return bool(data)

    def _take_more(self) -> bool:
        try:
            return self._take(socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True

    def _leave(self) -> None:
        """In a child that the task forked: the stream is its parent's."""
        self.is_copy = True
        self._end.close()
