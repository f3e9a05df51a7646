"""The process of one version: imports the user's code, reports what it found, and hands out executors.

They are forked; a project whose import starts threads is served by fresh interpreters instead, which are
given the source that was imported here.
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
import tempfile
import threading
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from trigger_core.errors import TriggerError
from trigger_sdk import _lazy
from trigger_sdk.config import Config
from trigger_worker import executor, indexer, ipc, spans
from trigger_worker.ipc import Message
from trigger_worker.sources import Sources

__all__ = ["main"]

_IDLE_S = 0.2
_NAMED_THREADS = 10


def main(fds: list[int], parent: int) -> NoReturn:
    """Be the process of a version. ``fds``: the control socket, the file for the report, the order."""
    ipc.die_with_parent(parent)
    os.setpgid(0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with suppress(ConnectionError):  # the worker is gone, or has no use for this version any more
        _live(socket.socket(fileno=fds[0]), fds[1], _order(fds[2]))
    os._exit(0)


def _live(control: socket.socket, report: int, order: Message) -> None:
    ipc.send(control, {"op": "begun", "pid": os.getpid()})
    os.environ.update(order["env"])
    folder = Path(order["folder"])
    os.chdir(folder)
    sys.dont_write_bytecode = True
    sources = Sources(folder)
    config = _index(sources, report)
    threads = _other_threads()
    ipc.send(control, {"op": "indexed", "threads": threads[:_NAMED_THREADS]})
    if config is not None:
        gc.collect()
        gc.freeze()
        _Version(control, sources, config, can_fork=not threads).serve()


def _order(descriptor: int) -> Message:
    with os.fdopen(descriptor, encoding="utf-8") as file:
        file.seek(0)
        order: Message = json.load(file)
        return order


def _index(sources: Sources, report: int) -> Config | None:
    """Index the project; write what was found, or what is wrong, to the report file."""
    own = os.getpid()
    try:
        found = indexer.index(sources)
    except TriggerError as error:
        _end_copy(own)
        files = sorted(indexer.project_files(sources.folder))
        _write(report, {"error": error.report(), "files": files})
        return None
    _end_copy(own)
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


def _end_copy(own: int) -> None:
    """End here if the user's code forked and let the child run on into ours."""
    if os.getpid() != own:
        os._exit(0)


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
    sources: Sources
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
                spans.preload()
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
        token = message["token"]
        try:
            pid = self._fork(fds, wakeup, signaled) if self.can_fork else self._spawn(fds)
        except OSError as error:
            answer = {"op": "not_forked", "token": token, "error": error.strerror or str(error)}
        else:
            answer = {"op": "forked", "token": token, "pid": pid}
        for descriptor in fds:
            os.close(descriptor)
        ipc.send(self.control, answer)
        return True

    def _fork(self, fds: list[int], wakeup: socket.socket, signaled: socket.socket) -> int:
        parent = os.getpid()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for end in (self.control, wakeup, signaled):
                end.close()
            executor.main(socket.socket(fileno=fds[0]), fds[1], fds[2], self.config, parent)
        with suppress(OSError):  # it has done so itself, or is gone
            os.setpgid(pid, pid)
        return pid

    def _spawn(self, fds: list[int]) -> int:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as order:
            json.dump(
                {"folder": str(self.sources.folder), "sources": self.sources.to_wire()}, order
            )
            order.flush()
            passed = [*fds, order.fileno()]
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "trigger_worker.spawned",
                    *map(str, passed),
                    str(os.getpid()),
                ],
                pass_fds=passed,
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
