"""A generation: one version of the user's code, its fork server, and the executors it has handed out."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from trigger_core.schemas.workers import TaskDeclaration, WorkerMetadata
from trigger_worker import ipc
from trigger_worker.executor_process import ExecutorProcess, Listener
from trigger_worker.ipc import Message

__all__ = ["BaseProcess", "Generation", "IndexReport"]

_AHEAD = 4


class BaseProcess:
    """The process all versions are forked from."""

    def __init__(self) -> None:
        self._control: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; loading the SDK goes on in the background."""
        self._control, theirs = ipc.control_pair()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "trigger_worker.fork_server",
            str(theirs.fileno()),
            str(os.getpid()),
            pass_fds=[theirs.fileno()],
            stdin=asyncio.subprocess.DEVNULL,
        )
        theirs.close()

    def fork_version(self, folder: str, env: dict[str, str], fds: list[int]) -> None:
        """Fork a process that imports the project."""
        assert self._control is not None
        ipc.send(self._control, {"op": "load", "folder": folder, "env": env}, fds)

    async def stop(self) -> None:
        """End it, and with it everything it forked."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What importing the project came to: its metadata, or an error."""

    metadata: WorkerMetadata | None
    error: Message | None
    files: list[str]
    async_tasks: frozenset[str] = frozenset()
    max_concurrent_runs: int = 1
    cancel_grace_ms: int = 0


@dataclass(eq=False)
class Generation:
    """A version that can execute runs.

    Executors are handed over ready: a few fresh ones are forked ahead, and warm ones that may be used
    again are kept, the last used first.
    """

    control: socket.socket
    listener: Listener
    report: IndexReport | None = None
    threads: list[str] = field(default_factory=list)
    worker_id: str = ""
    version: str = ""
    running: int = 0
    limit: int = 1
    busy: int = 0
    retired: bool = False
    tasks: dict[str, TaskDeclaration] = field(default_factory=dict)
    _tokens: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _forking: dict[int, ExecutorProcess] = field(default_factory=dict)
    _by_pid: dict[int, ExecutorProcess] = field(default_factory=dict)
    _fresh: list[ExecutorProcess] = field(default_factory=list)
    _warm: list[ExecutorProcess] = field(default_factory=list)
    _wanted: deque[Callable[[ExecutorProcess], None]] = field(default_factory=deque)
    _indexed: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    async def load(
        cls,
        base: BaseProcess,
        folder: str,
        env: dict[str, str],
        listener: Listener,
    ) -> Generation:
        """Fork a version process and let it import the project; ``report`` says how that went."""
        mine, theirs = ipc.control_pair()
        mine.setblocking(False)
        with tempfile.TemporaryFile("w+", encoding="utf-8") as report:
            made = cls(mine, listener)
            asyncio.get_running_loop().add_reader(mine, made._hear)
            base.fork_version(folder, env, [theirs.fileno(), report.fileno()])
            theirs.close()
            await made._indexed.wait()
            made.report = _read(report)
        if made.report.metadata is not None:
            made.tasks = {task.id: task for task in made.report.metadata.tasks}
        return made

    def give(self, task: str, take: Callable[[ExecutorProcess], None]) -> None:
        """Call ``take`` with an executor for a task, at once if one is ready."""
        pool = self._warm if self.reuses(task) and self._warm else self._fresh
        if pool and self.busy < self.limit:
            self._hand_over(pool.pop(), take)
        else:
            self._wanted.append(take)
        self.refill()

    def _hand_over(self, process: ExecutorProcess, take: Callable[[ExecutorProcess], None]) -> None:
        self.busy += 1
        take(process)

    def reuses(self, task: str) -> bool:
        """Tell whether a task's executors may run another attempt afterwards."""
        declared = self.tasks.get(task)
        return declared is not None and declared.isolation == "reuse"

    def give_back(self, process: ExecutorProcess) -> None:
        """Keep a warm executor for the next run, or let it go."""
        if self._wanted:
            self._hand_over(process, self._wanted.popleft())
        elif self.retired:
            process.close()
        else:
            self._warm.append(process)

    def became_ready(self, process: ExecutorProcess) -> None:
        """A forked executor can work."""
        if self._wanted and self.busy < self.limit:
            self._hand_over(process, self._wanted.popleft())
        elif self.retired:
            process.close()
        else:
            self._fresh.append(process)
        self.refill()

    def release(self, process: ExecutorProcess | None = None) -> None:
        """An executor is gone or waiting, or, if given, free for another run."""
        self.busy -= 1
        if process is not None:
            self.give_back(process)
        while self._wanted and self._fresh and self.busy < self.limit:
            self._hand_over(self._fresh.pop(), self._wanted.popleft())
        self.refill()

    def resume(self) -> None:
        """An executor that waited goes on."""
        self.busy += 1

    def refill(self) -> None:
        """Fork as many executors as are asked for, and a few ahead."""
        ahead = 0 if self.retired else _AHEAD
        wanted = min(len(self._wanted), max(1, self.limit - self.busy))
        missing = wanted + ahead - len(self._fresh) - len(self._forking)
        for _ in range(missing):
            token = next(self._tokens)
            process = ExecutorProcess(token, self.listener)
            self._forking[token] = process
            asyncio.ensure_future(self._fork(process))  # noqa: RUF006 - kept in _forking

    def retire(self) -> None:
        """Keep no idle executors: a newer version takes the new runs."""
        self.retired = True
        for process in [*self._fresh, *self._warm]:
            process.close()
        self._fresh.clear()
        self._warm.clear()

    def close(self) -> None:
        """End the version process and every executor of it."""
        for process in [*self._by_pid.values()]:
            process.kill(signal.SIGKILL)
            process.close()
        if self.control.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self.control)
            self.control.close()

    async def _fork(self, process: ExecutorProcess) -> None:
        fds = await process.open()
        try:
            ipc.send(self.control, {"op": "fork", "token": process.token}, fds)
        except OSError:
            self._forking.pop(process.token, None)
            process.close()
        finally:
            for descriptor in fds:
                os.close(descriptor)

    def _hear(self) -> None:
        try:
            message, _ = ipc.receive(self.control)
        except BlockingIOError:
            return
        except OSError:
            message = None
        if message is None:
            asyncio.get_running_loop().remove_reader(self.control)
            self._indexed.set()
        elif message["op"] == "indexed":
            self.threads = message["threads"]
            self._indexed.set()
        elif message["op"] == "forked":
            self._forked(message)
        else:
            self._exited(message)

    def _forked(self, message: Message) -> None:
        process = self._forking[message["token"]]
        process.pid = message["pid"]
        self._by_pid[process.pid] = process
        if process.is_ready:
            self._settle(process)

    def _settle(self, process: ExecutorProcess) -> None:
        if self._forking.get(process.token) is process:
            del self._forking[process.token]
            self.became_ready(process)

    def process_ready(self, process: ExecutorProcess) -> None:
        """The executor said it is ready; its process id may still be on the way."""
        if process.pid:
            self._settle(process)

    def _exited(self, message: Message) -> None:
        process = self._by_pid.pop(message["pid"], None)
        if process is None:
            return
        self._forking.pop(process.token, None)
        for pool in (self._fresh, self._warm):
            if process in pool:
                pool.remove(process)
        process.exited(message["status"])


def _read(report: TextIO) -> IndexReport:
    report.seek(0)
    text = report.read()
    if not text:
        what = "the process that imports the tasks died"
        fix = "look for code at module level that exits, or that crashes the interpreter"
        return IndexReport(None, {"code": "TASK_IMPORT_CRASHED", "what": what, "fix": fix}, [])
    content = json.loads(text)
    if "error" in content:
        return IndexReport(None, content["error"], content["files"])
    return IndexReport(
        WorkerMetadata.model_validate(content["metadata"]),
        None,
        content["files"],
        frozenset(content["asyncTasks"]),
        content["maxConcurrentRuns"],
        content["cancelGraceMs"],
    )
