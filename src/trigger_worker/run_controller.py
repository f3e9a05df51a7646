"""The run controller: claims runs, hands them to executors, and answers for them to the platform."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable
from functools import partial

from trigger_core.api.calls import workers as calls
from trigger_core.errors import TriggerError
from trigger_core.schemas.runs import LogRecord
from trigger_core.schemas.workers import (
    Assignment,
    Connect,
    Failed,
    Held,
    LogLine,
    Poll,
    RegisterWorker,
    Reported,
    RetryPlan,
    Signal,
    Started,
    StartRetry,
    Succeeded,
    TaskError,
    Verdict,
    WaitUntil,
)
from trigger_worker import exits, limits
from trigger_worker.active_run import ActiveRun
from trigger_worker.channel import Channel
from trigger_worker.executor_process import ExecutorProcess
from trigger_worker.generation import BaseProcess, Generation
from trigger_worker.ipc import Message
from trigger_worker.reports import Outbox
from trigger_worker.session_link import SessionLink

__all__ = ["Platform", "RunController"]

_POLL_MS = 10_000
_POLL_FOR = 4
"""A waiting poll that asks for fewer runs is replaced when slots are free."""
_IDLE_GENERATIONS = 2
_SHORT_MS = 20
_START_REPORT_S = 0.02
"""A start is reported by itself only when the attempt has not ended by then."""
_REASONS = {
    "canceled": ("TASK_RUN_CANCELLED", "The run was canceled."),
    "max_duration": ("MAX_DURATION_EXCEEDED", "The attempt ran longer than its max_duration."),
    "out_of_memory": (
        "TASK_PROCESS_OOM_KILLED",
        "The attempt used more memory than its machine has.",
    ),
}
_OUTCOMES = {"COMPLETED_SUCCESSFULLY": "completed", "CANCELED": "canceled"}


class Platform:
    """The connections to a platform: one for polls, one for everything else."""

    def __init__(self, api_url: str, secret_key: str, project_ref: str) -> None:
        self.api_url = api_url
        self.secret_key = secret_key
        self.project_ref = project_ref
        self.polls = Channel(api_url, secret_key, "poll")
        self.reports = Channel(api_url, secret_key, "report")

    def close(self) -> None:
        """Close both."""
        self.polls.close()
        self.reports.close()


class RunController:
    """Everything a worker instance holds, on one event loop."""

    def __init__(
        self, platform: Platform, base: BaseProcess, link: SessionLink, folder: str
    ) -> None:
        self._platform = platform
        self._base = base
        self._link = link
        self._folder = folder
        self._boot_id = f"boot_{uuid.uuid4().hex}"
        self._outbox = Outbox()
        self._runs: dict[str, ActiveRun] = {}
        self._by_process: dict[ExecutorProcess, ActiveRun] = {}
        self._early: set[str] = set()
        self._generations: list[Generation] = []
        self._by_worker: dict[str, Generation] = {}
        self._loaded = asyncio.Event()
        self._capacity = 1
        self._reserved = 0
        self._prefetch = 0
        self._heartbeat_s = 5.0
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connect and begin to work."""
        request = Connect(instance="dev", boot_id=self._boot_id)
        connected = await self._platform.reports.send(calls.connect(request))
        self._heartbeat_s = connected.heartbeat_ms / 1000
        self._link.emit("connected")
        for loop in (self._poll(), self._report(), self._beat(), self._watch_memory()):
            self._tasks.append(asyncio.create_task(loop))

    async def failed(self) -> None:
        """Wait until one of the loops fails, and raise what it raised."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """End every executor; what was running is retried elsewhere or later."""
        for task in self._tasks:
            task.cancel()
        for run in self._runs.values():
            run.end("stopped")
        for generation in self._generations:
            generation.close()
        await self._base.stop()
        self._platform.close()

    async def load(self, env: dict[str, str]) -> None:
        """Import the project as it is now and, if that succeeds, make it the version that takes new runs."""
        began = time.monotonic()
        generation = await Generation.load(self._base, self._folder, self._env(env), self)
        report = generation.report
        assert report is not None
        if report.metadata is None:
            generation.close()
            self._link.emit("load_failed", error=report.error, files=report.files)
            return
        request = RegisterWorker(metadata=report.metadata)
        try:
            call = calls.register(self._platform.project_ref, request)
            registered = await self._platform.reports.send(call)
        except TriggerError as error:
            generation.close()
            self._link.emit("load_failed", error=error.report(), files=report.files)
            return
        unchanged = registered.id in self._by_worker and not env
        if unchanged:
            generation.close()
        else:
            generation.worker_id, generation.version = registered.id, registered.version
            self._install(generation)
        self._capacity = generation.limit = report.max_concurrent_runs
        self._announce(generation, registered.version, began, unchanged=unchanged)
        self._loaded.set()
        self._ask_again()

    def ready(self, process: ExecutorProcess) -> None:
        """An executor can take an assignment."""
        for generation in self._generations:
            generation.process_ready(process)

    def said(self, process: ExecutorProcess, message: Message) -> None:
        """An executor tells about its attempt."""
        run = self._by_process.get(process)
        if run is None:
            return
        if message["t"] == "log":
            self._log(run, message["record"])
        elif message["t"] == "wait":
            self._begin_wait(run, message)
        elif message["t"] == "done":
            self._done(run, process, message)

    def wrote(self, process: ExecutorProcess, record: Message) -> None:
        """An executor's process wrote a line past Python."""
        run = self._by_process.get(process)
        if run is not None:
            self._log(run, record)

    def ended(self, process: ExecutorProcess, status: int) -> None:
        """An executor's process is gone; if it had a run, the run failed."""
        run = self._by_process.pop(process, None)
        if run is None:
            return
        if not run.is_waiting:
            run.generation.release()
        if run.end_reason in _REASONS:
            code, text = _REASONS[run.end_reason]
            error = TaskError(type="INTERNAL_ERROR", code=code, message=text)
        else:
            ran_out = limits.oom_kills() > run.oom_kills_before
            lines = list(process.last_lines)
            error = exits.classify(status, kernel_ran_out=ran_out, last_lines=lines)
        elapsed = asyncio.get_running_loop().time() - run.started_at
        self._fail(run, error, None, skip=False, ms=round(elapsed * 1000))

    def _env(self, env: dict[str, str]) -> dict[str, str]:
        return env | {
            "TRIGGER_API_URL": self._platform.api_url,
            "TRIGGER_SECRET_KEY": self._platform.secret_key,
        }

    def _install(self, generation: Generation) -> None:
        for older in self._generations:
            older.retire()
        self._generations.append(generation)
        self._by_worker[generation.worker_id] = generation
        generation.refill()
        self._drop_idle()

    def _drop_idle(self) -> None:
        """Keep old versions while they have runs, and at most two that have none."""
        idle = [old for old in self._generations[:-1] if old.running == 0]
        for generation in idle[: max(0, len(idle) - _IDLE_GENERATIONS)]:
            generation.close()
            self._generations.remove(generation)
            if self._by_worker.get(generation.worker_id) is generation:
                del self._by_worker[generation.worker_id]

    def _announce(
        self, generation: Generation, version: str, began: float, *, unchanged: bool
    ) -> None:
        report = generation.report
        assert report is not None
        assert report.metadata is not None
        if generation.threads and not unchanged:
            names = ", ".join(generation.threads)
            text = (
                f"importing the tasks started threads ({names}): attempts start in new interpreters"
            )
            self._link.emit("notice", message=text)
        self._link.emit(
            "loaded",
            version=version,
            workerId=generation.worker_id,
            tasks=[
                {"id": task.id, "filePath": task.file_path, "line": task.line}
                for task in report.metadata.tasks
            ],
            files=report.files,
            durationMs=round((time.monotonic() - began) * 1000),
            unchanged=unchanged,
        )

    def _free(self) -> int:
        """How many more runs may execute; waiting ones do not count."""
        executing = sum(1 for run in self._runs.values() if not run.is_waiting and not run.result)
        return max(0, self._capacity - executing - self._reserved)

    def _ahead(self) -> int:
        """How many runs to claim beyond the free slots, so that short ones need not wait for an answer."""
        waiting = sum(1 for run in self._runs.values() if run.process is None and not run.result)
        return max(0, self._prefetch - waiting)

    def _note_pace(self) -> None:
        """While attempts are short, as many runs as there are slots are kept at hand."""
        ended = self._outbox.completions
        short = sum(one.duration_ms < _SHORT_MS for one in ended)
        self._prefetch = self._capacity if short > len(ended) / 2 else 0

    def _workers(self) -> list[str]:
        newest_first = (generation.worker_id for generation in reversed(self._generations))
        return list(dict.fromkeys(newest_first))[::-1]

    async def _poll(self) -> None:
        await self._loaded.wait()
        while True:
            limit = self._free() + self._ahead()
            self._reserved += limit
            request = Poll(
                boot_id=self._boot_id, workers=self._workers(), limit=limit, wait_ms=_POLL_MS
            )
            polled = await self._platform.polls.send(calls.poll(request))
            self._reserved -= limit
            self._take(polled.runs)
            self._heed(polled.signals)

    async def _report(self) -> None:
        while True:
            await self._outbox.dirty.wait()
            claim = 0
            if self._outbox.completions:
                self._note_pace()
                claim = self._free() + self._ahead()
            report = self._outbox.take(self._boot_id, claim, self._workers())
            self._reserved += claim
            reported = await self._platform.reports.send(calls.report(report))
            self._reserved -= claim
            self._apply(reported)
            if len(reported.runs) < claim and self._reserved < min(self._free(), _POLL_FOR):
                self._ask_again()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            self._outbox.held = [
                Held(
                    run_id=run.assignment.run_id,
                    lease=run.assignment.lease,
                    waiting=[waitpoint for waitpoint in run.waits.values() if waitpoint],
                )
                for run in self._runs.values()
            ]
            self._outbox.touch()

    async def _watch_memory(self) -> None:
        while True:
            await asyncio.sleep(limits.PERIOD_S)
            for run in self._runs.values():
                limit = limits.limit_of(run.assignment.machine)
                if limit is None or run.process is None:
                    continue
                if limits.resident_bytes(run.process.pid) > limit:
                    run.end("out_of_memory")

    def _ask_again(self) -> None:
        """The poll that waits was made with other free slots or versions: end it, the next one asks anew."""
        self._outbox.repoll = True
        self._outbox.touch()

    def _apply(self, reported: Reported) -> None:
        for verdict in reported.verdicts:
            self._conclude(verdict)
        for wait in reported.waits:
            self._wait_known(wait.run_id, wait.ref, wait.awaited[0].waitpoint_id)
        self._take(reported.runs)
        self._heed(reported.signals)

    def _take(self, assignments: Iterable[Assignment]) -> None:
        for assignment in assignments:
            generation = self._by_worker.get(assignment.worker_id)
            if generation is None:
                continue
            known = self._runs.get(assignment.run_id)
            if known is None:
                generation.running += 1
            report = generation.report
            assert report is not None
            run = ActiveRun(
                assignment,
                generation,
                is_async=assignment.task in report.async_tasks,
                grace_s=report.cancel_grace_ms / 1000,
            )
            self._runs[assignment.run_id] = run
            generation.give(assignment.task, partial(self._start, run))

    def _start(self, run: ActiveRun, process: ExecutorProcess) -> None:
        assignment = run.assignment
        if self._runs.get(assignment.run_id) is not run or run.result is not None:
            run.generation.release(process)
            return
        self._by_process[process] = run
        run.oom_kills_before = limits.oom_kills() if assignment.machine else 0
        run.start(process)
        now = time.time_ns() // 1_000_000
        self._outbox.started[assignment.run_id] = Started(
            run_id=assignment.run_id, lease=assignment.lease, at=now
        )
        asyncio.get_running_loop().call_later(_START_REPORT_S, self._report_starts)
        self._event("run_started", run)

    def _report_starts(self) -> None:
        if self._outbox.started:
            self._outbox.touch()

    def _log(self, run: ActiveRun, record: Message) -> None:
        line = LogRecord.model_validate(record | {"attempt": run.assignment.attempt})
        self._outbox.logs.append(LogLine(run_id=run.assignment.run_id, record=line))
        self._outbox.touch()

    def _begin_wait(self, run: ActiveRun, message: Message) -> None:
        if not run.is_waiting:
            run.generation.release()
        run.waits[message["ref"]] = None
        run.pause_clock()
        self._outbox.waits.append(
            WaitUntil(
                run_id=run.assignment.run_id,
                lease=run.assignment.lease,
                ref=message["ref"],
                until=message["until"],
            )
        )
        self._outbox.touch()
        self._event("run_finished", run, outcome="waiting", durationMs=self._elapsed_ms(run))

    def _wait_known(self, run_id: str, ref: str, waitpoint_id: str) -> None:
        run = self._runs.get(run_id)
        if run is None or ref not in run.waits:
            return
        run.waits[ref] = waitpoint_id
        if waitpoint_id in self._early:
            self._early.discard(waitpoint_id)
            self._resume(run, ref)
        self._ask_again()

    def _resume(self, run: ActiveRun, ref: str) -> None:
        del run.waits[ref]
        if not run.is_waiting:
            run.generation.resume()
        run.resume_clock()
        if run.process is not None:
            run.process.send({"t": "resume", "ref": ref})
        self._event("run_finished", run, outcome="resumed")

    def _heed(self, signals: Iterable[Signal]) -> None:
        for signal in signals:
            run = self._runs.get(signal.run_id)
            if run is None or run.assignment.lease != signal.lease:
                continue
            match signal.kind:
                case "cancel":
                    self._cancel(run)
                case "stop":
                    self._drop(run)
                case "resume":
                    self._resume_by(run, signal.waitpoint_id or "")

    def _resume_by(self, run: ActiveRun, waitpoint_id: str) -> None:
        refs = [ref for ref, known in run.waits.items() if known == waitpoint_id]
        if refs:
            self._resume(run, refs[0])
        elif None in run.waits.values():
            self._early.add(waitpoint_id)

    def _cancel(self, run: ActiveRun) -> None:
        if run.end_reason is not None:
            return
        if run.process is None:
            self._fail(run, _canceled(), None, skip=True, ms=0)
            return
        run.end("canceled")

    def _drop(self, run: ActiveRun) -> None:
        """The platform gave the run to somebody else: end it and say nothing."""
        self._forget(run)
        if run.process is not None:
            self._by_process.pop(run.process, None)
            run.end("stopped")
            if not run.is_waiting:
                run.generation.release()

    def _done(self, run: ActiveRun, process: ExecutorProcess, message: Message) -> None:
        del self._by_process[process]
        if run.is_waiting:
            run.generation.resume()
        if run.generation.reuses(run.assignment.task) and run.end_reason is None:
            run.generation.release(process)
        else:
            process.close()
            run.generation.release()
        run.process = None
        if message["ok"]:
            self._succeed(run, message)
            return
        error = TaskError.model_validate(message["error"])
        if run.end_reason in _REASONS:
            code, text = _REASONS[run.end_reason]
            error = TaskError(type="INTERNAL_ERROR", code=code, message=text)
        retry = message["retry"]
        self._fail(run, error, retry and retry["delay"], skip=message["skip"], ms=message["ms"])

    def _succeed(self, run: ActiveRun, message: Message) -> None:
        self._outbox.completions.append(
            Succeeded(
                run_id=run.assignment.run_id,
                lease=run.assignment.lease,
                output=message["output"],
                output_type=message["outputType"],
                duration_ms=message["ms"],
            )
        )
        self._complete(run, message["ms"], None)

    def _fail(
        self, run: ActiveRun, error: TaskError, delay: int | None, *, skip: bool, ms: int
    ) -> None:
        self._outbox.completions.append(
            Failed(
                run_id=run.assignment.run_id,
                lease=run.assignment.lease,
                error=error,
                retry=None if delay is None else RetryPlan(delay=delay),
                skip_retrying=skip,
                duration_ms=ms,
            )
        )
        self._complete(run, ms, error)

    def _complete(self, run: ActiveRun, ms: int, error: TaskError | None) -> None:
        run.finish()
        run.process = None
        run.waits.clear()
        self._outbox.started.pop(run.assignment.run_id, None)
        run.result = (ms, error)
        self._outbox.touch()

    def _conclude(self, verdict: Verdict) -> None:
        run = self._runs.get(verdict.run_id)
        if run is None or run.assignment.lease != verdict.lease:
            return
        ms, error = run.result or (0, None)
        if verdict.kind == "retry_now":
            delay = (verdict.delay or 0) / 1000
            asyncio.get_running_loop().call_later(delay, self._retry, run)
        else:
            self._forget(run)
        if verdict.kind == "stale":
            return
        self._event(
            "run_finished",
            run,
            outcome=_outcome(verdict),
            durationMs=ms,
            retryInMs=verdict.delay if verdict.kind != "finished" else None,
            error=_text(error),
        )

    def _retry(self, run: ActiveRun) -> None:
        if self._runs.get(run.assignment.run_id) is not run:
            return
        again = StartRetry(run_id=run.assignment.run_id, lease=run.assignment.lease)
        self._outbox.retries.append(again)
        self._outbox.touch()

    def _forget(self, run: ActiveRun) -> None:
        if self._runs.pop(run.assignment.run_id, None) is None:
            return
        run.finish()
        run.generation.running -= 1
        self._drop_idle()

    def _elapsed_ms(self, run: ActiveRun) -> int:
        return round((asyncio.get_running_loop().time() - run.started_at) * 1000)

    def _event(self, event: str, run: ActiveRun, **fields: object) -> None:
        assignment = run.assignment
        self._link.emit(
            event,
            runId=assignment.run_id,
            task=assignment.task,
            attempt=assignment.attempt,
            version=assignment.version,
            **fields,
        )


def _canceled() -> TaskError:
    code, text = _REASONS["canceled"]
    return TaskError(type="INTERNAL_ERROR", code=code, message=text)


def _outcome(verdict: Verdict) -> str:
    if verdict.kind != "finished":
        return "retrying"
    return _OUTCOMES.get(verdict.status or "", "failed")


def _text(error: TaskError | None) -> str | None:
    if error is None:
        return None
    first = (error.message or error.raw or "").splitlines()
    return f"{error.name or error.code}: {first[0] if first else ''}"
