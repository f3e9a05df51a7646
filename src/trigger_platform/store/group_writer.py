"""One thread that writes: whatever arrives while a group is being committed forms the next group."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from trigger_core.errors import StoreError

__all__ = ["GroupWriter", "Job", "Tally"]

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many groups were committed, and how many writes they had in all."""

    groups: int = 0
    writes: int = 0


@dataclass(slots=True)
class Job:
    """A write and its outcome; ``settle`` answers whoever asked for it."""

    work: Callable[[Any], Any]
    settle: Callable[[Any, BaseException | None], None]
    result: Any = None
    error: BaseException | None = None


class GroupWriter:
    """Gathers writes into groups and has them committed, in the order in which they were asked for."""

    def __init__(
        self, commit: Callable[[list[Job]], None], *, limit: int, at_once: bool = False
    ) -> None:
        """Start the thread.

        Args:
            commit: runs a group and gives every job its outcome.
            limit: how many writes a group has at most.
            at_once: whether a write that finds nothing under way is committed by its caller's own thread.
                Worth it where a commit waits for nothing: the way to the thread and back costs more.
        """
        self._commit = commit
        self._limit = limit
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._at_once = at_once
        self._under_way = 0
        self.tally = Tally()
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def count(self, writes: int) -> None:
        """Count a group."""
        self.tally = Tally(self.tally.groups + 1, self.tally.writes + writes)

    def submit(
        self, work: Callable[[Any], T], on_commit: Callable[[T], None] | None = None
    ) -> Future[T]:
        """Queue a write; the future holds its result once it is committed.

        Raises:
            StoreError: the writer was closed.
        """
        future: Future[T] = Future()

        def settle(result: Any, error: BaseException | None) -> None:
            if error is not None:
                future.set_exception(error)
                return
            if on_commit is not None:
                on_commit(result)
            future.set_result(result)

        self._put(Job(work, settle))
        return future

    async def write(
        self, work: Callable[[Any], T], on_commit: Callable[[T], None] | None = None
    ) -> T:
        """Run a write and wait for its commit; ``on_commit`` is called on this event loop."""
        if self._take_turn():
            return self._write_here(work, on_commit)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def arrive(result: Any, error: BaseException | None) -> None:
            if error is None and on_commit is not None:
                on_commit(result)
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        def settle(result: Any, error: BaseException | None) -> None:
            with suppress(RuntimeError):  # the loop was closed: nobody is left to be told
                loop.call_soon_threadsafe(arrive, result, error)

        self._put(Job(work, settle))
        return await future

    def close(self) -> bool:
        """Finish the writes that were accepted; tell whether this call closed the writer."""
        with self._closing:
            if self._closed:
                return False
            self._closed = True
            self._jobs.put(None)
        self._thread.join()
        return True

    def _put(self, job: Job) -> None:
        with self._closing:
            if self._closed:
                raise StoreError("the database is closed", code="STORE_CLOSED")
            self._under_way += 1
            self._jobs.put(job)

    def _take_turn(self) -> bool:
        """Take the writer's place, if it has nothing to do: nobody may be overtaken."""
        if not self._at_once:
            return False
        with self._closing:
            is_idle = self._under_way == 0 and not self._closed
            return is_idle and self._turn.acquire(blocking=False)

    def _write_here(self, work: Callable[[Any], T], on_commit: Callable[[T], None] | None) -> T:
        job = Job(work, lambda _result, _error: None)
        try:
            self._commit([job])
        finally:
            self.count(1)
            self._turn.release()
        if job.error is not None:
            raise job.error
        result: T = job.result
        if on_commit is not None:
            on_commit(result)
        return result

    def _run(self) -> None:
        while True:
            first = self._jobs.get()
            if first is None:
                return
            group, last = self._gather(first)
            self._settle(group)
            if last:
                return

    def _gather(self, first: Job) -> tuple[list[Job], bool]:
        """Return the first job with everything that waits behind it, and whether the end was reached."""
        group = [first]
        while len(group) < self._limit:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if job is None:
                return group, True
            group.append(job)
        return group, False

    def _settle(self, group: list[Job]) -> None:
        """Commit a group and answer for it; the thread outlives every failure."""
        try:
            with self._turn:
                self._commit(group)
                self.count(len(group))
        except BaseException as error:  # noqa: BLE001 - answered to every caller
            for job in group:
                job.error = job.error or error
        with self._closing:
            self._under_way -= len(group)
        for job in group:
            try:
                job.settle(job.result, job.error)
            except Exception:  # noqa: BLE001 - the others must be answered too
                _log.exception("a write was committed, but its caller could not be told")
