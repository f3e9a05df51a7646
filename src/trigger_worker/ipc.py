"""Messages between the processes of a worker: JSON, one per datagram or line."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
from typing import Any

__all__ = ["Message", "control_pair", "die_with_parent", "pack", "receive", "send"]

Message = dict[str, Any]

_LARGEST = 1 << 16
_MAX_FDS = 4
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def control_pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends that carry whole messages, and file descriptors with them."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, message: Message, fds: list[int] | None = None) -> None:
    """Send one message, with copies of file descriptors."""
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


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies, however it dies."""
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os._exit(1)
