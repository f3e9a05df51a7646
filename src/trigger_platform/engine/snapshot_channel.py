"""The channel of workers that hold a run by its execution snapshot, as the TypeScript ones do (protocol D).

They present (run, snapshot) where our own worker presents (run, lease), and they read a run's latest snapshot
where ours takes signals. Nothing else differs: a snapshot is a number in the history of its run, and belongs
to the present lease if it is not older than the step that gave the lease out. So every call here ends in the
functions that :mod:`~trigger_platform.engine.channel` ends in.

All sessions of a development environment share one seat: their calls do not say which process makes them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from trigger_core import ids
from trigger_core.errors import (
    NotFoundError,
    PermissionDeniedError,
    RunNotFoundError,
    UnprocessableError,
)
from trigger_core.schemas.metadata import MetadataFlush, MetadataUpdate
from trigger_core.schemas.workers import (
    Assignment,
    Completion,
    Held,
    StartRetry,
    Verdict,
    WaitResult,
)
from trigger_platform.engine import (
    checkpoint,
    concurrency,
    dequeue,
    execution_snapshot,
    finish,
    heartbeat,
    language,
    metadata,
    organization,
    run_attempt,
    signals,
    variable,
    waitpoint,
)
from trigger_platform.engine import environment as locking
from trigger_platform.engine.states import EXECUTING_STATES, ExecutionStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import (
    DeploymentRow,
    EdgeRow,
    EnvironmentRow,
    InstanceRow,
    OrganizationRow,
    PayloadRow,
    ProjectRow,
    QueueRow,
    RunRow,
    SnapshotRow,
    TaskRow,
    VersionRow,
    WaitpointRow,
)

__all__ = [
    "Attempt",
    "CompletedWait",
    "Deployed",
    "Ended",
    "Given",
    "Home",
    "Latest",
    "Since",
    "begun",
    "boot_id",
    "complete",
    "disconnect",
    "extend",
    "find",
    "home",
    "is_running_out",
    "latest",
    "lease_of",
    "next_run",
    "sequence_of",
    "since",
    "sit",
    "stale",
    "start",
]

_SEAT = "snapshots"
_SEEN_EVERY_MS = 1_000
_LAST_FLUSH = 0


@dataclass(frozen=True, slots=True)
class Home:
    """The project of a run, and whose it is."""

    project: ProjectRow
    organization: OrganizationRow


@dataclass(frozen=True, slots=True)
class Deployed:
    """The deployment that an attempt executes on, and what was said of its version."""

    row: DeploymentRow
    version: VersionRow


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that has begun, with everything its code is given."""

    run: RunRow
    payload: PayloadRow | None
    task: TaskRow
    queue: QueueRow
    variables: dict[str, str]
    home: Home
    deployment: Deployed | None


@dataclass(frozen=True, slots=True)
class Given:
    """A run that was handed out."""

    run: Assignment
    home: Home


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of an attempt that ended."""

    run: RunRow
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class CompletedWait:
    """A wait that is over: what was waited for, under which name and place, and how it ended."""

    edge: EdgeRow
    waitpoint: WaitpointRow
    result: WaitResult


@dataclass(frozen=True, slots=True)
class Latest:
    """Where a run is, and the waits that ended with its latest snapshot."""

    run: RunRow
    waits: list[CompletedWait]


@dataclass(frozen=True, slots=True)
class Since:
    """What happened to a run after a snapshot: its steps, oldest first, and the waits that ended."""

    run: RunRow
    steps: list[SnapshotRow]
    waits: list[CompletedWait]


def boot_id(environment: EnvironmentRow) -> str:
    """Return the name under which the sessions of a development environment hold runs."""
    return signals.reader(environment.id)


def sit(u: Unit, environment: EnvironmentRow) -> None:
    """Note that a session is there: schedules fire while one is.

    Raises:
        PermissionDeniedError: it is no development environment.
    """
    if environment.type != "DEVELOPMENT":
        raise PermissionDeniedError(
            "Not a development environment", status=403, code="NOT_A_DEV_ENVIRONMENT"
        )
    boot = boot_id(environment)
    seat = u.tx.maybe("instance_by_boot", InstanceRow, environment_id=environment.id, boot_id=boot)
    if seat is None:
        u.tx.run(
            "instance_seat", environment_id=environment.id, name=_SEAT, boot_id=boot, now=u.now
        )
    elif abs(u.now - seat.last_seen_at) >= _SEEN_EVERY_MS:
        u.tx.run("instance_seen", environment_id=environment.id, boot_id=boot, now=u.now)


def next_run(u: Unit, environment: EnvironmentRow, current_worker: str) -> list[Given] | None:
    """Claim one run for a session; ``None`` when the session does not serve the current version.

    One, because the session takes runs it has no room for yet and says nothing of them while they wait.
    It is told nothing of a version that it has not registered to the end: it would fail the run.
    """
    environment = locking.lock(u, environment.id)
    sit(u, environment)
    if current_worker not in language.current(u, environment):
        return None
    claimed = dequeue.claim(u, environment, boot_id(environment), [current_worker], 1)
    return [Given(run, home(u, environment)) for run in claimed]


def start(u: Unit, environment: EnvironmentRow, run_id: str, snapshot: str) -> Attempt | None:
    """Begin the attempt that a snapshot stands for; asked again, answer alike.

    ``None`` when the run had a checkpoint to go on from, was started anew, and has no attempt left for that.

    Raises:
        NotFoundError: no session of the environment has such a run.
        UnprocessableError: the snapshot is not one to start from, or not the latest.
    """
    run = _held(u, environment, run_id)
    sequence = sequence_of(snapshot)
    if run.execution_status == ExecutionStatus.PENDING_EXECUTING and run.sequence == sequence:
        begins = run_attempt.begin if run.checkpoint_id is None else checkpoint.restart
        step = begins(u, run, u.now)
        finish.apply(u, [step])
        has_begun = step.run.execution_status == ExecutionStatus.EXECUTING
        return _attempt(u, environment, step.run) if has_begun else None
    if _was_begun_from(run, sequence):
        return _attempt(u, environment, run)
    asked = StartRetry(run_id=run.id, lease=lease_of(run, sequence))
    begun = run_attempt.retry(u, environment.id, run.boot_id or "", [asked])
    if not begun:
        raise stale(run, snapshot)
    return _attempt(u, environment, begun[0])


def begun(attempt: Attempt | None, snapshot: str) -> Attempt:
    """Return an attempt that has begun, or refuse, once what became of its run is written.

    Raises:
        UnprocessableError: it has not.
    """
    if attempt is None:
        raise UnprocessableError(
            f"no attempt is left to start from {snapshot}", status=422, code="STALE_SNAPSHOT"
        )
    return attempt


def complete(
    u: Unit,
    environment: EnvironmentRow,
    snapshot: str,
    completion: Completion,
    change: MetadataUpdate | None,
) -> Ended:
    """End an attempt; its last changes of metadata are there before the run shows that it is over.

    ``completion`` comes without a lease: the snapshot says which it is. Told again, answer alike.

    Raises:
        NotFoundError: the environment has no such run.
        UnprocessableError: the snapshot is not of the present attempt.
    """
    run = find(u, environment, completion.run_id)
    boot = run.boot_id or ""
    lease = lease_of(run, sequence_of(snapshot))
    if change is not None:
        told = MetadataFlush(**dict(change), run_id=run.id, lease=lease, number=_LAST_FLUSH)
        metadata.flush(u, environment, boot, [told])
    leased = completion.model_copy(update={"lease": lease})
    [verdict] = run_attempt.complete(u, environment.id, boot, [leased])
    if verdict.kind == "stale":
        raise stale(run, snapshot)
    concurrency.admit_resuming(u, environment.id)
    return Ended(find(u, environment, run.id), verdict)


def extend(u: Unit, environment: EnvironmentRow, run_id: str, snapshot: str) -> None:
    """Keep the lease of a run alive; a snapshot of an earlier attempt keeps nothing alive.

    An attempt that has not begun does not begin by that, and keeps the time it was given to.

    Raises:
        NotFoundError: the environment has no such run.
    """
    run = find(u, environment, run_id)
    lease = lease_of(run, sequence_of(snapshot))
    if run.boot_id is None or not signals.is_reader(run.boot_id):
        return
    held = [Held(run_id=run.id, lease=lease)]
    if run.execution_status != ExecutionStatus.PENDING_EXECUTING:
        heartbeat.extend(u, environment.id, run.boot_id, held)
    elif _ends_soon(run, u.now):
        heartbeat.push_deadlines(u, run.boot_id, held)


def latest(u: Unit, environment: EnvironmentRow, run_id: str) -> Latest:
    """Say where a run is.

    Raises:
        NotFoundError: the environment has no such run.
    """
    run = find(u, environment, run_id)
    return Latest(run, _ended_waits(u, run, "edges_told_since_executing", run.sequence))


def since(u: Unit, environment: EnvironmentRow, run_id: str, snapshot: str) -> Since:
    """Say what has happened to a run since a snapshot, and which waits ended meanwhile if it goes on.

    Raises:
        NotFoundError: the environment has no such run, or the run has no such snapshot.
    """
    run = find(u, environment, run_id)
    sequence = sequence_of(snapshot)
    if snapshot != ids.snapshot_id(run.id, sequence) or not 0 < sequence <= run.sequence:
        raise NotFoundError(
            f"there is no snapshot {snapshot}", status=404, code="SNAPSHOT_NOT_FOUND"
        )
    steps = u.tx.all("snapshots_since", SnapshotRow, run_id=run.id, sequence=sequence)
    return Since(run, steps, _ended_waits(u, run, "edges_told_since", sequence))


def is_running_out(run: RunRow, now: int) -> bool:
    """Tell whether the lease of a run whose worker reads its snapshots wants to be extended by that."""
    is_live = run.execution_status in EXECUTING_STATES and signals.is_reader(run.boot_id)
    return is_live and _ends_soon(run, now)


def _ends_soon(run: RunRow, now: int) -> bool:
    return run.due_at is not None and run.due_at - now < execution_snapshot.LEASE_MS / 2


def disconnect(u: Unit, environment: EnvironmentRow, run_ids: Sequence[str]) -> int:
    """Take runs from a session that is gone; they go on at once, as after any lost worker.

    Who says so does not say for which branch the session was: the runs of the environment's branches count.
    """
    lost = [
        run
        for run in u.tx.all("runs_by_ids", RunRow, ids=json.dumps(list(run_ids)))
        if run.boot_id == signals.reader(run.environment_id) and _is_below(u, environment, run)
    ]
    for run in lost:
        heartbeat.stall(u, run, worker_lost=True)
    return len(lost)


def _is_below(u: Unit, environment: EnvironmentRow, run: RunRow) -> bool:
    """Tell whether a run belongs to an environment or to a branch of it."""
    if run.environment_id == environment.id:
        return True
    other = u.tx.one("environment_by_id", EnvironmentRow, id=run.environment_id)
    return other.parent_id == environment.id


def home(u: Unit, environment: EnvironmentRow) -> Home:
    """Return the project of an environment, and whose it is."""
    project = u.tx.one("project_by_id", ProjectRow, id=environment.project_id)
    return Home(project, organization.by_id(u, project.organization_id))


def find(u: Unit, environment: EnvironmentRow, run_id: str) -> RunRow:
    """Return a run.

    Raises:
        NotFoundError: the environment has no such run.
    """
    found = u.tx.maybe("run_by_id", RunRow, id=run_id, environment_id=environment.id)
    if found is None:
        raise RunNotFoundError(run_id)
    return found


def _held(u: Unit, environment: EnvironmentRow, run_id: str) -> RunRow:
    run = find(u, environment, run_id)
    if not signals.is_reader(run.boot_id):
        raise UnprocessableError(
            f"no session has the run {run_id}", status=422, code="STALE_SNAPSHOT"
        )
    return run


def sequence_of(snapshot: str) -> int:
    """Return which step of its run a snapshot is.

    Raises:
        NotFoundError: it is none.
    """
    try:
        return ids.sequence_of_snapshot(snapshot)
    except ValueError:
        raise NotFoundError(
            f"there is no snapshot {snapshot}", status=404, code="SNAPSHOT_NOT_FOUND"
        ) from None


def lease_of(run: RunRow, sequence: int) -> int:
    """Return the lease a snapshot belongs to: the present one, else one that opens nothing any more."""
    is_present = run.lease is not None and run.lease <= sequence <= run.sequence
    return run.lease if is_present and run.lease is not None else sequence


def _was_begun_from(run: RunRow, sequence: int) -> bool:
    """Tell whether the attempt began from this snapshot and nothing has happened since."""
    is_next = run.execution_status == ExecutionStatus.EXECUTING and run.sequence == sequence + 1
    return is_next and run.lease == sequence and run.attempt_started_at is not None


def _attempt(u: Unit, environment: EnvironmentRow, run: RunRow) -> Attempt:
    task = u.tx.one("task_of_worker", TaskRow, worker_id=run.worker_id, task=run.task)
    payload = u.tx.maybe("payload_of", PayloadRow, run_id=run.id)
    names = json.dumps([run.queue])
    [queue] = u.tx.all("queues_by_name", QueueRow, environment_id=environment.id, names=names)
    values = {row.name: variable.read(u.keys, row) for row in variable.rows(u, environment)}
    return Attempt(
        run, payload, task, queue, values, home(u, environment), _deployment(u, environment, run)
    )


def _deployment(u: Unit, environment: EnvironmentRow, run: RunRow) -> Deployed | None:
    if environment.type == "DEVELOPMENT":
        return None
    found = u.tx.maybe(
        "deployment_of_worker",
        DeploymentRow,
        worker_id=run.worker_id,
        environment_id=environment.id,
    )
    if found is None:
        return None
    [version] = u.tx.all("versions_by_id", VersionRow, ids=json.dumps([run.worker_id]))
    return Deployed(found, version)


def _ended_waits(u: Unit, run: RunRow, statement: str, sequence: int) -> list[CompletedWait]:
    if run.execution_status != ExecutionStatus.EXECUTING:
        return []
    edges = u.tx.all(
        statement,
        EdgeRow,
        run_id=run.id,
        attempt=run.attempt,
        sequence=sequence,
    )
    points = waitpoint.by_ids(u, [edge.waitpoint_id for edge in edges])
    results = signals.results(u, run.environment_id, points)
    return [
        CompletedWait(edge, points[edge.waitpoint_id], results[edge.waitpoint_id]) for edge in edges
    ]


def stale(run: RunRow, snapshot: str) -> UnprocessableError:
    """Return the refusal of what was said under a snapshot that counts no more."""
    return UnprocessableError(
        f"{snapshot} is not a snapshot of the present attempt of {run.id}",
        status=422,
        code="STALE_SNAPSHOT",
        because=f"the run is {run.execution_status}",
    )
