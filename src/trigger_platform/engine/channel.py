"""The worker's side of the engine: take a seat, look for work, report what happened."""

from __future__ import annotations

from trigger_core.errors import ConflictingWriteError, TriggerError
from trigger_core.schemas.errors import ErrorBody
from trigger_core.schemas.workers import (
    Assignment,
    Connect,
    Connected,
    GivenUp,
    Poll,
    Polled,
    Report,
    Reported,
    Signal,
    TriggerAndWait,
    WaitStarted,
    WaitToken,
    WaitUntil,
)
from trigger_platform.engine import (
    block,
    checkpoint,
    concurrency,
    dequeue,
    execution_snapshot,
    finish,
    heartbeat,
    hiding,
    metadata,
    run_attempt,
    run_log,
    signals,
    wait,
)
from trigger_platform.engine import environment as locking
from trigger_platform.engine.execution_snapshot import LEASE_MS, Move
from trigger_platform.engine.states import ExecutionStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, InstanceRow, RunRow

__all__ = ["connect", "poll", "report"]

_SEEN_EVERY_MS = 1_000


def connect(u: Unit, environment: EnvironmentRow, request: Connect) -> Connected:
    """Give the seat to a process; the runs of the one that had it before move on at once.

    The environment is taken first, so that the process before cannot claim meanwhile.
    """
    environment = locking.lock(u, environment.id)
    before = u.tx.maybe(
        "instance_get", InstanceRow, environment_id=environment.id, name=request.instance
    )
    if before is not None and before.boot_id != request.boot_id:
        heartbeat.lose(u, environment.id, before.boot_id)
    u.tx.run(
        "instance_seat",
        environment_id=environment.id,
        name=request.instance,
        boot_id=request.boot_id,
        now=u.now,
    )
    return Connected(heartbeat_ms=heartbeat.HEARTBEAT_MS, lease_ms=LEASE_MS)


def poll(u: Unit, environment: EnvironmentRow, request: Poll) -> Polled:
    """Look once for signals and for runs to claim."""
    if request.limit > 0:
        environment = locking.lock(u, environment.id)
    if not _seated(u, environment, request.boot_id):
        return Polled()
    told = signals.fetch(u, environment.id, request.boot_id)
    runs = _hand_out(u, environment, request, request.limit)
    return Polled.model_construct(runs=runs, signals=told)


def report(u: Unit, environment: EnvironmentRow, request: Report) -> Reported:
    """Write down what happened to runs, then hand out new ones if asked to; all in this transaction."""
    boot_id, home = request.boot_id, environment.id
    hide = hiding.of(u, environment)
    run_log.write(u, home, hiding.lines(hide, request.logs))
    _begin(u, home, request)
    flushed = metadata.flush(u, environment, boot_id, request.metadata)
    waits = _wait(u, environment, request)
    _give_up(u, home, request)
    suspensions = [checkpoint.suspend(u, home, boot_id, one) for one in request.suspended]
    for one in request.lost:
        checkpoint.lost(u, home, boot_id, one)
    verdicts = run_attempt.complete(u, home, boot_id, hiding.completions(hide, request.completions))
    retried = run_attempt.retry(u, home, boot_id, request.retries)
    missed = heartbeat.extend(u, home, boot_id, request.held)
    if request.completions or waits:
        concurrency.admit_resuming(u, home)
    runs = dequeue.assignments(u, retried)
    told: list[Signal] = []
    if request.claim > 0:
        environment = locking.lock(u, home)
    if _seated(u, environment, boot_id):
        told = signals.fetch(u, home, boot_id)
        runs += _hand_out(u, environment, request, request.claim)
    return Reported.model_construct(
        verdicts=verdicts,
        waits=waits,
        suspensions=suspensions,
        metadata=flushed,
        runs=runs,
        signals=[*told, *missed],
    )


def _hand_out(
    u: Unit, environment: EnvironmentRow, request: Poll | Report, limit: int
) -> list[Assignment]:
    """Claim runs; whoever asks again, because no answer came, gets what that answer may have had."""
    runs: list[Assignment] = []
    if request.is_repeated and limit > 0:
        runs = dequeue.unheard(u, environment, request.boot_id)
    left = max(0, limit - len(runs))
    return runs + dequeue.claim(u, environment, request.boot_id, request.workers, left)


def _seated(u: Unit, environment: EnvironmentRow, boot_id: str) -> bool:
    """A process that lost its seat gets no more work; it also shows that the process is alive."""
    seat = u.tx.maybe(
        "instance_by_boot", InstanceRow, environment_id=environment.id, boot_id=boot_id
    )
    if seat is None:
        return False
    if abs(u.now - seat.last_seen_at) >= _SEEN_EVERY_MS:
        u.tx.run("instance_seen", environment_id=environment.id, boot_id=boot_id, now=u.now)
    return True


def _begin(u: Unit, environment_id: str, request: Report) -> None:
    """Count attempts whose code began, said twice or not; one that should have been restored began anew."""
    boot_id = request.boot_id
    names = [one.run_id for one in request.started]
    names += [one.run_id for one in request.continued]
    runs = {
        run_id: run
        for run_id, run in run_attempt.runs_by_id(u, environment_id, names).items()
        if run.execution_status == ExecutionStatus.PENDING_EXECUTING
    }
    moves: dict[str, Move] = {}
    for one in request.started:
        if (run := runs.get(one.run_id)) and run_attempt.owns(run, boot_id, one.lease):
            begins = run_attempt.begin if run.checkpoint_id is None else checkpoint.restart
            moves[run.id] = begins(u, run, one.at)
    for other in request.continued:
        if (run := runs.get(other.run_id)) and run_attempt.owns(run, boot_id, other.lease):
            moves[run.id] = run_attempt.begin(u, run)
    finish.apply(u, list(moves.values()))


def _wait(u: Unit, environment: EnvironmentRow, request: Report) -> list[WaitStarted]:
    """Begin the waits of a report; each that is refused says why, and disturbs no other."""
    answers: list[WaitStarted] = []
    asked: list[WaitUntil | WaitToken | TriggerAndWait]
    asked = [*request.waits, *request.tokens, *request.triggers]
    for one in asked:
        run = _waiting_run(u, environment.id, request.boot_id, one)
        if run is None:
            continue
        try:
            answers.append(_wait_one(u, environment, run, one))
        except ConflictingWriteError:
            raise
        except TriggerError as error:
            refused = ErrorBody(error=error.what, code=error.code, fix=error.hint)
            answers.append(WaitStarted(run_id=run.id, ref=one.ref, error=refused))
    return answers


def _give_up(u: Unit, environment_id: str, request: Report) -> None:
    for one in request.given_up:
        run = _waiting_run(u, environment_id, request.boot_id, one)
        if run is not None:
            block.give_up(u, run, one.ref)


def _wait_one(
    u: Unit,
    environment: EnvironmentRow,
    run: RunRow,
    request: WaitUntil | WaitToken | TriggerAndWait,
) -> WaitStarted:
    match request:
        case WaitUntil():
            return wait.until(u, run, request.ref, request.until)
        case WaitToken():
            return wait.for_token(u, run, request.ref, request.waitpoint_id)
        case TriggerAndWait():
            return wait.runs(u, environment, run, request)


def _waiting_run(
    u: Unit,
    environment_id: str,
    boot_id: str,
    asked: WaitUntil | WaitToken | TriggerAndWait | GivenUp,
) -> RunRow | None:
    """Return the run if its attempt may still wait; one that was not reported as begun begins here."""
    run = run_attempt.runs_by_id(u, environment_id, [asked.run_id]).get(asked.run_id)
    if run is None or not run_attempt.owns(run, boot_id, asked.lease):
        return None
    if run.execution_status == ExecutionStatus.PENDING_EXECUTING:
        step = run_attempt.begin(u, run)
        execution_snapshot.apply(u, [step])
        run = step.run
    return None if run.execution_status == ExecutionStatus.PENDING_CANCEL else run
