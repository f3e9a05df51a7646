"""A session that holds runs by their snapshots, as the TypeScript command line does, on a real engine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from support.engine import Engine
from trigger_core import ids
from trigger_core.metadata import Operation
from trigger_core.schemas.metadata import MetadataUpdate
from trigger_core.schemas.trigger import TriggerOptions, TriggerTask
from trigger_core.schemas.workers import Assignment, Failed, RetryPlan, Succeeded, TaskError
from trigger_platform.engine import snapshot_channel, token, trigger, wait
from trigger_platform.engine.snapshot_channel import Attempt, Ended, Latest


@dataclass
class Session:
    """The newest version of an engine, served by a session."""

    engine: Engine

    def sit(self) -> None:
        """Be there."""
        self.engine.call(snapshot_channel.sit, self.engine.environment)

    def next_run(self, worker: str | None = None) -> Assignment | None:
        """Ask for a run."""
        asked = worker or self.engine.workers[-1]
        found = self.engine.call(snapshot_channel.next_run, self.engine.environment, asked)
        return found[0].run if found else None

    def dequeued(self, task: str = "task", **options: Any) -> Assignment:
        """Trigger a run and be given it."""
        self.engine.trigger(task, **options)
        found = self.next_run()
        assert found is not None
        return found

    def start(self, run_id: str, sequence: int) -> Attempt:
        """Begin an attempt from a snapshot."""
        return self.engine.call(  # type: ignore[no-any-return]
            snapshot_channel.start,
            self.engine.environment,
            run_id,
            ids.snapshot_id(run_id, sequence),
        )

    def started(self, task: str = "task", **options: Any) -> Attempt:
        """Trigger a run, be given it and begin its first attempt."""
        given = self.dequeued(task, **options)
        return self.start(given.run_id, given.lease)

    def succeed(self, run_id: str, sequence: int, output: Any = "done", **changes: Any) -> Ended:
        """End an attempt well; ``changes`` of metadata come with it."""
        done = Succeeded(run_id=run_id, lease=0, output=json.dumps(output))
        sets = [Operation("set", key, value) for key, value in changes.items()]
        return self._complete(sequence, done, MetadataUpdate(operations=sets) if sets else None)

    def fail(self, run_id: str, sequence: int, *, retry_ms: int | None = None) -> Ended:
        """End an attempt badly."""
        error = TaskError(type="STRING_ERROR", raw="it broke")
        retry = None if retry_ms is None else RetryPlan(delay=retry_ms)
        return self._complete(
            sequence, Failed(run_id=run_id, lease=0, error=error, retry=retry), None
        )

    def extend(self, run_id: str, sequence: int) -> None:
        """Send a heartbeat."""
        snapshot = ids.snapshot_id(run_id, sequence)
        self.engine.call(snapshot_channel.extend, self.engine.environment, run_id, snapshot)

    def latest(self, run_id: str) -> Latest:
        """Read the latest snapshot."""
        return self.engine.call(  # type: ignore[no-any-return]
            snapshot_channel.latest, self.engine.environment, run_id
        )

    def disconnect(self, *run_ids: str) -> int:
        """Say that the session was killed."""
        return int(
            self.engine.call(snapshot_channel.disconnect, self.engine.environment, list(run_ids))
        )

    def trigger_and_wait(self, parent: str, task: str = "task", **options: Any) -> str:
        """Let a run trigger another and wait for it, as the SDK does it over HTTP."""
        chosen = TriggerOptions(parent_run_id=parent, resume_parent_on_completion=True, **options)
        created = self.engine.call(
            trigger.create, self.engine.environment, task, TriggerTask(options=chosen)
        )
        return str(created.id)

    def token(self) -> str:
        """Make a token."""
        made: token.Made = self.engine.call(token.create, self.engine.environment)
        return made.token.id

    def complete_token(self, token_id: str, output: str = '"yes"') -> None:
        """Complete a token."""
        self.engine.call(
            token.complete, self.engine.environment, token_id, output, "application/json"
        )

    def wait_for_token(self, run_id: str, token_id: str) -> None:
        """Let a run wait for a token."""
        run = self.engine.run(run_id)
        self.engine.call(wait.for_token, run, token_id, token_id)

    def _complete(self, sequence: int, what: Any, change: MetadataUpdate | None) -> Ended:
        return self.engine.call(  # type: ignore[no-any-return]
            snapshot_channel.complete,
            self.engine.environment,
            ids.snapshot_id(what.run_id, sequence),
            what,
            change,
        )
