"""A world of two platforms, three workers, users and a clock in which everything goes wrong, by a seed.

Questions and answers get lost and are sent again, perhaps to the other platform; signals are handed out and
never arrive; workers stand still past their leases and go on as if nothing had happened, or die; platforms
restart; the clock jumps. Nothing of it is by chance: a seed is a story that can be told again.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from support.engine import Engine, open_database, open_engine, task
from trigger_core.retry import RetryPolicy
from trigger_core.schemas.trigger import BatchItem, TriggerOptions
from trigger_core.schemas.workers import (
    Assignment,
    Connect,
    Failed,
    GivenUp,
    Held,
    Poll,
    Report,
    Reported,
    RetryPlan,
    Signal,
    Started,
    StartRetry,
    Succeeded,
    TaskError,
    TriggerAndWait,
    Verdict,
    WaitStarted,
    WaitToken,
    WaitUntil,
)
from trigger_platform.engine import channel, due, heartbeat, token
from trigger_platform.store.rows import RunRow

__all__ = ["World"]

_TASKS = ["free", "narrow"]
_CODES = [None, None, "TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE", "TASK_PROCESS_OOM_KILLED"]
_HOUR_MS = 3_600_000
_JUMPS = [1_000, 5_000, 31_000, 70_000, _HOUR_MS, -_HOUR_MS]
_STEPS = 60
_LAST_ROUNDS = 300


@dataclass(eq=False)
class Job:
    """A run a worker believes it holds."""

    assignment: Assignment
    is_canceled: bool = False
    paused: Verdict | None = None
    waiting: set[str] = field(default_factory=set)
    early: set[str] = field(default_factory=set)


class Worker:
    """A worker: it knows only what answers told it."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.jobs: dict[str, Job] = {}
        self.absent = 0
        self.boot = ""
        self._boots = 0
        self._refs = 0
        self.restart()

    def restart(self) -> None:
        """Die, and come back as a new process."""
        self._boots += 1
        self.boot, self.jobs = f"{self.name}.{self._boots}", {}
        self.world.ask(channel.connect, Connect(instance=self.name, boot_id=self.boot))

    def step(self) -> None:
        """Do one thing."""
        if self.absent:
            self.absent -= 1
            return
        rng = self.world.rng
        if not self.jobs or rng.random() < 0.25:
            self.poll(rng.randint(1, 4))
            return
        job = rng.choice(list(self.jobs.values()))
        rng.choice(
            [
                self.start,
                self.succeed,
                self.fail,
                self.go_on,
                self.wait,
                self.wait,
                self.give_up,
                self.beat,
            ]
        )(job)

    def work(self) -> None:
        """Do whatever there is to do, without a mistake."""
        self.poll(50)
        self.beat()
        for job in list(self.jobs.values()):
            if job.is_canceled or not (job.paused or job.waiting):
                self.succeed(job)
            elif job.paused:
                self.go_on(job)

    def poll(self, limit: int) -> None:
        """Look for work and signals."""
        request = Poll(boot_id=self.boot, workers=self.world.workers, limit=limit, wait_ms=0)
        polled = self.world.ask(channel.poll, request, again=False)
        if polled is not None:
            self._take(polled.runs)
            self._heed(polled.signals)

    def start(self, job: Job) -> None:
        """Say that the code began."""
        one = job.assignment
        self._report(started=[Started(run_id=one.run_id, lease=one.lease, at=0)])

    def succeed(self, job: Job) -> None:
        """Say that the code returned, or that it ended as it was told to."""
        one = job.assignment
        if job.is_canceled:
            self._end(job, "TASK_RUN_CANCELLED", None)
            return
        output = json.dumps([self.boot, one.lease])
        self._report(completions=[Succeeded(run_id=one.run_id, lease=one.lease, output=output)])

    def fail(self, job: Job) -> None:
        """Say that the code raised or its process died."""
        rng = self.world.rng
        self._end(job, rng.choice(_CODES), rng.choice([None, 0, 500, 40_000]))

    def go_on(self, job: Job) -> None:
        """The pause after a failure is over."""
        if job.paused is not None:
            again = StartRetry(run_id=job.paused.run_id, lease=job.paused.lease)
            self._report(retries=[again])

    def wait(self, job: Job) -> None:
        """The code waits for a moment, a token, or for children."""
        rng, one = self.world.rng, job.assignment
        self._refs += 1
        who = {"run_id": one.run_id, "lease": one.lease, "ref": f"{self.boot}.{self._refs}"}
        kind = rng.choice(["moment", "token", "child", "batch"])
        if kind == "moment":
            until = self.world.clock.now() + rng.choice([0, 2_000, 60_000])
            self._report(waits=[WaitUntil(**who, until=until)])
        elif kind == "token":
            self._report(tokens=[WaitToken(**who, waitpoint_id=self.world.some_token())])
        elif len(self.world.runs()) < 30:
            items = [BatchItem(task=rng.choice(_TASKS)) for _ in range(3 if kind == "batch" else 1)]
            self._report(triggers=[TriggerAndWait(**who, items=items, is_batch=kind == "batch")])

    def give_up(self, job: Job) -> None:
        """The code waits no longer for the last thing it waited for."""
        one = job.assignment
        self._report(
            given_up=[GivenUp(run_id=one.run_id, lease=one.lease, ref=f"{self.boot}.{self._refs}")]
        )

    def beat(self, _job: Job | None = None) -> None:
        """Say what is held, and what for."""
        held = [
            Held(run_id=run_id, lease=job.assignment.lease, waiting=sorted(job.waiting))
            for run_id, job in self.jobs.items()
        ]
        self._report(held=held)

    def _end(self, job: Job, code: str | None, pause: int | None) -> None:
        one = job.assignment
        kind = "INTERNAL_ERROR" if code else "BUILT_IN_ERROR"
        failed = Failed(
            run_id=one.run_id,
            lease=one.lease,
            error=TaskError(type=kind, code=code, message="it broke"),
            retry=None if pause is None else RetryPlan(delay=pause),
        )
        self._report(completions=[failed])

    def _report(self, **what: Any) -> None:
        claim = self.world.rng.choice([0, 0, 2])
        request = Report(boot_id=self.boot, workers=self.world.workers, claim=claim, **what)
        reported: Reported = self.world.ask(channel.report, request)
        for verdict in reported.verdicts:
            self._conclude(verdict)
        for started in reported.waits:
            self._learn(started)
        self._take(reported.runs)
        self._heed(reported.signals)

    def _conclude(self, verdict: Verdict) -> None:
        job = self.jobs.get(verdict.run_id)
        if job is None or job.assignment.lease != verdict.lease:
            return
        if verdict.kind == "retry_now":
            job.paused = verdict
        else:
            del self.jobs[verdict.run_id]

    def _learn(self, started: WaitStarted) -> None:
        job = self.jobs.get(started.run_id)
        if job is not None and started.error is None:
            job.waiting |= {one.waitpoint_id for one in started.awaited} - job.early

    def _take(self, runs: list[Assignment]) -> None:
        for one in runs:
            self.world.handed_out(self.boot, one)
            self.jobs[one.run_id] = Job(one)

    def _heed(self, signals: list[Signal]) -> None:
        for signal in signals:
            job = self.jobs.get(signal.run_id)
            if job is None or job.assignment.lease != signal.lease:
                continue
            if signal.kind == "stop":
                del self.jobs[signal.run_id]
            elif signal.kind == "cancel":
                job.is_canceled = True
            else:
                job.early.add(signal.waitpoint_id or "")
                job.waiting.discard(signal.waitpoint_id or "")


class World:
    """Everything there is."""

    def __init__(self, address: str, seed: int) -> None:
        self.rng = random.Random(seed)
        self.calm = False
        self._address = address
        self._seed = seed
        self._leases: dict[str, tuple[int, str]] = {}
        self._tokens: list[str] = []
        first = open_engine(open_database(address, durable=False), seed=seed)
        policy = RetryPolicy(max_attempts=3, min_delay_ms=1_000, randomize=False)
        first.register(task("free", retry=policy), task("narrow", retry=policy, limit=2))
        self.clock = first.clock
        self.workers = first.workers
        self.platforms = [first, first.beside(address, seed + 1_000_000)]
        self.crew = [Worker(self, name) for name in ("w1", "w2", "w3")]

    def live(self) -> None:
        """Let things happen."""
        acts: list[Callable[[], object]] = [
            self._trigger,
            self._trigger,
            self._cancel,
            self._complete_token,
            self._sweep,
            self._pass_time,
            self._disturb,
        ]
        for _ in range(_STEPS):
            self.rng.choice([*acts, *(worker.step for worker in self.crew * 4)])()

    def come_to_rest(self) -> None:
        """From here on nothing goes wrong, and everything that was begun comes to its end."""
        self.calm = True
        for _ in range(_LAST_ROUNDS):
            if all(run.execution_status == "FINISHED" for run in self.runs()):
                return
            for token_id in self._tokens:
                self._complete(token_id)
            for worker in self.crew:
                worker.absent = 0
                worker.work()
            self._sweep()
            self.clock.advance(20_000 if any(worker.jobs for worker in self.crew) else 600_000)

    def ask(self, function: Callable[..., Any], request: Any, *, again: bool = True) -> Any:
        """Ask one of the platforms; what gets lost is asked ``again``, or its answer is ``None``."""
        while True:
            fate = "heard" if self.calm else self.rng.choice(["heard"] * 5 + ["unasked", "unheard"])
            if fate != "unasked":
                answer = self.platform.call(function, self.platform.environment, request)
                if fate == "heard":
                    return answer
            if not again:
                return None
            if self.rng.random() < 0.3:
                self._pass_time()

    def handed_out(self, boot: str, one: Assignment) -> None:
        """A run is handed out under a newer lease than ever, or once more to the same worker."""
        lease, holder = self._leases.get(one.run_id, (0, boot))
        assert one.lease > lease or (one.lease, boot) == (lease, holder), one
        self._leases[one.run_id] = one.lease, boot

    def runs(self) -> list[RunRow]:
        """Return every run."""
        return list(self.platforms[0].call(lambda u: u.tx.all("runs_all", RunRow)))

    def some_token(self) -> str:
        """Return a token, perhaps one that others wait for or that is completed."""
        if not self._tokens or self.rng.random() < 0.5:
            late = self.rng.choice([None, self.clock.now() + 20_000])
            made = self.platform.call(token.create, self.platform.environment, timeout_at=late)
            self._tokens.append(made.token.id)
        return self.rng.choice(self._tokens)

    @property
    def platform(self) -> Engine:
        """Either platform."""
        return self.rng.choice(self.platforms)

    def close(self) -> None:
        """Close the databases."""
        for platform in self.platforms:
            platform.db.close()

    def _trigger(self) -> None:
        rng = self.rng
        options = TriggerOptions(
            idempotency_key=rng.choice([None, None, None, "a", "b"]),
            delay=rng.choice([None, None, "5s"]),
            ttl=rng.choice([None, "20s"]),
            concurrency_key=rng.choice([None, "x"]),
        )
        self.platform.trigger(rng.choice(_TASKS), **options.model_dump(exclude_none=True))

    def _cancel(self) -> None:
        runs = self.runs()
        if runs:
            self.platform.cancel(self.rng.choice(runs).id)

    def _complete_token(self) -> None:
        if self._tokens:
            self._complete(self.rng.choice(self._tokens))

    def _complete(self, token_id: str) -> None:
        engine = self.platform
        engine.call(token.complete, engine.environment, token_id, '"x"', "application/json")

    def _sweep(self) -> None:
        self.platform.call(due.sweep)

    def _pass_time(self) -> None:
        ms = self.rng.choice(_JUMPS[:3] * 4 + _JUMPS)
        self.clock.advance(ms)
        if abs(ms) == _HOUR_MS:  # the timers notice that the clock was set
            self.platform.call(heartbeat.grant_grace)
        if self.rng.random() < 0.5:
            self._sweep()

    def _disturb(self) -> None:
        """A worker stands still or dies, or a platform restarts."""
        kind, worker = (
            self.rng.choice(["absent", "absent", "dead", "platform"]),
            self.rng.choice(self.crew),
        )
        if kind == "absent":
            worker.absent = self.rng.randint(2, 6)
        elif kind == "dead":
            worker.restart()
        else:
            which = self.rng.randrange(2)
            self.platforms[which].db.close()
            self._seed += 1
            self.platforms[which] = self.platforms[which].beside(self._address, self._seed)
            self.platforms[which].call(heartbeat.grant_grace)
