"""The two-level fork server.

The *base* process has the SDK and its dependencies loaded and never any user code. For each version of the
user's code it forks a *version* process (``version_process``), which imports that code and then forks
executors. All of them have one thread, so that forking is safe.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys

from trigger_sdk import _lazy
from trigger_worker import ipc, version_process

__all__ = ["main"]


def main() -> None:
    """Be the base process; ends when the worker does."""
    control = socket.socket(fileno=int(sys.argv[1]))
    ipc.die_with_parent(int(sys.argv[2]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the versions
    _lazy.signature()
    gc.collect()
    gc.freeze()
    while True:
        message, fds = ipc.receive(control)
        if message is None:
            return
        base = os.getpid()
        if os.fork() == 0:
            control.close()
            version_process.main(fds, base)
        for descriptor in fds:
            os.close(descriptor)


if __name__ == "__main__":
    main()
