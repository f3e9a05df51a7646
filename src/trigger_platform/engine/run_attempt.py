"""Attempts: begin, succeed, fail, try again; every word of a worker is checked against its lease."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from trigger_core.schemas.workers import (
    Completion,
    Failed,
    StartRetry,
    Succeeded,
    Verdict,
)
from trigger_platform.engine import execution_snapshot, failure, finish
from trigger_platform.engine.execution_snapshot import Move
from trigger_platform.engine.failure import Final, Retry
from trigger_platform.engine.states import (
    EXECUTING_STATES,
    LEASED_STATES,
    ExecutionStatus,
    RunStatus,
)
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import RunRow

__all__ = ["begin", "complete", "fail", "lasts", "owns", "retry", "runs_by_id", "verdict_of"]

_KEPT_AFTER_CANCEL = "Canceled; the attempt had returned, its output is kept"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a completion leads to: the steps to write, and the answer."""

    moves: list[Move]
    verdict: Verdict


def owns(run: RunRow, boot_id: str, lease: int) -> bool:
    """Tell whether a worker instance still holds the run under this lease."""
    return run.boot_id == boot_id and run.lease == lease


def lasts(u: Unit, run: RunRow, attempt: int, lease: int) -> bool:
    """Tell whether an attempt that was handed out under a lease goes on.

    It outlives the lease when it was suspended and restored under another one; then it is the step it began
    with that tells it from an attempt of the same number that was handed out earlier and never began.
    """
    if run.execution_status not in LEASED_STATES or _pausing(run):
        return False
    is_handed_out = run.execution_status == ExecutionStatus.PENDING_EXECUTING
    has_begun = not is_handed_out or run.checkpoint_id is not None
    if attempt != (run.attempt if has_begun else run.attempt + 1):
        return False
    if lease == run.lease:
        return True
    began: int | None = u.tx.scalar("attempt_began", run_id=run.id, attempt=attempt)
    return began is not None and lease in {began - 1, began}


def runs_by_id(u: Unit, environment_id: str, run_ids: Sequence[str]) -> dict[str, RunRow]:
    """Read runs of an environment by id; unknown ones, and those of others, are missing from the answer.

    The rows are looked through here, so that the database finds them by their ids alone.
    """
    if not run_ids:
        return {}
    wanted = json.dumps(list(dict.fromkeys(run_ids)))
    found = u.tx.all("runs_by_ids", RunRow, ids=wanted)
    return {run.id: run for run in found if run.environment_id == environment_id}


def begin(u: Unit, run: RunRow, at: int | None = None) -> Move:
    """Decide the step that counts the attempt of a run that was handed out.

    One that was handed out with a checkpoint goes on with the attempt it was in.
    """
    if run.checkpoint_id is not None:
        return execution_snapshot.move(
            u,
            run,
            ExecutionStatus.EXECUTING,
            RunStatus.EXECUTING,
            f"Attempt {run.attempt} goes on from its checkpoint",
            checkpoint_id=None,
            attempt_started_at=u.now,
        )
    return execution_snapshot.move(
        u,
        run,
        ExecutionStatus.EXECUTING,
        RunStatus.EXECUTING,
        f"Attempt {run.attempt + 1} started",
        attempt=run.attempt + 1,
        attempt_started_at=min(at or u.now, u.now),
    )


def complete(
    u: Unit, environment_id: str, boot_id: str, completions: Sequence[Completion]
) -> list[Verdict]:
    """Write the ends of attempts, all in one go; a repeated completion gets the answer it got before."""
    runs = runs_by_id(u, environment_id, [one.run_id for one in completions])
    verdicts: list[Verdict] = []
    moves: list[Move] = []
    outputs: list[dict[str, str]] = []
    for completion in completions:
        run = runs.get(completion.run_id)
        if run is None or not _open(run, boot_id, completion.lease):
            verdicts.append(verdict_of(u, run, completion.run_id, completion.lease))
            continue
        outcome = _settle(u, run, completion)
        runs[run.id] = outcome.moves[-1].run
        moves += outcome.moves
        verdicts.append(outcome.verdict)
        if isinstance(completion, Succeeded) and completion.output is not None:
            outputs.append({"id": run.id, "output": completion.output})
    u.tx.many("run_output", outputs)
    finish.apply(u, moves)
    return verdicts


def retry(
    u: Unit, environment_id: str, boot_id: str, requests: Sequence[StartRetry]
) -> list[RunRow]:
    """Hand the next attempt to workers whose pause is over, under a new lease.

    A worker that did not hear the answer asks again and gets the attempt that was begun for it.
    """
    runs = runs_by_id(u, environment_id, [one.run_id for one in requests])
    moves: list[Move] = []
    unheard: list[RunRow] = []
    for request in {(one.run_id, one.lease): one for one in requests}.values():
        run = runs.get(request.run_id)
        if run is not None and _is_unheard(run, boot_id, request.lease):
            unheard.append(run)
            continue
        if run is None or not owns(run, boot_id, request.lease) or not _pausing(run):
            continue
        step = execution_snapshot.move(
            u,
            run,
            ExecutionStatus.EXECUTING,
            RunStatus.EXECUTING,
            f"Attempt {run.attempt + 1} started",
            attempt=run.attempt + 1,
            lease=run.sequence + 1,
            attempt_started_at=u.now,
            available_at=None,
        )
        moves.append(step)
    execution_snapshot.apply(u, moves)
    return [*unheard, *(step.run for step in moves)]


def fail(u: Unit, run: RunRow, failed: Failed, *, at_once: bool = False) -> list[Move]:
    """Decide the steps after a failed attempt of a run that has begun one.

    ``at_once`` queues the retry without a pause: it was the worker that was lost, not the task that failed.
    """
    decision = failure.decide(run, failed, u.rng)
    if at_once and isinstance(decision, Retry):
        decision = Retry(0, queued=True)
    error = json.dumps(failed.error.to_wire())
    if isinstance(decision, Final):
        message = f"Attempt {run.attempt} failed for good"
        return [
            finish.decide(
                u, run, decision.status, message, error=error, duration_ms=failed.duration_ms
            )
        ]
    if decision.machine is not None:
        run = run._replace(machine=decision.machine)
    if decision.queued:
        return [_back_to_queue(u, run, decision.delay_ms, error, failed.duration_ms)]
    return [_pause(u, run, decision.delay_ms, error, failed.duration_ms)]


def verdict_of(u: Unit, run: RunRow | None, run_id: str, lease: int) -> Verdict:
    """Return the answer to a completion that comes again, or too late."""
    if run is None or run.lease != lease:
        return Verdict(run_id=run_id, lease=lease, kind="stale")
    delay = max(0, (run.available_at or u.now) - u.now)
    if run.execution_status == ExecutionStatus.FINISHED:
        return Verdict(run_id=run_id, lease=lease, kind="finished", status=run.status)
    if run.execution_status == ExecutionStatus.QUEUED:
        return Verdict(run_id=run_id, lease=lease, kind="retry_queued", delay=delay)
    if _pausing(run):
        return Verdict(run_id=run_id, lease=lease, kind="retry_now", delay=delay)
    return Verdict(run_id=run_id, lease=lease, kind="stale")


def _open(run: RunRow, boot_id: str, lease: int) -> bool:
    """Tell whether an attempt under this lease can still end."""
    return owns(run, boot_id, lease) and not _pausing(run)


def _pausing(run: RunRow) -> bool:
    """An attempt has failed and the worker waits a moment before the next one."""
    return run.execution_status == ExecutionStatus.EXECUTING and run.attempt_started_at is None


def _is_unheard(run: RunRow, boot_id: str, lease: int) -> bool:
    """The attempt after this lease was begun here, and nothing has been heard of it since."""
    begun = run.execution_status == ExecutionStatus.EXECUTING and run.sequence == run.lease
    return begun and run.boot_id == boot_id and lease < run.sequence


def _settle(u: Unit, run: RunRow, completion: Completion) -> _Outcome:
    moves: list[Move] = []
    if run.execution_status == ExecutionStatus.PENDING_EXECUTING:
        started = u.now - completion.duration_ms
        moves.append(begin(u, run, started))
        run = moves[-1].run
    if run.execution_status == ExecutionStatus.PENDING_CANCEL:
        moves.append(_end_canceled(u, run, completion))
    elif isinstance(completion, Succeeded):
        moves.append(_succeed(u, run, completion))
    else:
        moves += fail(u, run, completion)
    return _Outcome(moves, verdict_of(u, moves[-1].run, run.id, completion.lease))


def _succeed(u: Unit, run: RunRow, completion: Succeeded) -> Move:
    return finish.decide(
        u,
        run,
        RunStatus.COMPLETED_SUCCESSFULLY,
        f"Attempt {run.attempt} succeeded",
        duration_ms=completion.duration_ms,
        output_type=completion.output_type,
    )


def _end_canceled(u: Unit, run: RunRow, completion: Completion) -> Move:
    """A cancel that was accepted stays: even a success that arrives later ends as canceled (W18)."""
    if isinstance(completion, Succeeded):
        return finish.decide(
            u,
            run,
            RunStatus.CANCELED,
            _KEPT_AFTER_CANCEL,
            error=run.error,
            duration_ms=completion.duration_ms,
            output_type=completion.output_type,
        )
    return finish.decide(
        u,
        run,
        RunStatus.CANCELED,
        "Canceled",
        error=run.error,
        duration_ms=completion.duration_ms,
    )


def _pause(u: Unit, run: RunRow, delay_ms: int, error: str, duration_ms: int) -> Move:
    base = run
    if run.execution_status in EXECUTING_STATES - {ExecutionStatus.EXECUTING}:
        return _back_to_queue(u, run, delay_ms, error, duration_ms)
    return execution_snapshot.move(
        u,
        base,
        ExecutionStatus.EXECUTING,
        RunStatus.EXECUTING,
        f"Attempt {run.attempt} failed; the next one starts in {delay_ms} ms",
        attempt_error=error,
        attempt_started_at=None,
        available_at=u.now + delay_ms,
        usage_ms=run.usage_ms + duration_ms,
    )


def _back_to_queue(u: Unit, run: RunRow, delay_ms: int, error: str, duration_ms: int) -> Move:
    available_at = u.now + delay_ms if delay_ms > 0 else None
    return execution_snapshot.move(
        u,
        run,
        ExecutionStatus.QUEUED,
        RunStatus.PENDING,
        f"Attempt {run.attempt} failed; queued again",
        attempt_error=error,
        attempt_started_at=None,
        checkpoint_id=None,
        boot_id=None,
        available_at=available_at,
        due_at=available_at,
        usage_ms=run.usage_ms + duration_ms,
    )
