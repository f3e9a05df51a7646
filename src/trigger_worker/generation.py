"""A generation: one version of the user's code, its process, and the executors forked from it."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from trigger_worker import index_report, ipc
from trigger_worker.base_process import BaseProcess
from trigger_worker.executor_pool import ExecutorPool, Take
from trigger_worker.executor_process import ExecutorProcess
from trigger_worker.index_report import IndexReport
from trigger_worker.ipc import Message

__all__ = ["Generation", "Owner"]

_READY_S = 10.0
_FORK_AGAIN_S = 0.2
_CALM_S = 0.005
"""A fork takes a core for a millisecond, which the run that was just handed out would wait for."""


class Owner(Protocol):
    """Who answers for a generation and the runs it executes."""

    def said(self, process: ExecutorProcess, message: Message) -> None:
        """An executor sent a message about its attempt."""
        ...

    def wrote(self, process: ExecutorProcess, record: Message) -> None:
        """An executor wrote a line that bypassed Python's streams."""
        ...

    def ended(self, process: ExecutorProcess, status: int) -> None:
        """An executor has exited, and everything it said has been heard."""
        ...

    def died(self, generation: Generation) -> None:
        """Its process ended although nobody asked for it, and with it all its executors."""
        ...

    def cannot_start(self, generation: Generation, last_lines: list[str]) -> None:
        """Executors end before they are ready; the attempts that wait for one are the owner's again."""
        ...

    def notice(self, text: str) -> None:
        """Something the developer should know."""
        ...


@dataclass(eq=False)
class Generation:
    """A version that can execute runs.

    ``running`` counts the runs that were handed to it; ``is_alive`` ends when its process is found dead.
    """

    control: socket.socket
    owner: Owner
    env: dict[str, str]
    report: IndexReport = field(default_factory=lambda: IndexReport(None, None, []))
    threads: list[str] = field(default_factory=list)
    worker_id: str = ""
    version: str = ""
    running: int = 0
    loaded_at: float = 0.0
    import_s: float = 0.0
    pool: ExecutorPool = field(default_factory=ExecutorPool)
    is_alive: bool = True
    _pid: int = 0
    _tokens: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _by_pid: dict[int, ExecutorProcess] = field(default_factory=dict)
    _limits: dict[int, asyncio.TimerHandle] = field(default_factory=dict)
    _opening: set[asyncio.Task[None]] = field(default_factory=set)
    _calm: asyncio.TimerHandle | None = None
    _indexed: asyncio.Event = field(default_factory=asyncio.Event)
    _is_closed: bool = False
    _forks_fail: bool = False

    @classmethod
    async def load(
        cls, base: BaseProcess, folder: str, env: dict[str, str], owner: Owner
    ) -> Generation:
        """Fork a version process and let it import the project; ``report`` says how that went.

        Canceled, it leaves no process behind, however busy that is with importing.
        """
        mine, theirs = ipc.control_pair()
        mine.setblocking(False)
        made = cls(mine, owner, env)
        loop = asyncio.get_running_loop()
        loop.add_reader(mine, made._hear)
        began = loop.time()
        try:
            with (
                tempfile.TemporaryFile("w+", encoding="utf-8") as order,
                tempfile.TemporaryFile("w+", encoding="utf-8") as report,
            ):
                json.dump({"folder": folder, "env": env}, order)
                order.flush()
                with theirs:
                    base.fork_version([theirs.fileno(), report.fileno(), order.fileno()])
                await made._indexed.wait()
                made.report = index_report.read(report)
        except BaseException:
            made.close()
            raise
        made.loaded_at = loop.time()
        made.import_s = made.loaded_at - began
        made.pool.lanes.limit = made.report.max_concurrent_runs
        return made

    def age_s(self) -> float:
        """Return how long ago it was loaded."""
        return asyncio.get_running_loop().time() - self.loaded_at

    def give(self, task: str, take: Take) -> None:
        """Call ``take`` with an executor for a task, at once if one is ready."""
        self.pool.give(take, accepts_used=self.report.reuses(task))
        self.refill()

    def give_back(self, process: ExecutorProcess) -> None:
        """An executor is free for another attempt."""
        self.pool.give_back(process)
        self.refill()

    def release(self) -> None:
        """An executor is gone or waiting."""
        self.pool.release()
        self.refill()

    def refill(self) -> None:
        """Fork as many executors as are waited for now, and a few ahead once those have begun to work."""
        self._fork_missing(ahead=False)
        if self._calm is None and self.pool.missing(ahead=True):
            self._calm = asyncio.get_running_loop().call_later(_CALM_S, self._refill_ahead)

    def _refill_ahead(self) -> None:
        self._calm = None
        self._fork_missing(ahead=True)

    def _fork_missing(self, *, ahead: bool) -> None:
        if self._is_closed or not self.is_alive:
            return
        for _ in range(self.pool.missing(ahead=ahead)):
            process = ExecutorProcess(next(self._tokens), self)
            self.pool.forking[process.token] = process
            opening = asyncio.create_task(self._fork(process))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)

    def retire(self) -> None:
        """Keep no idle executors: a newer version takes the new runs."""
        self.pool.retire()

    def close(self) -> None:
        """End the version process and every executor of it."""
        if self._is_closed:
            return
        self._is_closed = True
        for process in self._executors():
            process.kill(signal.SIGKILL)
            process.close()
        self._stop_hearing()
        self.control.close()
        if self.is_alive and self._pid:
            with suppress(ProcessLookupError):  # it has just ended by itself
                os.killpg(self._pid, signal.SIGKILL)
        self._indexed.set()

    def ready(self, process: ExecutorProcess) -> None:
        """An executor said that it is ready; its process id may still be on the way."""
        if process.pid:
            self._settle(process)

    def said(self, process: ExecutorProcess, message: Message) -> None:
        """Pass it on."""
        self.owner.said(process, message)

    def wrote(self, process: ExecutorProcess, record: Message) -> None:
        """Pass it on."""
        self.owner.wrote(process, record)

    def ended(self, process: ExecutorProcess, status: int) -> None:
        """Pass it on, and replace an executor that was not used."""
        self.owner.ended(process, status)
        if self.pool.cannot_start and not process.is_ready:
            self.pool.dismiss()
            self.owner.cannot_start(self, list(process.last_lines))
        self.refill()

    async def _fork(self, process: ExecutorProcess) -> None:
        fds = await process.open()
        try:
            if not self._is_closed and self.is_alive:
                ipc.send(self.control, {"op": "fork", "token": process.token}, fds)
                allowed = _READY_S + 10 * self.import_s
                self._limits[process.token] = asyncio.get_running_loop().call_later(
                    allowed, process.kill, signal.SIGKILL
                )
            else:
                process.close()
        except OSError as error:
            self._not_forked(process, str(error))
        finally:
            for descriptor in fds:
                os.close(descriptor)

    def _hear(self) -> None:
        """Take what the version's process says; nothing more comes from one that has ended."""
        while not self._is_closed:
            try:
                message, _ = ipc.receive(self.control)
            except BlockingIOError:
                return
            if message is None:
                self._lost()
                return
            self._heed(message)

    def _heed(self, message: Message) -> None:
        match message["op"]:
            case "begun":
                self._pid = message["pid"]
            case "indexed":
                self.threads = message["threads"]
                self._indexed.set()
            case "forked":
                self._forked(message["token"], message["pid"])
            case "not_forked":
                process = self.pool.forking.get(message["token"])
                if process is not None:
                    self._not_forked(process, message["error"])
            case _:
                self._exited(message["pid"], message["status"])

    def _lost(self) -> None:
        """The version's process is gone, and the kernel kills what it forked."""
        self._stop_hearing()
        self.is_alive = False
        was_serving = self._indexed.is_set()
        self._indexed.set()
        self.pool.dismiss()
        if was_serving and self.worker_id:
            self.owner.died(self)
        for process in self._executors():
            process.kill(signal.SIGKILL)
            self.pool.lost(process)
            process.exited(signal.SIGKILL)
        self._by_pid.clear()

    def _executors(self) -> list[ExecutorProcess]:
        return list({*self._by_pid.values(), *self.pool.forking.values()})

    def _stop_hearing(self) -> None:
        if self.control.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self.control)
        for limit in self._limits.values():
            limit.cancel()
        self._limits.clear()

    def _forked(self, token: int, pid: int) -> None:
        self._forks_fail = False
        process = self.pool.forking[token]
        process.pid = pid
        self._by_pid[pid] = process
        if process.is_ready:
            self._settle(process)

    def _not_forked(self, process: ExecutorProcess, error: str) -> None:
        """The system has no room for another process just now: try again in a moment."""
        del self.pool.forking[process.token]
        self._forget_limit(process)
        process.close()
        if not self._forks_fail:
            self._forks_fail = True
            self.owner.notice(f"no process for a run could be started ({error}); trying again")
        asyncio.get_running_loop().call_later(_FORK_AGAIN_S, self.refill)

    def _settle(self, process: ExecutorProcess) -> None:
        if self.pool.forking.pop(process.token, None) is not None:
            self._forget_limit(process)
            self.pool.became_ready(process)
            self.refill()

    def _forget_limit(self, process: ExecutorProcess) -> None:
        limit = self._limits.pop(process.token, None)
        if limit is not None:
            limit.cancel()

    def _exited(self, pid: int, status: int) -> None:
        process = self._by_pid.pop(pid, None)
        if process is not None:
            self._forget_limit(process)
            self.pool.lost(process)
            process.exited(status)
