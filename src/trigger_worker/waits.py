"""Waits: a run that waits for the platform holds no slot, and goes on when the platform says so."""

from __future__ import annotations

from trigger_core.schemas.workers import WaitStarted, WaitUntil
from trigger_worker.active_run import ActiveRun
from trigger_worker.ipc import Message
from trigger_worker.reports import Outbox
from trigger_worker.run_events import RunEvents

__all__ = ["Waits"]


class Waits:
    """Takes an executor's waits to the platform and the platform's word back.

    A wait has the executor's name, its reference, at once, and the platform's, a waitpoint, when the report
    is answered; its end may be told before that.
    """

    def __init__(self, outbox: Outbox, events: RunEvents) -> None:
        self._outbox = outbox
        self._events = events

    def begin(self, run: ActiveRun, message: Message) -> None:
        """The code waits until a moment."""
        if not run.is_waiting:
            run.home.release()
            run.pause_clock()
        run.waits[message["ref"]] = None
        self._outbox.waits.append(
            WaitUntil(
                run_id=run.run_id,
                lease=run.assignment.lease,
                ref=message["ref"],
                until=message["until"],
            )
        )
        self._outbox.touch()
        self._events.waiting(run)

    def give_up(self, run: ActiveRun, message: Message) -> None:
        """The code waits no longer, though the moment has not come."""
        if message["ref"] in run.waits:
            self._go_on(run, message["ref"])

    def known(self, run: ActiveRun, wait: WaitStarted) -> None:
        """The platform has recorded a wait."""
        if wait.ref not in run.waits:
            return
        run.waits[wait.ref] = wait.waitpoint_id
        if wait.waitpoint_id in run.early:
            run.early.discard(wait.waitpoint_id)
            self._resume(run, wait.ref)
        self._outbox.end_polls()

    def over(self, run: ActiveRun, waitpoint_id: str) -> None:
        """The platform says that a wait is over."""
        refs = [ref for ref, known in run.waits.items() if known == waitpoint_id]
        if refs:
            self._resume(run, refs[0])
        elif None in run.waits.values():
            run.early.add(waitpoint_id)

    def _resume(self, run: ActiveRun, ref: str) -> None:
        self._go_on(run, ref)
        if run.process is not None:
            run.process.send({"t": "resume", "ref": ref})
        self._events.resumed(run)

    def _go_on(self, run: ActiveRun, ref: str) -> None:
        del run.waits[ref]
        if not run.is_waiting:
            run.home.pool.resume()
            run.resume_clock()
