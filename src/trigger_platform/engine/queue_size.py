"""How many runs may wait in one queue of an environment (OPT-032); checked before anything is written."""

from __future__ import annotations

from dataclasses import dataclass, field

from trigger_core.errors import UnprocessableError
from trigger_platform.engine import pool
from trigger_platform.engine.states import ExecutionStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, RunRow

__all__ = ["QueueSizes"]


@dataclass(slots=True)
class QueueSizes:
    """What waits in the queues, together with what is about to be added.

    Nothing is counted where no limit is set, and never more than the limit. Delayed runs do not count: they
    are not in the queue.
    """

    u: Unit
    environment: EnvironmentRow
    _waiting: dict[str, int] = field(default_factory=dict)

    def add(self, run: RunRow) -> None:
        """Count a run that will be written.

        Raises:
            UnprocessableError: its queue is full.
        """
        limit = self.environment.queue_size_limit
        if limit is None or run.execution_status != ExecutionStatus.QUEUED:
            return
        if run.queue not in self._waiting:
            self._waiting[run.queue] = self._count(run.queue, limit)
        if self._waiting[run.queue] >= limit:
            raise UnprocessableError(
                f"queue {run.queue} is full: {limit:,} runs wait in it",
                status=422,
                code="QUEUE_SIZE_LIMIT_EXCEEDED",
                hint="wait until runs have started, or cancel some",
            )
        self._waiting[run.queue] += 1

    def _count(self, queue: str, limit: int) -> int:
        pools = pool.everything(self.u, self.environment)
        return int(self.u.tx.scalar("queued_at_most", pools=pools, queue=queue, limit=limit))
