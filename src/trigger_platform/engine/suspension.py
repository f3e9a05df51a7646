"""What runners of managed runs do beside executing them: be put away, and go on.

A runner that waits asks to be suspended; its supervisor freezes it and offers the checkpoint under the
snapshot of the wait. Once it is restored, it says so under the snapshot that handed it out (protocol F).
"""

from __future__ import annotations

from trigger_core.errors import UnprocessableError
from trigger_core.schemas.workers import Suspended
from trigger_platform.engine import checkpoint, execution_snapshot, run_attempt, snapshot_channel
from trigger_platform.engine.states import ExecutionStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, RunRow

__all__ = ["go_on", "put_away"]


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
    verdict = checkpoint.suspend(u, environment.id, run.boot_id or "", request)
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
