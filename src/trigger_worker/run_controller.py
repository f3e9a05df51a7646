"""The run controller: hands runs to executors and answers for them to the platform."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from trigger_core.schemas.runs import LogRecord
from trigger_core.schemas.workers import (
    Assignment,
    Failed,
    Held,
    LogLine,
    Reported,
    RetryPlan,
    Signal,
    Started,
    StartRetry,
    Succeeded,
    TaskError,
    Verdict,
    WaitResult,
)
from trigger_worker import exits, limits
from trigger_worker.active_run import ActiveRun
from trigger_worker.executor_process import ExecutorProcess
from trigger_worker.generation import Generation
from trigger_worker.ipc import Message
from trigger_worker.metadata_changes import MetadataChanges
from trigger_worker.reports import Outbox
from trigger_worker.run_events import RunEvents
from trigger_worker.span_export import SpanExport
from trigger_worker.versions import Versions
from trigger_worker.waits import Waits

__all__ = ["RunController"]

_START_REPORT_S = 0.02
"""A start is reported by itself only when by then the attempt has neither ended nor said anything."""

_ENDED_KEPT = 5_000
"""How many leases that are over are known: more than end while an answer is on its way."""


class RunController:
    """The runs a worker holds; says what became of them through the outbox."""

    def __init__(
        self,
        outbox: Outbox,
        versions: Versions,
        events: RunEvents,
        spans: SpanExport,
        on_idle: Callable[[], None],
    ) -> None:
        self.runs: dict[str, ActiveRun] = {}
        self._outbox = outbox
        self._versions = versions
        self._events = events
        self._spans = spans
        self._waits = Waits(outbox, events)
        self._metadata = MetadataChanges(outbox)
        self._on_idle = on_idle
        self._by_process: dict[ExecutorProcess, ActiveRun] = {}
        self._homeless: list[ActiveRun] = []
        self._ended: dict[str, int] = {}
        self._paused: set[ExecutorProcess] = set()

    def take(self, assignments: Iterable[Assignment], tokens: Mapping[str, str]) -> None:
        """Execute what the platform has handed out, with the token for its run; what comes twice once."""
        for assignment in assignments:
            if self._knows(assignment):
                continue
            known = self.runs.get(assignment.run_id)
            if known is not None:
                self._replace(known)
            run = ActiveRun(assignment, tokens.get(assignment.run_id))
            self.runs[run.run_id] = run
            self._settle(run)

    def house(self) -> None:
        """There is a new version: decide about runs whose version had died."""
        homeless, self._homeless = self._homeless, []
        for run in homeless:
            if self.runs.get(run.run_id) is run and run.is_idle:
                self._settle(run)

    def orphan(self, generation: Generation) -> None:
        """A version died; what it had not begun waits for :meth:`house`."""
        for run in self._idle_runs(generation):
            run.move_to(None)
            self._homeless.append(run)

    def give_up_starting(self, generation: Generation, last_lines: list[str]) -> None:
        """No executor of a version becomes ready."""
        for run in self._idle_runs(generation):
            self._fail(run, exits.never_started(last_lines))

    def said(self, process: ExecutorProcess, message: Message) -> None:
        """An executor tells about its attempt."""
        run = self._by_process.get(process)
        if run is None:
            return
        match message["t"]:
            case "log":
                self._log(run, process, message["record"])
            case "wait":
                self._waits.begin(run, message)
            case "unwait":
                self._waits.give_up(run, message)
            case "metadata" | "flush":
                self._change_metadata(run, process, message)
            case "spans":
                self._spans.add(run.assignment, message["spans"])
            case "done":
                self._done(run, process, message)
            case kind:
                raise ValueError(f"an executor said {kind!r}")

    def wrote(self, process: ExecutorProcess, record: Message) -> None:
        """An executor's process wrote a line past Python."""
        run = self._by_process.get(process)
        if run is not None:
            self._log(run, process, record)

    def ended(self, process: ExecutorProcess, status: int) -> None:
        """An executor's process is gone; if it had a run and began it, the run failed."""
        self._paused.discard(process)
        run = self._by_process.pop(process, None)
        if run is None:
            return
        if not run.is_waiting:
            run.home.release()
        if not process.has_begun and run.end_reason is None:
            run.finish()
            run.process = None
            self._settle(run)
            return
        elapsed_s = asyncio.get_running_loop().time() - run.started_at
        self._fail(run, self._why_ended(run, process, status), ms=round(elapsed_s * 1000))

    def backlog(self) -> int:
        """Return how many runs are at hand that no executor has yet."""
        return sum(run.is_idle for run in self.runs.values())

    def held(self) -> list[Held]:
        """Return what a heartbeat says."""
        return [
            Held(
                run_id=run.run_id,
                lease=run.assignment.lease,
                waiting=[one for wait in run.waits.values() for one in wait.open_waitpoints],
            )
            for run in self.runs.values()
        ]

    def apply(self, reported: Reported) -> None:
        """Heed the answer to a report."""
        for verdict in reported.verdicts:
            self._conclude(verdict)
        for wait in reported.waits:
            run = self.runs.get(wait.run_id)
            if run is not None:
                self._waits.known(run, wait)
        for flushed in reported.metadata:
            run = self.runs.get(flushed.run_id)
            if run is not None:
                self._metadata.flushed(run, flushed)
        self.take(reported.runs, reported.run_tokens)
        self.heed(reported.signals)
        if not self._outbox.is_full:
            for process in self._paused:
                process.resume()
            self._paused.clear()

    def heed(self, signals: Iterable[Signal]) -> None:
        """Do what the platform says about runs."""
        for signal in signals:
            run = self.runs.get(signal.run_id)
            if run is None or run.assignment.lease != signal.lease:
                continue
            match signal.kind:
                case "cancel":
                    self._cancel(run)
                case "stop":
                    self._drop(run)
                case "resume":
                    self._waits.over(run, signal.waitpoint_id or "", _result(signal))

    def end_all(self) -> None:
        """The worker ends: what was running is retried elsewhere or later."""
        for run in self.runs.values():
            run.end("stopped")

    def _knows(self, assignment: Assignment) -> bool:
        """Tell whether it was handed out before: a question that is repeated is answered with it again."""
        run_id, lease = assignment.run_id, assignment.lease
        held = self.runs.get(run_id)
        return self._ended.get(run_id) == lease or (
            held is not None and held.assignment.lease == lease
        )

    def _settle(self, run: ActiveRun) -> None:
        """Give the run to the version it belongs to."""
        generation = self._versions.of(run.assignment.worker_id)
        if generation is not None:
            run.move_to(generation)
            generation.give(run.assignment.task, partial(self._start, run, generation))
        elif self._versions.newest is None:
            self._homeless.append(run)
        else:  # back to the queue, where the newest version finds it
            self._fail(run, exits.version_gone(run.assignment.version))

    def _idle_runs(self, generation: Generation) -> list[ActiveRun]:
        return [run for run in self.runs.values() if run.generation is generation and run.is_idle]

    def _start(self, run: ActiveRun, generation: Generation, process: ExecutorProcess) -> None:
        if self.runs.get(run.run_id) is not run or not run.is_idle:
            generation.give_back(process)
            return
        assignment = run.assignment
        self._by_process[process] = run
        run.oom_kills_before = limits.oom_kills() if assignment.machine else 0
        run.start(process)
        run.untold = Started(
            run_id=run.run_id, lease=assignment.lease, at=time.time_ns() // 1_000_000
        )
        asyncio.get_running_loop().call_later(_START_REPORT_S, self._tell_start, run, process)

    def _tell_start(self, run: ActiveRun, process: ExecutorProcess) -> None:
        """Say that an attempt began: what it wrote must not be known of a run that never began.

        Most have ended before anything else made them say so, and their end says it too.
        """
        if run.untold is not None and self._by_process.get(process) is run:
            self._events.started(run)
            self._outbox.started.append(run.untold)
            run.untold = None
            self._outbox.touch()

    def _change_metadata(self, run: ActiveRun, process: ExecutorProcess, message: Message) -> None:
        self._tell_start(run, process)
        if message["t"] == "flush":
            self._metadata.flush(run, message)
        else:
            self._metadata.change(run, message)

    def _log(self, run: ActiveRun, process: ExecutorProcess, record: Message) -> None:
        self._tell_start(run, process)
        line = LogRecord.model_validate(record | {"attempt": run.assignment.attempt})
        run.lines += 1
        self._outbox.logs.append(
            LogLine(run_id=run.run_id, record=line, lease=run.assignment.lease, number=run.lines)
        )
        self._outbox.touch()
        if self._outbox.is_full:
            process.pause()
            self._paused.add(process)

    def _done(self, run: ActiveRun, process: ExecutorProcess, message: Message) -> None:
        del self._by_process[process]
        if run.is_waiting:
            run.home.pool.resume()
        run.home.pool.lanes.note_end(message["ms"])
        may_go_on = run.end_reason is None and not message["spent"]
        if may_go_on and run.home.report.reuses(run.assignment.task):
            run.home.give_back(process)
        else:
            process.close()
            run.home.release()
        if message["ok"]:
            self._succeed(run, message)
            return
        error = exits.ended_by(run.end_reason) or TaskError.model_validate(message["error"])
        retry = message["retry"]
        delay = retry and retry["delay"]
        self._fail(run, error, delay, skip=message["skip"], ms=message["ms"])

    def _why_ended(self, run: ActiveRun, process: ExecutorProcess, status: int) -> TaskError:
        asked = exits.ended_by(run.end_reason)
        if asked is not None:
            return asked
        if not run.home.is_alive:
            return exits.version_died(run.assignment.version)
        ran_out = limits.oom_kills() > run.oom_kills_before
        return exits.classify(status, kernel_ran_out=ran_out, last_lines=list(process.last_lines))

    def _succeed(self, run: ActiveRun, message: Message) -> None:
        self._outbox.completions.append(
            Succeeded(
                run_id=run.run_id,
                lease=run.assignment.lease,
                output=message["output"],
                output_type=message["outputType"],
                duration_ms=message["ms"],
            )
        )
        self._complete(run, message["ms"], None)

    def _fail(
        self,
        run: ActiveRun,
        error: TaskError,
        delay: int | None = None,
        *,
        skip: bool = False,
        ms: int = 0,
    ) -> None:
        self._outbox.completions.append(
            Failed(
                run_id=run.run_id,
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
        run.result = (ms, error)
        self._outbox.touch()

    def _conclude(self, verdict: Verdict) -> None:
        run = self.runs.get(verdict.run_id)
        if run is None or run.assignment.lease != verdict.lease:
            return
        if verdict.kind == "retry_now":
            delay_s = (verdict.delay or 0) / 1000
            asyncio.get_running_loop().call_later(delay_s, self._retry, run)
        else:
            self._forget(run)
        if verdict.kind != "stale":
            self._events.concluded(run, verdict)

    def _retry(self, run: ActiveRun) -> None:
        if self.runs.get(run.run_id) is run:
            again = StartRetry(run_id=run.run_id, lease=run.assignment.lease)
            self._outbox.retries.append(again)
            self._outbox.touch()

    def _cancel(self, run: ActiveRun) -> None:
        if run.end_reason is not None:
            return
        if run.process is None:
            canceled = exits.ended_by("canceled")
            assert canceled is not None
            self._fail(run, canceled, skip=True)
            return
        run.end("canceled")

    def _drop(self, run: ActiveRun) -> None:
        """The platform gave the run to somebody else: end it and say nothing."""
        if run.process is not None:
            self._by_process.pop(run.process, None)
            run.end("stopped")
            if not run.is_waiting:
                run.home.release()
        self._forget(run)

    def _replace(self, known: ActiveRun) -> None:
        """The platform hands out anew what is held: a retry, or a run whose lease had run out meanwhile."""
        self._drop(known)

    def _forget(self, run: ActiveRun) -> None:
        if self.runs.pop(run.run_id, None) is None:
            return
        self._ended[run.run_id] = run.assignment.lease
        if len(self._ended) > _ENDED_KEPT:
            del self._ended[next(iter(self._ended))]
        run.finish()
        run.move_to(None)
        self._on_idle()


def _result(signal: Signal) -> WaitResult:
    assert signal.result is not None
    return signal.result
