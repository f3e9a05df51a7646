"""The process that runs attempts: receives an assignment, calls the task, reports how it ended.

Everything happens in the main thread. A synchronous task is called directly, an asynchronous one in an
event loop that lives as long as the process. Messages come and go over one stream; while user code blocks,
SIGUSR1 makes this process look at what has arrived.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import logging
import os
import random
import signal
import socket
import time
import traceback
from collections.abc import Callable
from functools import cached_property
from types import FrameType
from typing import Any, NoReturn

from trigger_core import packet
from trigger_core.packet import UnserializableError
from trigger_sdk._host import ActiveRun, Waited, WaitRequest, current_run
from trigger_sdk._registry import registry
from trigger_sdk._span import Recording
from trigger_sdk.config import Config
from trigger_sdk.context import CancelSignal
from trigger_sdk.errors import TaskCanceledError
from trigger_sdk.task import Task
from trigger_worker import (
    attempt_context,
    capture,
    limits,
    outcome,
    spans,
    stored_packets,
    wait_messages,
)
from trigger_worker.executor_channel import ExecutorChannel
from trigger_worker.ipc import Message, die_with_parent
from trigger_worker.spans import Spans

__all__ = ["Executor", "main"]

_DESCRIPTORS = {"stdout": 1, "stderr": 2}
_LEFTOVERS_S = 5.0
"""How long asynchronous code that the task left running may take to end when it is canceled."""


class Executor:
    """One process, one attempt at a time."""

    def __init__(self, channel: socket.socket, config: Config) -> None:
        self._channel = ExecutorChannel(channel)
        self._config = config
        self._references = itertools.count(1)
        self._resumed: dict[str, Message] = {}
        self._waiting: dict[str, asyncio.Future[Message]] = {}
        self._signal: CancelSignal | None = None
        self._attempt_task: asyncio.Task[Any] | None = None
        self._is_interruptible = False
        self._is_spent = False
        self._rng = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._capture = capture.Capture(self._record, config.log_level)
        self._spans = Spans(self._channel.send)

    @cached_property
    def _loop(self) -> asyncio.AbstractEventLoop:
        """Making it takes most of a millisecond; a project of plain functions does without."""
        return asyncio.new_event_loop()

    def serve(self) -> None:
        """Run attempts until the worker has no more for this process."""
        self._take_over()
        self._channel.send({"t": "ready"})
        if any(task.spec.is_async for task in registry.tasks.values()):
            self._loop  # noqa: B018 - made now, while nobody waits for it
        while (given := self._next()) is not None:
            _identify(given)
            ended = contextvars.copy_context().run(self._attempt, given["run"])
            if self._channel.is_copy:
                os._exit(0 if ended["ok"] else 1)
            self._channel.send(ended | {"spent": self._is_spent})
            self._take_over()

    def log(self, level: str, message: str, attributes: dict[str, Any], source: str) -> None:
        """Record a line (the SDK's logger)."""
        self._record(level, source, message, attributes or None)

    def begin_span(self, span: Recording) -> None:
        """Know of a span that is open (the SDK's logger)."""
        self._spans.began(span)

    def end_span(self, span: Recording) -> None:
        """Tell a span that is over."""
        self._spans.over(span)

    async def wait(self, request: WaitRequest) -> Waited:
        """Wait for the platform's word, in an asynchronous task; giving up is told."""
        reference = self._begin_wait(request)
        try:
            return await stored_packets.brought(await self._told(reference))
        except asyncio.CancelledError:
            self._channel.send({"t": "unwait", "ref": reference})
            raise

    def wait_sync(self, request: WaitRequest) -> Waited:
        """Wait for the platform's word, blocking; a cancel ends the wait."""
        return stored_packets.brought_sync(self._told_sync(self._begin_wait(request)))

    def change_metadata(self, target: str, operation: dict[str, Any]) -> None:
        """Tell an operation on metadata (the SDK's metadata)."""
        self._channel.send({"t": "metadata", "target": target} | operation)

    async def flush_metadata(self) -> None:
        """Wait until the platform has the operations."""
        await self._told(self._begin_flush())

    def flush_metadata_sync(self) -> None:
        """Wait likewise, blocking."""
        self._told_sync(self._begin_flush())

    async def _told(self, reference: str) -> Waited:
        future: asyncio.Future[Message] = self._loop.create_future()
        self._waiting[reference] = future
        try:
            return wait_messages.read(await future)
        finally:
            self._waiting.pop(reference, None)

    def _told_sync(self, reference: str) -> Waited:
        while reference not in self._resumed:
            if self._signal is not None and self._signal.is_canceled:
                raise TaskCanceledError
            self._receive()
        return wait_messages.read(self._resumed.pop(reference))

    def _begin_flush(self) -> str:
        reference = f"w{next(self._references)}"
        self._channel.send({"t": "flush", "ref": reference})
        return reference

    def _begin_wait(self, request: WaitRequest) -> str:
        self._capture.end()
        self._spans.announce()
        reference = f"w{next(self._references)}"
        self._channel.send({"t": "wait", "ref": reference} | wait_messages.describe(request))
        return reference

    def _take_over(self) -> None:
        """Set what the code that ran before may have changed: streams, logging, signal handlers."""
        self._capture.install()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGUSR1, self._look)
        signal.signal(signal.SIGTERM, self._interrupt)

    def _attempt(self, run: Message) -> Message:
        started = time.monotonic()
        task = registry.tasks.get(run["task"])
        if task is None:
            missing = f"There is no task {run['task']!r}."
            return outcome.internal("COULD_NOT_FIND_TASK", missing) | {"ms": 0}
        self._signal = CancelSignal()
        self._resumed.clear()
        try:
            ended = self._call(run, task)
        finally:
            self._signal = None
            self._spans.flush()
            self._capture.end()
        return ended | {"ms": round((time.monotonic() - started) * 1000)}

    def _call(self, run: Message, task: Task[..., Any]) -> Message:
        policy = attempt_context.policy(task, self._config, run)
        try:
            value = self._value(run, task)
            return outcome.succeeded(task.signature.write_output(value))
        except BaseException as error:  # noqa: BLE001 - whatever ends an attempt is reported
            if isinstance(error, asyncio.CancelledError | TaskCanceledError):
                error = self._cancellation(error)
            return outcome.failed(error, run["attempt"], policy, self._rng)

    def _value(self, run: Message, task: Task[..., Any]) -> Any:
        assert self._signal is not None
        limits.apply(run.get("machine"))
        context = attempt_context.context(run, task, self._config, self._signal)
        current_run.set(ActiveRun(context, self, dict(context.run.metadata or {})))
        self._spans.begin(context.run.traceparent)
        payload = stored_packets.payload(run)
        args, kwargs = task.signature.bind(packet.decode(payload.data, payload.type), context)
        self._dispatch()
        self._signal.throw_if_canceled()  # a cancel may have come together with the run
        if task.spec.is_async:
            return self._run_async(task.fn, args, kwargs)
        self._is_interruptible = True
        try:
            self._look_now()
            return task.fn(*args, **kwargs)
        finally:
            self._is_interruptible = False

    def _run_async(
        self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        loop = self._loop
        loop.add_reader(self._channel, self._receive)
        self._attempt_task = loop.create_task(fn(*args, **kwargs))
        self._is_interruptible = True
        try:
            return loop.run_until_complete(self._attempt_task)
        finally:
            self._is_interruptible = False
            if not self._channel.is_copy:
                self._end_leftovers()
                loop.remove_reader(self._channel)
            self._attempt_task = None

    def _end_leftovers(self) -> None:
        """Cancel what the task left running, as ``asyncio.run`` does, and let it clean up.

        Code that goes on nevertheless would run into the next attempt: the process takes no other.
        """
        leftovers = asyncio.all_tasks(self._loop)
        if not leftovers:
            return
        for one in leftovers:
            one.cancel()
        _, pending = self._loop.run_until_complete(asyncio.wait(leftovers, timeout=_LEFTOVERS_S))
        self._is_spent = self._is_spent or bool(pending)

    def _cancellation(self, error: BaseException) -> BaseException:
        """A cancellation that nobody asked for is an error of the task."""
        if self._signal is not None and self._signal.is_canceled:
            return TaskCanceledError()
        if isinstance(error, TaskCanceledError):
            return error
        return RuntimeError("the task was cancelled from inside (asyncio.CancelledError)")

    def _next(self) -> Message | None:
        """Return what gives an idle process a run, or ``None`` at the end; what was for the last is late."""
        inbox = self._channel.inbox
        while True:
            while not inbox:
                if not self._channel.receive():
                    return None
            message = inbox.pop(0)
            if message["t"] == "run":
                return message

    def _receive(self) -> None:
        """Take what has arrived while an attempt runs; the worker's end closing ends this process."""
        if not self._channel.receive():
            os._exit(1)
        self._dispatch()

    def _look(self, _signum: int, _frame: FrameType | None) -> None:
        """SIGUSR1: something has arrived while user code blocks."""
        if self._is_interruptible:
            self._channel.when_written(self._look_now)

    def _look_now(self) -> None:
        self._channel.look()
        self._dispatch()

    def _interrupt(self, _signum: int, _frame: FrameType | None) -> None:
        """SIGTERM: the attempt must end now. An idle process just ends."""
        if self._signal is None or self._channel.is_copy:
            os._exit(0)
        if self._is_interruptible:
            self._is_interruptible = False
            self._channel.when_written(_cancel_here)

    def _dispatch(self) -> None:
        inbox = self._channel.inbox
        for message in [one for one in inbox if one["t"] != "run"]:
            inbox.remove(message)
            if message["t"] == "cancel":
                self._cancel()
            elif message["t"] in {"resume", "refused"}:
                self._resume(message["ref"], message)

    def _cancel(self) -> None:
        if self._attempt_task is not None:
            self._attempt_task.cancel()
        if self._signal is not None:
            self._signal.set()

    def _resume(self, reference: str, message: Message) -> None:
        future = self._waiting.get(reference)
        if future is None:
            self._resumed[reference] = message
        elif not future.done():
            future.set_result(message)

    def _record(
        self, level: str, source: str, message: str, attributes: dict[str, Any] | None
    ) -> None:
        if self._channel.is_copy:  # a child that the task forked writes like any other process
            os.write(_DESCRIPTORS.get(source, 2), f"{message}\n".encode(errors="replace"))
            return
        record: Message = {
            "time": capture.stamp(),
            "level": level,
            "source": source,
            "message": message,
        }
        if attributes:
            record["attributes"] = _plain(attributes)
        span_id = spans.current_span_id()
        if span_id is not None:
            record["spanId"] = span_id
        self._channel.send({"t": "log", "record": record})


def main(channel: socket.socket, out: int, err: int, config: Config, parent: int) -> NoReturn:
    """Become an executor: never returns. ``out`` and ``err`` are the pipes for bytes that bypass Python."""
    try:
        die_with_parent(parent)
        os.setpgid(0, 0)
        channel.set_inheritable(False)
        os.dup2(out, 1)
        os.dup2(err, 2)
        for descriptor in (out, err):
            os.close(descriptor)
        random.seed()
        Executor(channel, config).serve()
        logging.shutdown()
    except (BrokenPipeError, ConnectionResetError):
        os._exit(1)
    except BaseException as error:  # noqa: BLE001 - the code below is the fork server's
        os.write(2, "".join(traceback.format_exception(error)).encode(errors="replace"))
        os._exit(1)
    os._exit(0)


def _identify(given: Message) -> None:
    """Let the task's code, and what it starts, know its run, and what it may show for it."""
    os.environ["TRIGGER_RUN_ID"] = given["run"]["runId"]
    token: str | None = given["token"]
    if token is None:  # a platform of an earlier version
        os.environ.pop("TRIGGER_JWT", None)
    else:
        os.environ["TRIGGER_JWT"] = token


def _cancel_here() -> None:
    raise TaskCanceledError


def _plain(attributes: dict[str, Any]) -> Any:
    """Return attributes as JSON values; what has no such form is shown as its text."""
    try:
        encoded = packet.encode(attributes)
    except UnserializableError:
        return {key: str(value) for key, value in attributes.items()}
    return packet.to_plain(encoded.data, encoded.type)
