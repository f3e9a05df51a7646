"""Messages between the processes of a worker: JSON, one per datagram or line."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
from typing import Any

__all__ = ["LineBuffer", "Message", "control_pair", "die_with_parent", "pack", "receive", "send"]

Message = dict[str, Any]

_LARGEST = 1 << 16
_MAX_FDS = 4
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def control_pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends that carry whole messages, and file descriptors with them."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, message: Message, fds: list[int] | None = None) -> None:
    """Send one message of less than 64 KiB, with copies of file descriptors; what is longer goes by file."""
    socket.send_fds(end, [json.dumps(message).encode()], fds or [])


def receive(end: socket.socket) -> tuple[Message | None, list[int]]:
    """Receive one message and its file descriptors; ``None`` when the other end is closed."""
    try:
        data, fds, _flags, _address = socket.recv_fds(end, _LARGEST, _MAX_FDS)
    except ConnectionResetError:  # closed with messages of ours unread
        return None, []
    return (json.loads(data) if data else None), fds


def pack(message: Message) -> bytes:
    """Return a message as a line for a stream."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


class LineBuffer:
    """Cuts what arrives into lines; a long line costs no more than its length."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._held = 0

    def __len__(self) -> int:
        return self._held

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the lines they finish."""
        if b"\n" not in data:
            self._parts.append(data)
            self._held += len(data)
            return []
        *lines, rest = data.split(b"\n")
        lines[0] = b"".join([*self._parts, lines[0]])
        self._parts, self._held = ([rest] if rest else []), len(rest)
        return lines

    def rest(self) -> bytes:
        """Give out the line that was begun."""
        held, self._parts, self._held = b"".join(self._parts), [], 0
        return held


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies, however it dies."""
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os._exit(1)
