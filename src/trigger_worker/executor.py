"""The process that runs attempts: receives an assignment, calls the task, reports how it ended.

Everything happens in the main thread. A synchronous task is called directly, an asynchronous one in an
event loop that lives as long as the process. Messages come and go over one stream; while user code blocks,
SIGUSR1 makes this process look at what has arrived.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import logging
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from trigger_core import packet
from trigger_core.errors import TriggerError
from trigger_core.machines import DEFAULT_MACHINE, PRESETS
from trigger_core.packet import UnserializableError
from trigger_core.retry import RetryPolicy
from trigger_sdk._host import ActiveRun, current_run
from trigger_sdk._registry import registry
from trigger_sdk.config import Config
from trigger_sdk.context import (
    AttemptContext,
    BatchContext,
    CancelSignal,
    Context,
    DeploymentContext,
    EnvironmentContext,
    ProjectContext,
    QueueContext,
    RunContext,
    TaskContext,
)
from trigger_sdk.errors import TaskCanceledError
from trigger_sdk.task import Task
from trigger_worker import capture, indexer, limits, outcome
from trigger_worker.ipc import Message, die_with_parent, pack

__all__ = ["Executor", "main"]

_CHUNK = 1 << 16


class Executor:
    """One process, one attempt at a time."""

    def __init__(self, channel: socket.socket, config: Config) -> None:
        self._channel = channel
        self._config = config
        self._inbox: list[Message] = []
        self._rest = b""
        self._references = itertools.count(1)
        self._resumed: set[str] = set()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._signal: CancelSignal | None = None
        self._attempt_task: asyncio.Task[Any] | None = None
        self._interruptible = False
        self._rng = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._out, self._err = capture.install(self._record, config.log_level)

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """Making it takes most of a millisecond; a project of plain functions does without."""
        return asyncio.new_event_loop()

    def serve(self) -> None:
        """Run attempts until the worker has no more for this process."""
        signal.signal(signal.SIGUSR1, self._look)
        signal.signal(signal.SIGTERM, self._interrupt)
        self._send({"t": "ready"})
        if any(task.spec.is_async for task in registry.tasks.values()):
            self._loop  # noqa: B018 - made now, while nobody waits for it
        while (message := self._next()) is not None:
            if message["t"] == "run":
                self._send(self._attempt(message["run"]))
            elif message["t"] == "exit":
                return

    def log(self, level: str, message: str, attributes: dict[str, Any], source: str) -> None:
        """Record a line (the SDK's logger)."""
        self._record(level, source, message, attributes or None)

    async def wait_until(self, until_ms: int) -> None:
        """Wait for the platform's word, in an asynchronous task."""
        reference = self._begin_wait(until_ms)
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting[reference] = future
        try:
            await future
        finally:
            self._waiting.pop(reference, None)

    def wait_until_sync(self, until_ms: int) -> None:
        """Wait for the platform's word, blocking."""
        reference = self._begin_wait(until_ms)
        while reference not in self._resumed:
            self._receive()
        self._resumed.discard(reference)

    def _begin_wait(self, until_ms: int) -> str:
        self._flush()
        reference = f"w{next(self._references)}"
        self._send({"t": "wait", "ref": reference, "until": until_ms})
        return reference

    def _attempt(self, run: Message) -> Message:
        started = time.monotonic()
        task = registry.tasks.get(run["task"])
        if task is None:
            return outcome.internal("COULD_NOT_FIND_TASK", f"There is no task {run['task']!r}.")
        self._signal = CancelSignal()
        limits.apply(run.get("machine"))
        token = current_run.set(ActiveRun(self._context(run, task, self._signal), self))
        try:
            ended = self._call(run, task)
        finally:
            current_run.reset(token)
            self._signal = None
            self._flush()
        return ended | {"ms": round((time.monotonic() - started) * 1000)}

    def _call(self, run: Message, task: Task[..., Any]) -> Message:
        policy = _policy(task, self._config, run)
        try:
            value = self._value(run, task)
            return outcome.succeeded(task.signature.write_output(value))
        except BaseException as error:  # noqa: BLE001 - whatever ends an attempt is reported
            if isinstance(error, asyncio.CancelledError | TaskCanceledError):
                error = self._cancellation(error)
            return outcome.failed(error, run["attempt"], policy, self._rng)

    def _value(self, run: Message, task: Task[..., Any]) -> Any:
        active = current_run.get()
        assert active is not None
        payload = packet.decode(run.get("payload"), run.get("payloadType", packet.JSON))
        args, kwargs = task.signature.bind(payload, active.ctx)
        if task.spec.is_async:
            return self._run_async(task.fn, args, kwargs)
        self._interruptible = True
        try:
            return task.fn(*args, **kwargs)
        finally:
            self._interruptible = False

    def _run_async(
        self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        loop = self._loop
        loop.add_reader(self._channel, self._receive)
        self._attempt_task = loop.create_task(fn(*args, **kwargs))
        self._interruptible = True
        try:
            return loop.run_until_complete(self._attempt_task)
        finally:
            self._interruptible = False
            self._attempt_task = None
            loop.remove_reader(self._channel)

    def _cancellation(self, error: BaseException) -> BaseException:
        """A cancellation that nobody asked for is an error of the task."""
        if self._signal is not None and self._signal.is_canceled:
            return TaskCanceledError()
        if isinstance(error, TaskCanceledError):
            return error
        return RuntimeError("the task was cancelled from inside (asyncio.CancelledError)")

    def _context(self, run: Message, task: Task[..., Any], cancel: CancelSignal) -> Context:
        machine = run.get("machine") or DEFAULT_MACHINE
        max_duration = run.get("maxDuration")
        batch = run.get("batchId")
        return Context(
            run=RunContext(
                id=run["runId"],
                created_at=_moment(run["createdAt"]),
                started_at=_moment(run["startedAt"]),
                version=run["version"],
                max_attempts=run["maxAttempts"],
                tags=tuple(run.get("tags") or ()),
                metadata=run.get("metadata"),
                is_test=run.get("isTest", False),
                is_replay=run.get("isReplay", False),
                idempotency_key=run.get("idempotencyKey"),
                max_duration=max_duration,
                parent_id=run.get("parentRunId"),
                root_id=run.get("rootRunId"),
                priority=run.get("priority", 0),
            ),
            task=TaskContext(task.id, task.spec.file_path),
            attempt=AttemptContext(run["attempt"], _moment(run["attemptStartedAt"])),
            queue=QueueContext(run["queue"], run.get("concurrencyKey")),
            environment=EnvironmentContext("dev", "DEVELOPMENT"),
            project=ProjectContext(self._config.project),
            deployment=DeploymentContext(run["version"]),
            machine=PRESETS.get(machine, PRESETS[DEFAULT_MACHINE]),
            batch=BatchContext(batch) if batch else None,
            signal=cancel,
        )

    def _next(self) -> Message | None:
        """Return the next message for an idle process, or ``None`` at the end."""
        while True:
            while not self._inbox:
                if not self._read(0):
                    return None
            message = self._inbox.pop(0)
            if message["t"] in {"run", "exit"}:
                return message

    def _receive(self) -> None:
        """Take what has arrived while an attempt runs; the worker's end closing ends this process."""
        if not self._read(0):
            os._exit(1)
        self._dispatch()

    def _look(self, _signum: int, _frame: FrameType | None) -> None:
        """SIGUSR1: something has arrived while user code blocks."""
        try:
            self._read(socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        self._dispatch()

    def _interrupt(self, _signum: int, _frame: FrameType | None) -> None:
        """SIGTERM: the attempt must end now. An idle process just ends."""
        if self._interruptible:
            self._interruptible = False
            raise TaskCanceledError
        if self._signal is None:
            os._exit(0)

    def _read(self, flags: int) -> bool:
        data = self._channel.recv(_CHUNK, flags)
        if not data:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._inbox += [json.loads(line) for line in lines]
        return True

    def _dispatch(self) -> None:
        waiting, self._inbox = self._inbox, []
        for message in waiting:
            if message["t"] == "cancel":
                self._cancel()
            elif message["t"] == "resume":
                self._resume(message["ref"])
            else:
                self._inbox.append(message)

    def _cancel(self) -> None:
        if self._signal is not None:
            self._signal.set()
        if self._attempt_task is not None:
            self._attempt_task.cancel()

    def _resume(self, reference: str) -> None:
        future = self._waiting.get(reference)
        if future is None:
            self._resumed.add(reference)
        elif not future.done():
            future.set_result(None)

    def _record(
        self, level: str, source: str, message: str, attributes: dict[str, Any] | None
    ) -> None:
        record: Message = {
            "time": capture.stamp(),
            "level": level,
            "source": source,
            "message": message,
        }
        if attributes:
            record["attributes"] = _plain(attributes)
        self._send({"t": "log", "record": record})

    def _flush(self) -> None:
        self._out.end()
        self._err.end()

    def _send(self, message: Message) -> None:
        self._channel.sendall(pack(message))


def main(channel: socket.socket, out: int, err: int, config: Config, parent: int) -> NoReturn:
    """Become an executor: never returns. ``out`` and ``err`` are the pipes for bytes that bypass Python."""
    die_with_parent(parent)
    os.setpgid(0, 0)
    channel.set_inheritable(False)
    os.dup2(out, 1)
    os.dup2(err, 2)
    for descriptor in (out, err):
        os.close(descriptor)
    random.seed()
    try:
        Executor(channel, config).serve()
        logging.shutdown()
    except (BrokenPipeError, ConnectionResetError):
        os._exit(1)
    os._exit(0)


def _policy(task: Task[..., Any], config: Config, run: Message) -> RetryPolicy:
    policy = task.spec.retry or config.retry
    return RetryPolicy(
        max_attempts=run["maxAttempts"],
        factor=policy.factor,
        min_delay_ms=policy.min_delay_ms,
        max_delay_ms=policy.max_delay_ms,
        randomize=policy.randomize,
    )


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _plain(attributes: dict[str, Any]) -> Any:
    """Return attributes as JSON values; what has no such form is shown as its text."""
    try:
        encoded = packet.encode(attributes)
    except UnserializableError:
        return {key: str(value) for key, value in attributes.items()}
    return packet.to_plain(encoded.data, encoded.type)


def _spawned() -> NoReturn:
    """Entry of an executor in an interpreter of its own, for projects that cannot be forked."""
    channel, out, err, folder, parent = sys.argv[1:6]
    try:
        config = indexer.import_tasks(Path(folder))
    except TriggerError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    gc.freeze()
    main(socket.socket(fileno=int(channel)), int(out), int(err), config, int(parent))


if __name__ == "__main__":
    _spawned()
