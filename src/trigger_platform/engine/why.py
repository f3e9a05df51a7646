"""Why a run is where it is: what holds it, what does not, and what will move it."""

from __future__ import annotations

from dataclasses import dataclass, field

from trigger_core import clock
from trigger_core.duration import describe
from trigger_core.errors import RunNotFoundError
from trigger_core.schemas.runs import RunWhy
from trigger_platform.engine import concurrency, pool, states
from trigger_platform.engine.states import EXECUTING_STATES, ExecutionStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, RunRow

__all__ = ["explain", "public_status"]

_WORKER_ONLINE_MS = 15_000
_COUNT_AHEAD = 1_000
_PUBLIC = {
    "PENDING": "QUEUED",
    "WAITING_TO_RESUME": "WAITING",
    "COMPLETED_SUCCESSFULLY": "COMPLETED",
    "COMPLETED_WITH_ERRORS": "FAILED",
}


@dataclass(slots=True)
class _Findings:
    blocked_by: list[str] = field(default_factory=list)
    clear: list[str] = field(default_factory=list)
    next: str = ""


def public_status(status: str) -> str:
    """Return the current API vocabulary's word for a status (protocol H.1)."""
    return _PUBLIC.get(status, status)


def explain(u: Unit, environment: EnvironmentRow, run_id: str) -> RunWhy:
    """Explain a run.

    Raises:
        NotFoundError: the environment has no such run.
    """
    run = u.tx.maybe("run_by_id", RunRow, id=run_id, environment_id=environment.id)
    if run is None:
        raise RunNotFoundError(run_id)
    found = _findings(u, environment, run)
    return RunWhy.model_validate(
        {
            "id": run.id,
            "status": public_status(run.status),
            "execution_status": run.execution_status,
            "since": clock.to_iso(run.updated_at),
            "task": run.task,
            "queue": run.queue,
            "blocked_by": found.blocked_by,
            "clear": found.clear,
            "next": found.next,
        }
    )


def _findings(u: Unit, environment: EnvironmentRow, run: RunRow) -> _Findings:
    if states.is_final(run.status) and run.execution_status == ExecutionStatus.FINISHED:
        return _Findings(next="nothing: the run is final; `trigger runs replay` starts a new one")
    if run.execution_status == ExecutionStatus.DELAYED:
        return _delayed(u, run)
    if run.execution_status == ExecutionStatus.RUN_CREATED:
        return _without_version(u, run)
    if run.execution_status == ExecutionStatus.SUSPENDED:
        return _Findings(
            blocked_by=["a wait inside the task"],
            clear=["it was suspended: it has no process, no slot and no worker"],
            next="when the wait is over it is queued at its old place, and restored by who claims it",
        )
    if run.execution_status == ExecutionStatus.QUEUED:
        return _queued(u, environment, run)
    return _with_worker(u, run)


def _delayed(u: Unit, run: RunRow) -> _Findings:
    until = run.delay_until or u.now
    return _Findings(
        blocked_by=[f"its delay, until {clock.to_iso(until)}"],
        next=f"it is queued in {describe(max(0, until - u.now))}",
    )


_PARKED = {
    "NO_DEPLOYMENT": "no deployment is current in this environment",
    "TASK_NOT_IN_LATEST": "the version that is current does not have the task {task!r} any more",
    "TASK_NEVER_REGISTERED": "no version has the task {task!r}",
    "QUEUE_NOT_FOUND": "no version has the queue {queue!r}",
    "EXTERNAL_DEPLOYMENT_PENDING": "no deployment with the external id {external!r} is there",
}


def _without_version(u: Unit, run: RunRow) -> _Findings:
    reason = run.status_reason or "TASK_NEVER_REGISTERED"
    text = _PARKED.get(reason, reason).format(
        task=run.task, queue=run.queue, external=run.external_deployment_id
    )
    after = "it is queued as soon as a version with its task and its queue is there"
    if reason == "EXTERNAL_DEPLOYMENT_PENDING" and run.due_at is not None:
        left = describe(max(0, run.due_at - u.now))
        after = f"it is queued when that deployment is there; in {left} it expires"
    return _Findings(blocked_by=[f"{text} ({reason})"], next=after)


def _queued(u: Unit, environment: EnvironmentRow, run: RunRow) -> _Findings:
    found = _Findings()
    if run.available_at is not None:
        wait = describe(max(0, run.available_at - u.now))
        found.blocked_by.append(f"the pause after attempt {run.attempt}")
        found.next = f"it can be claimed in {wait}"
    else:
        found.clear.append("no delay and no retry pause")
    if run.checkpoint_id is not None:
        found.clear.append("its wait is over; it goes on from its checkpoint")
    _limits(u, environment, run, found)
    _workers(u, environment, found)
    if run.due_at is not None and run.available_at is None:
        found.clear.append(f"it expires in {describe(max(0, run.due_at - u.now))} unless it starts")
    found.next = found.next or _claim(u, environment, run, found)
    return found


def _claim(u: Unit, environment: EnvironmentRow, run: RunRow, found: _Findings) -> str:
    is_bound = run.version is not None and environment.type != "DEVELOPMENT"
    whose = f"a worker of version {run.version}" if is_bound else "a worker"
    when = "when nothing blocks it any more" if found.blocked_by else f"by the next poll of {whose}"
    return f"it is claimed {when}{_place(u, environment, run)}"


def _limits(u: Unit, environment: EnvironmentRow, run: RunRow, found: _Findings) -> None:
    free = concurrency.room(u, environment, [run.queue])
    queue = free.queues.get(run.queue)
    held = free.held.get((run.queue, run.concurrency_key), 0)
    cap = free.cap(run.queue)
    name = _line(run)
    if queue is not None and queue.paused:
        found.blocked_by.append(f"queue {run.queue} is paused")
    if held >= cap:
        whose = " (an operator's limit)" if queue and queue.overridden_at is not None else ""
        found.blocked_by.append(f"{name} concurrency {held}/{cap}{whose}")
    elif queue is None or not queue.paused:
        found.clear.append(f"{name} has room ({held} held)")
    if environment.paused:
        found.blocked_by.append("the environment is paused")
    elif free.environment <= 0:
        total = concurrency.burst(environment)
        found.blocked_by.append(f"environment concurrency {total - free.environment}/{total}")
    else:
        found.clear.append(f"environment has {free.environment} free slots")


def _line(run: RunRow) -> str:
    key = f" key {run.concurrency_key}" if run.concurrency_key else ""
    return f"queue {run.queue}{key}"


def _place(u: Unit, environment: EnvironmentRow, run: RunRow) -> str:
    """Say how many runs of the same queue and key go before this one."""
    ahead = u.tx.scalar(
        "ahead_at_most",
        pools=pool.everything(u, environment),
        queue=run.queue,
        concurrency_key=run.concurrency_key,
        position=run.position,
        limit=_COUNT_AHEAD + 1,
    )
    if ahead > _COUNT_AHEAD:
        return f"; more than {_COUNT_AHEAD:,} runs of {_line(run)} stand before it"
    return f"; {ahead} of {_line(run)} before it" if ahead else ""


def _workers(u: Unit, environment: EnvironmentRow, found: _Findings) -> None:
    is_dev = environment.type == "DEVELOPMENT"
    seen = u.tx.scalar("instance_newest", environment_id=environment.id)
    managed = None if is_dev else u.tx.scalar("worker_group_newest")
    if max(seen or 0, managed or 0) < u.now - _WORKER_ONLINE_MS:
        fix = "; start `trigger dev`" if is_dev else ""
        found.blocked_by.append(f"no worker is connected{fix}")
    else:
        found.clear.append("a worker is connected")


def _with_worker(u: Unit, run: RunRow) -> _Findings:
    lease = describe(max(0, (run.due_at or u.now) - u.now))
    if run.execution_status == ExecutionStatus.PENDING_CANCEL:
        return _Findings(
            blocked_by=["its process, which was told to end"],
            next=f"it is final when the process has ended, or in {lease} if the worker is gone",
        )
    if run.execution_status == ExecutionStatus.EXECUTING_WITH_WAITPOINTS:
        return _Findings(
            blocked_by=["a wait inside the task"],
            clear=["it holds no slot while it waits"],
            next="it goes on when the wait is over and a slot is free",
        )
    if run.execution_status == ExecutionStatus.QUEUED_EXECUTING:
        return _Findings(
            blocked_by=["concurrency: its wait is over, all slots are taken"],
            next="it gets the next free slot, before any run that has not started",
        )
    if run.execution_status in EXECUTING_STATES and run.attempt_started_at is None:
        pause = describe(max(0, (run.available_at or u.now) - u.now))
        return _Findings(
            blocked_by=[f"the pause after attempt {run.attempt}"],
            next=f"attempt {run.attempt + 1} starts in {pause}",
        )
    return _Findings(
        clear=[f"attempt {max(run.attempt, 1)} runs in version {run.version}"],
        next=f"it ends when its code ends; a silent worker loses it in {lease}",
    )
