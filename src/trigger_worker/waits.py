"""Waits: a run that waits for the platform holds no slot, and goes on when the platform says so."""

from __future__ import annotations

from trigger_core.schemas.trigger import BatchItem
from trigger_core.schemas.workers import (
    GivenUp,
    TriggerAndWait,
    WaitResult,
    WaitStarted,
    WaitToken,
    WaitUntil,
)
from trigger_worker.active_run import ActiveRun
from trigger_worker.ipc import Message
from trigger_worker.reports import Outbox
from trigger_worker.run_events import RunEvents
from trigger_worker.wait import Wait

__all__ = ["Waits"]


class Waits:
    """Takes an executor's waits to the platform and the platform's word back.

    A wait has the executor's name, its reference, at once, and the platform's, waitpoints, when the report is
    answered; their ends may be told before that.
    """

    def __init__(self, outbox: Outbox, events: RunEvents) -> None:
        self._outbox = outbox
        self._events = events

    def begin(self, run: ActiveRun, message: Message) -> None:
        """The code waits: until a moment, for a token, or for runs that are triggered now."""
        if not run.is_waiting:
            run.home.release()
            run.pause_clock()
            self._events.waiting(run)
        run.waits[message["ref"]] = Wait()
        self._ask(run, message)
        self._outbox.touch()

    def give_up(self, run: ActiveRun, message: Message) -> None:
        """The code waits no longer, though the wait is not over."""
        ref = message["ref"]
        if ref not in run.waits:
            return
        self._outbox.given_up.append(
            GivenUp(run_id=run.run_id, lease=run.assignment.lease, ref=ref)
        )
        self._outbox.touch()
        self._go_on(run, ref)

    def known(self, run: ActiveRun, started: WaitStarted) -> None:
        """The platform has recorded a wait, or refused it."""
        wait = run.waits.get(started.ref)
        if wait is None:
            return
        if started.error is not None:
            self._go_on(run, started.ref)
            self._tell(run, {"t": "refused", "ref": started.ref, "error": started.error.to_wire()})
            return
        awaited = [one.waitpoint_id for one in started.awaited]
        wait.learn(awaited, started.batch_id, run.early)
        if all(one.is_known for one in run.waits.values()):
            run.early.clear()
        self._check(run, started.ref)
        self._outbox.end_polls()

    def over(self, run: ActiveRun, waitpoint_id: str, result: WaitResult) -> None:
        """The platform says how a waitpoint ended."""
        if not all(wait.is_known for wait in run.waits.values()):
            run.early[waitpoint_id] = result
        for ref, wait in list(run.waits.items()):
            if wait.note(waitpoint_id, result):
                self._check(run, ref)

    def _ask(self, run: ActiveRun, message: Message) -> None:
        run_id, lease, ref = run.run_id, run.assignment.lease, message["ref"]
        if "until" in message:
            until = WaitUntil(run_id=run_id, lease=lease, ref=ref, until=message["until"])
            self._outbox.waits.append(until)
        elif "token" in message:
            token = WaitToken(run_id=run_id, lease=lease, ref=ref, waitpoint_id=message["token"])
            self._outbox.tokens.append(token)
        else:
            items = [BatchItem.model_validate(item) for item in message["items"]]
            trigger = TriggerAndWait(
                run_id=run_id,
                lease=lease,
                ref=ref,
                items=items,
                is_batch=message["isBatch"],
                traceparent=message.get("traceparent"),
            )
            self._outbox.triggers.append(trigger)

    def _check(self, run: ActiveRun, ref: str) -> None:
        """Wake the code if its wait is over, with the results in the order of what was waited for."""
        wait = run.waits[ref]
        if not wait.is_over:
            return
        results = [one.to_wire() for one in wait.results]
        self._go_on(run, ref)
        self._tell(run, {"t": "resume", "ref": ref, "batchId": wait.batch_id, "results": results})
        if not run.is_waiting:
            self._events.resumed(run)

    def _tell(self, run: ActiveRun, message: Message) -> None:
        if run.process is not None:
            run.process.send(message)

    def _go_on(self, run: ActiveRun, ref: str) -> None:
        del run.waits[ref]
        if not run.is_waiting:
            run.home.pool.resume()
            run.resume_clock()
