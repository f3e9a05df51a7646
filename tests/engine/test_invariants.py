"""Whatever happens in whatever order, the invariants I1-I12 of engine section 9.5 hold."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from support import postgres
from support.engine import Engine, open_engine, task
from trigger_core.retry import RetryPolicy
from trigger_core.schemas.trigger import TriggerOptions, TriggerTask
from trigger_core.schemas.workers import (
    Assignment,
    Failed,
    Held,
    RetryPlan,
    Started,
    StartRetry,
    Succeeded,
    TaskError,
    Verdict,
    WaitUntil,
)
from trigger_platform.engine import heartbeat, trigger
from trigger_platform.store.opening import open_database
from trigger_platform.store.rows import RunRow

QUEUE_LIMIT = 3
INDEX = st.sampled_from([0, 0, 0, 1, 4])
CODES = [
    None,
    "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE",
    "TASK_PROCESS_OOM_KILLED",
    "TASK_RUN_CANCELLED",
]


class RunsUnderFire(RuleBasedStateMachine):
    """A worker that crashes, reports late and twice; a server that restarts; a clock that jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.address = self.make_database()
        self.engine: Engine = open_engine(open_database(self.address, durable=False))
        self.boots = 1
        self.restarts = 1
        self.final: dict[str, str] = {}
        self.handed: list[Assignment] = []
        self.pauses: list[Verdict] = []

    def make_database(self) -> str:
        """Return the address of an empty database."""
        self.folder = tempfile.TemporaryDirectory()
        return str(Path(self.folder.name) / "runs.db")

    def forget_database(self) -> None:
        """Remove it."""
        self.folder.cleanup()

    @initialize()
    def register(self) -> None:
        """One limited task and one free task."""
        policy = RetryPolicy(max_attempts=3, min_delay_ms=1_000, randomize=False)
        self.engine.register(
            task("limited", limit=QUEUE_LIMIT, retry=policy), task("free", retry=policy)
        )
        self.engine.trigger_many(5, "limited")
        self.engine.trigger_many(2, "free")
        self.handed += self.engine.claim(3)

    @rule(
        name=st.sampled_from(["limited", "free", "unknown"]),
        key=st.sampled_from([None, None, "a", "b"]),
        delay=st.sampled_from([None, None, "5s"]),
        ttl=st.sampled_from([None, "20s"]),
        tenant=st.sampled_from([None, "x", "y"]),
    )
    def trigger(self, name: str, **options: Any) -> None:
        """A user triggers a run."""
        given = TriggerOptions(
            idempotency_key=options["key"],
            delay=options["delay"],
            ttl=options["ttl"],
            concurrency_key=options["tenant"],
        )
        self.engine.call(trigger.create, self.engine.environment, name, TriggerTask(options=given))

    @rule(limit=st.integers(2, 8))
    def claim(self, limit: int) -> None:
        """The worker takes runs."""
        self.handed += self.engine.claim(limit)

    @precondition(lambda self: self.handed)
    @rule(index=INDEX)
    def start(self, index: int) -> None:
        """The worker begins one, perhaps long after it lost it."""
        one = self._one(index)
        self.engine.report(started=[Started(run_id=one.run_id, lease=one.lease, at=0)])

    @precondition(lambda self: self.handed)
    @rule(index=INDEX)
    def heartbeat(self, index: int) -> None:
        """The worker says it still has one."""
        one = self._one(index)
        self.engine.report(held=[Held(run_id=one.run_id, lease=one.lease)])

    @precondition(lambda self: self.handed)
    @rule(index=INDEX, ms=st.sampled_from([1_000, 20_000]), ref=st.sampled_from("ab"))
    def wait(self, index: int, ms: int, ref: str) -> None:
        """The run waits."""
        one = self._one(index)
        until = self.engine.clock.now() + ms
        self.engine.report(
            waits=[WaitUntil(run_id=one.run_id, lease=one.lease, ref=ref, until=until)]
        )

    @precondition(lambda self: self.handed)
    @rule(index=INDEX, late=st.booleans())
    def suspend(self, index: int, *, late: bool) -> None:
        """The worker offers a checkpoint, perhaps one of an earlier wait."""
        one = self._one(index)
        self.engine.suspend(one, self.engine.run(one.run_id).sequence - late)

    @precondition(lambda self: self.handed)
    @rule(index=INDEX)
    def restore(self, index: int) -> None:
        """A run goes on from its checkpoint, if it had one."""
        self.engine.go_on(self._one(index))

    @precondition(lambda self: self.handed)
    @rule(index=INDEX)
    def lose_checkpoint(self, index: int) -> None:
        """A run cannot be restored."""
        self.engine.lose_checkpoint(self._one(index))

    @precondition(lambda self: self.handed)
    @rule(index=INDEX)
    def succeed(self, index: int) -> None:
        """The run returns, perhaps reported twice."""
        one = self._one(index)
        self.engine.report(completions=[Succeeded(run_id=one.run_id, lease=one.lease, output="1")])

    @precondition(lambda self: self.handed)
    @rule(
        index=INDEX,
        code=st.sampled_from(CODES),
        delay=st.sampled_from([None, 0, 500, 40_000]),
    )
    def fail(self, index: int, code: str | None, delay: int | None) -> None:
        """The run fails."""
        one = self._one(index)
        error = TaskError(
            type="INTERNAL_ERROR" if code else "BUILT_IN_ERROR", code=code, message="x"
        )
        failed = Failed(
            run_id=one.run_id,
            lease=one.lease,
            error=error,
            retry=None if delay is None else RetryPlan(delay=delay),
        )
        self.pauses += self.engine.report(completions=[failed]).verdicts

    @precondition(lambda self: self.pauses)
    @rule()
    def retry(self) -> None:
        """The pause is over."""
        verdict = self.pauses.pop()
        again = StartRetry(run_id=verdict.run_id, lease=verdict.lease)
        self.handed += self.engine.report(retries=[again]).runs

    @precondition(lambda self: self.handed)
    @rule(index=INDEX)
    def cancel(self, index: int) -> None:
        """A user cancels a run that was handed out."""
        one = self._one(index)
        self.engine.cancel(one.run_id)

    @rule(index=st.integers(0, 30))
    def cancel_any(self, index: int) -> None:
        """A user cancels any run."""
        runs = self._runs()
        if runs:
            self.engine.cancel(runs[index % len(runs)].id)

    @rule(paused=st.booleans())
    def operator_pauses(self, *, paused: bool) -> None:
        """Somebody pauses a queue, or lets it go on."""
        self.engine.pause_queue("task/limited", paused=paused)

    @rule(limit=st.sampled_from([None, 1, QUEUE_LIMIT]))
    def operator_changes_a_limit(self, limit: int | None) -> None:
        """Down, or back to what the code declares."""
        if limit is None:
            self.engine.reset("task/limited")
        else:
            self.engine.override("task/limited", limit=limit)

    @rule(ms=st.sampled_from([1, 1_000, 6_000, 31_000, 700_000]))
    def time_passes(self, ms: int) -> None:
        """And what is due happens."""
        self.engine.advance(ms)

    @rule(ms=st.sampled_from([-3_600_000, 3_600_000]))
    def clock_jumps(self, ms: int) -> None:
        """The machine's clock is set."""
        self.engine.advance(ms)

    @rule()
    def worker_crashes(self) -> None:
        """A new process takes the seat."""
        self.boots += 1
        self.engine.connect(f"boot-{self.boots}")

    @rule()
    def platform_restarts(self) -> None:
        """The server goes away and comes back on the same file."""
        old = self.engine
        self.restarts += 1
        old.db.close()
        self.engine = open_engine(open_database(self.address, durable=False), seed=self.restarts)
        self.engine.clock.advance(old.clock.now() - self.engine.clock.now())
        self.engine.workers, self.engine.boot = old.workers, old.boot
        self.engine.connect(old.boot)
        self.engine.call(heartbeat.grant_grace)

    @invariant()
    def every_invariant_holds(self) -> None:
        """The same checks that a server makes while it runs."""
        assert self.engine.violations(advisory=False) == []

    @invariant()
    def declared_limits_hold(self) -> None:
        """I3; an operator's lower limit counts for what is claimed after it."""
        held: dict[tuple[str, str], int] = {}
        for run in self._runs():
            key = (run.queue, run.concurrency_key)
            held[key] = held.get(key, 0) + run.slot_held
        assert sum(held.values()) <= self.engine.environment.concurrency_limit
        assert all(n <= QUEUE_LIMIT for (queue, _), n in held.items() if queue == "task/limited")

    @invariant()
    def no_run_ends_twice(self) -> None:
        """A final run stays as it is."""
        for run in self._runs():
            if run.execution_status == "FINISHED":
                assert self.final.setdefault(run.id, run.status) == run.status
            else:
                assert run.id not in self.final

    def teardown(self) -> None:
        """Whatever happened: with a working worker and enough time, every run ends."""
        try:
            self._work_off()
            assert [run for run in self._runs() if run.execution_status != "FINISHED"] == []
        finally:
            self.engine.db.close()
            self.forget_database()

    def _work_off(self) -> None:
        """Ten minutes at a time: the clock may have been set back by more than a day."""
        self.engine.register(
            task("limited", limit=QUEUE_LIMIT), task("free"), task("unknown"), content_hash="last"
        )
        self.engine.pause_queue("task/limited", paused=False)
        self.engine.connect("boot-last")
        for _ in range(400):
            if all(run.execution_status == "FINISHED" for run in self._runs()):
                return
            for one in self.engine.claim():
                self.engine.succeed(one)
            self.engine.advance(600_000)

    def _one(self, index: int) -> Assignment:
        """Pick something that was handed out, rather a late one; it may be long gone."""
        return self.handed[-1 - index % len(self.handed)]

    def _runs(self) -> list[RunRow]:
        return list(self.engine.call(lambda u: u.tx.all("runs_all", RunRow)))


class RunsUnderFireOnPostgres(RunsUnderFire):
    """The same on a server."""

    def make_database(self) -> str:
        """Return the address of an empty database."""
        return postgres.emptied_database()

    def forget_database(self) -> None:
        """The next one empties it."""


TestRunsUnderFire = RunsUnderFire.TestCase
TestRunsUnderFireOnPostgres = RunsUnderFireOnPostgres.TestCase
TestRunsUnderFire.settings = settings(
    max_examples=80,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestRunsUnderFireOnPostgres.settings = settings(TestRunsUnderFire.settings, max_examples=15)
