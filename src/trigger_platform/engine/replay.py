"""Replaying: a new run with the task, payload and options of an old one."""

from __future__ import annotations

from trigger_core import ids
from trigger_core.errors import NotFoundError
from trigger_platform.engine import trigger
from trigger_platform.engine.new_run import NewRun
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.engine.trigger import Created
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, PayloadRow, RunRow

__all__ = ["run"]


def run(u: Unit, environment: EnvironmentRow, run_id: str) -> Created:
    """Create the new run; it goes to the current version and carries no idempotency key.

    Raises:
        NotFoundError: the environment has no such run.
    """
    old = u.tx.maybe("run_by_id", RunRow, id=run_id, environment_id=environment.id)
    if old is None:
        raise NotFoundError(f"there is no run {run_id}", status=404, code="RUN_NOT_FOUND")
    again = _again(u, environment, old)
    payload = u.tx.maybe("payload_of", PayloadRow, run_id=run_id)
    kind, data = (payload.type, payload.data) if payload else ("application/json", None)
    trigger.write(u, [NewRun(again, PayloadRow(again.id, kind, data), f"Replay of {old.id}")])
    return Created(again, is_cached=False)


def _again(u: Unit, environment: EnvironmentRow, old: RunRow) -> RunRow:
    ttl_ms = old.ttl_ms or environment.default_ttl_ms
    return old._replace(
        id=ids.run_id(u.now, u.rng),
        status=RunStatus.PENDING.value,
        status_reason=None,
        execution_status=ExecutionStatus.QUEUED.value,
        sequence=1,
        attempt=0,
        delivery_failures=0,
        anchor=u.now,
        position=(u.now - old.priority_ms) * 1000,
        available_at=None,
        due_at=None if ttl_ms is None else u.now + ttl_ms,
        slot_held=0,
        lease=None,
        boot_id=None,
        worker_id=None,
        version=None,
        pinned=0,
        retry=None,
        delay_until=None,
        created_at=u.now,
        updated_at=u.now,
        queued_at=u.now,
        started_at=None,
        attempt_started_at=None,
        completed_at=None,
        expired_at=None,
        usage_ms=0,
        idempotency_key=None,
        idempotency_expires_at=None,
        idempotency_options=None,
        replay_of=old.id,
        one_time_token=None,
        batch_id=None,
        batch_position=None,
        schedule_instance_id=None,
        nominal_at=None,
        checkpoint_id=None,
        metadata=old.seed_metadata,
        metadata_version=0,
        output_type=None,
        error=None,
    )
