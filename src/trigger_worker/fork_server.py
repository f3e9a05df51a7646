"""The two-level fork server.

The *base* process has the SDK and its dependencies loaded and never any user code. For each version of the
user's code it forks a *version* process, which imports that code, reports what it found, and then forks
executors. All of them have one thread, so that forking is safe; a project whose import starts threads is
served by fresh interpreters instead.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from trigger_core.errors import TriggerError
from trigger_sdk import _lazy
from trigger_sdk.config import Config
from trigger_worker import executor, indexer, ipc
from trigger_worker.ipc import Message

__all__ = ["main"]

_IDLE_S = 0.2


def main() -> None:
    """Be the base process; ends when the worker does."""
    control = socket.socket(fileno=int(sys.argv[1]))
    ipc.die_with_parent(int(sys.argv[2]))
    for number in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
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
            _become_version(message, fds, base)
        for descriptor in fds:
            os.close(descriptor)


def _become_version(message: Message, fds: list[int], parent: int) -> NoReturn:
    ipc.die_with_parent(parent)
    control, report = socket.socket(fileno=fds[0]), fds[1]
    os.environ.update(message["env"])
    folder = Path(message["folder"])
    os.chdir(folder)
    sys.dont_write_bytecode = True
    config = _index(folder, report)
    ipc.send(control, {"op": "indexed", "ok": config is not None, "threads": _other_threads()})
    if config is not None:
        gc.collect()
        gc.freeze()
        with suppress(ConnectionError):  # the worker is gone, and so is the reason to be
            _Version(control, folder, config, can_fork=not _other_threads()).serve()
    os._exit(0)


def _index(folder: Path, report: int) -> Config | None:
    """Index the project; write what was found, or what is wrong, to the report file."""
    try:
        found = indexer.index(folder)
    except TriggerError as error:
        _write(report, {"error": error.report(), "files": sorted(indexer.project_files(folder))})
        return None
    _write(
        report,
        {
            "metadata": found.metadata.to_wire(),
            "files": found.files,
            "asyncTasks": found.async_tasks,
            "maxConcurrentRuns": found.config.max_concurrent_runs,
            "cancelGraceMs": found.config.cancel_grace_ms,
        },
    )
    return found.config


def _write(report: int, content: Message) -> None:
    with os.fdopen(report, "w", encoding="utf-8") as file:
        json.dump(content, file)


def _other_threads() -> list[str]:
    """Name the threads beside the main one; those that Python does not know count as well."""
    known = [
        thread.name for thread in threading.enumerate() if thread is not threading.main_thread()
    ]
    total = len(list(Path("/proc/self/task").iterdir()))
    unknown = total - 1 - len(known)
    return known + ["a native thread"] * max(0, unknown)


@dataclass
class _Version:
    """A version of the user's code, imported, handing out executors."""

    control: socket.socket
    folder: Path
    config: Config
    can_fork: bool

    def serve(self) -> None:
        """Fork on request and tell which executors have ended; until the worker closes its end."""
        wakeup, signaled = socket.socketpair()
        for end in (wakeup, signaled):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, _ignore)
        signal.set_wakeup_fd(signaled.fileno(), warn_on_full_buffer=False)
        preloaded = not self.can_fork
        while True:
            ready, _, _ = select.select(
                [self.control, wakeup], [], [], None if preloaded else _IDLE_S
            )
            if not ready:
                _lazy.preload()
                gc.freeze()
                preloaded = True
            if wakeup in ready:
                wakeup.recv(4096)
                self._reap()
            if self.control in ready and not self._answer(wakeup, signaled):
                return

    def _answer(self, wakeup: socket.socket, signaled: socket.socket) -> bool:
        message, fds = ipc.receive(self.control)
        if message is None:
            return False
        pid = self._fork(fds, wakeup, signaled) if self.can_fork else self._spawn(fds)
        for descriptor in fds:
            os.close(descriptor)
        ipc.send(self.control, {"op": "forked", "token": message["token"], "pid": pid})
        return True

    def _fork(self, fds: list[int], wakeup: socket.socket, signaled: socket.socket) -> int:
        parent = os.getpid()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for end in (self.control, wakeup, signaled):
                end.close()
            executor.main(socket.socket(fileno=fds[0]), fds[1], fds[2], self.config, parent)
        return pid

    def _spawn(self, fds: list[int]) -> int:
        arguments = [*map(str, fds), str(self.folder), str(os.getpid())]
        process = subprocess.Popen(
            [sys.executable, "-m", "trigger_worker.executor", *arguments], pass_fds=fds
        )
        process.returncode = 0  # it is reaped with the others
        return process.pid

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            ipc.send(self.control, {"op": "exited", "pid": pid, "status": status})


def _ignore(_signum: int, _frame: object) -> None:
    """Let the signal wake the loop; what it means is found out there."""


if __name__ == "__main__":
    main()
