"""What runners of managed runs do beside executing them: be put away, go on, read what happened meanwhile.

A runner that waits asks to be suspended; its supervisor freezes it and offers the checkpoint under the
snapshot of the wait. Once it is restored, it says so under the snapshot that handed it out (protocol F).
"""

from __future__ import annotations

from dataclasses import dataclass

from trigger_core import ids
from trigger_core.errors import NotFoundError, UnprocessableError
from trigger_core.schemas.workers import Suspended
from trigger_platform.engine import checkpoint, execution_snapshot, run_attempt, snapshot_channel
from trigger_platform.engine.snapshot_channel import Latest
from trigger_platform.engine.states import ExecutionStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, RunRow, SnapshotRow

__all__ = ["Since", "go_on", "put_away", "since"]


@dataclass(frozen=True, slots=True)
class Since:
    """The steps of a run after one of them, oldest first, and where it is now."""

    steps: list[SnapshotRow]
    latest: Latest


def put_away(
    u: Unit, environment: EnvironmentRow, run_id: str, snapshot: str, offered: Suspended
) -> None:
    """Put a run away under its checkpoint; offered again, answer alike.

    Raises:
        NotFoundError: the environment has no such run.
        UnprocessableError: the run does not wait under this snapshot any more; its process must live on.
    """
    run = snapshot_channel.find(u, environment, run_id)
    sequence = snapshot_channel.sequence_of(snapshot)
    lease = snapshot_channel.lease_of(run, sequence)
    request = offered.model_copy(update={"lease": lease, "sequence": sequence})
    verdict = checkpoint.suspend(u, run.boot_id or "", request)
    if not verdict.ok:
        raise UnprocessableError(
            f"the run {run_id} is not suspended",
            status=422,
            code="NOT_SUSPENDABLE",
            because=verdict.reason,
        )


def go_on(u: Unit, environment: EnvironmentRow, run_id: str, snapshot: str) -> RunRow:
    """Let a restored run go on with its attempt; asked again, answer alike.

    Raises:
        NotFoundError: the environment has no such run.
        UnprocessableError: the snapshot is not one that handed a suspended run out, or not the latest.
    """
    run = snapshot_channel.find(u, environment, run_id)
    sequence = snapshot_channel.sequence_of(snapshot)
    is_restored = run.sequence == sequence and run.checkpoint_id is not None
    if is_restored and run.execution_status == ExecutionStatus.PENDING_EXECUTING:
        step = run_attempt.begin(u, run)
        execution_snapshot.apply(u, [step])
        return step.run
    if run.lease == sequence and run.execution_status == ExecutionStatus.EXECUTING:
        return run
    raise UnprocessableError(
        f"the run {run_id} cannot continue",
        status=422,
        code="NOT_CONTINUABLE",
        because=f"it is {run.execution_status}",
    )


def since(u: Unit, environment: EnvironmentRow, run_id: str, snapshot: str) -> Since:
    """Return what happened to a run after a snapshot.

    Raises:
        NotFoundError: the environment has no such run, or the run no such snapshot.
    """
    found = snapshot_channel.latest(u, environment, run_id)
    sequence = snapshot_channel.sequence_of(snapshot)
    if ids.snapshot_id(run_id, sequence) != snapshot or sequence > found.run.sequence:
        raise NotFoundError(
            f"there is no snapshot {snapshot}", status=404, code="SNAPSHOT_NOT_FOUND"
        )
    steps = u.tx.all("snapshots_since", SnapshotRow, run_id=run_id, sequence=sequence)
    return Since(steps, found)
