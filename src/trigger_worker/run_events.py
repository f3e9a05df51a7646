"""What the dev session is told about runs."""

from __future__ import annotations

import asyncio

from trigger_core.schemas.workers import TaskError, Verdict
from trigger_worker.active_run import ActiveRun
from trigger_worker.session_link import SessionLink

__all__ = ["RunEvents"]

_OUTCOMES = {"COMPLETED_SUCCESSFULLY": "completed", "CANCELED": "canceled"}


class RunEvents:
    """Emits an event for each step of a run."""

    def __init__(self, link: SessionLink) -> None:
        self._link = link

    def started(self, run: ActiveRun) -> None:
        """An attempt's code has begun; said once, and before anything else about it."""
        if not run.is_announced:
            run.is_announced = True
            self._emit("run_started", run)

    def waiting(self, run: ActiveRun) -> None:
        """It waits for the platform."""
        self.started(run)
        elapsed_s = asyncio.get_running_loop().time() - run.started_at
        self._emit("run_finished", run, outcome="waiting", durationMs=round(elapsed_s * 1000))

    def resumed(self, run: ActiveRun) -> None:
        """It goes on."""
        self._emit("run_finished", run, outcome="resumed")

    def concluded(self, run: ActiveRun, verdict: Verdict) -> None:
        """The platform has said what became of the attempt."""
        if run.started_at:
            self.started(run)
        ms, error = run.result or (0, None)
        self._emit(
            "run_finished",
            run,
            outcome=_outcome(verdict),
            durationMs=ms,
            retryInMs=verdict.delay if verdict.kind != "finished" else None,
            error=_text(error),
        )

    def _emit(self, event: str, run: ActiveRun, **fields: object) -> None:
        assignment = run.assignment
        self._link.emit(
            event,
            runId=assignment.run_id,
            task=assignment.task,
            attempt=assignment.attempt,
            version=assignment.version,
            **fields,
        )


def _outcome(verdict: Verdict) -> str:
    if verdict.kind != "finished":
        return "retrying"
    return _OUTCOMES.get(verdict.status or "", "failed")


def _text(error: TaskError | None) -> str | None:
    if error is None:
        return None
    first = (error.message or error.raw or "").splitlines()
    return f"{error.name or error.code}: {first[0] if first else ''}"
