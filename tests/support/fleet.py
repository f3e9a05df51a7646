"""A group of supervisors and its runners, on a real engine."""

from __future__ import annotations

from dataclasses import dataclass

from support.engine import Engine
from trigger_core import ids
from trigger_core.schemas.workers import Assignment, Suspended
from trigger_platform.engine import (
    snapshot_channel,
    supervisor,
    suspension,
    wait,
    worker_group,
)
from trigger_platform.engine.snapshot_channel import Attempt
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import RunRow, WorkerGroupRow


@dataclass
class Fleet:
    """What the runners of a group say; the engine's own environment is where their runs are."""

    engine: Engine
    group: WorkerGroupRow

    @classmethod
    def of(cls, engine: Engine) -> Fleet:
        """Create a group."""
        return cls(engine, engine.call(worker_group.create, "default").group)

    def take(self, limit: int = 10) -> list[Assignment]:
        """Ask for runs."""
        return [one.run for one in self.engine.call(supervisor.take, self.group, limit)]

    def start(self, given: Assignment) -> Attempt:
        """Begin the attempt of a run that was taken."""
        found = self.engine.call(
            snapshot_channel.start,
            self.engine.environment,
            given.run_id,
            ids.snapshot_id(given.run_id, given.lease),
        )
        return snapshot_channel.begun(found, given.run_id)

    def wait(self, given: Assignment, ms: int) -> RunRow:
        """Begin an attempt and let it wait; return the run."""
        self.start(given)

        def work(u: Unit) -> None:
            run = snapshot_channel.find(u, self.engine.environment, given.run_id)
            wait.until(u, run, "w", self.engine.clock.now() + ms)

        self.engine.call(work)
        return self.engine.run(given.run_id)

    def put_away(self, run: RunRow) -> None:
        """Offer a checkpoint of a waiting run."""
        offered = Suspended(run_id=run.id, lease=0, sequence=0, kind="DOCKER", location="/c/1")
        self.engine.call(
            suspension.put_away,
            self.engine.environment,
            run.id,
            ids.snapshot_id(run.id, run.sequence),
            offered,
        )

    def go_on(self, given: Assignment) -> RunRow:
        """Say that a restored run goes on."""
        return self.engine.call(  # type: ignore[no-any-return]
            suspension.go_on,
            self.engine.environment,
            given.run_id,
            ids.snapshot_id(given.run_id, given.lease),
        )
