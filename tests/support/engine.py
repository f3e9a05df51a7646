"""A real engine on SQLite in memory, a clock that stands still, and a worker that does as it is told."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from support import keys
from trigger_core.clock import VirtualClock
from trigger_core.retry import RetryPolicy
from trigger_core.schemas.deployments import InitializeDeployment
from trigger_core.schemas.schedules import CreateSchedule, ScheduleDeclaration
from trigger_core.schemas.trigger import BatchItem, TriggerBatch, TriggerOptions, TriggerTask
from trigger_core.schemas.workers import (
    Assignment,
    Connect,
    Continued,
    Failed,
    Held,
    Lost,
    Poll,
    Polled,
    QueueDeclaration,
    RegisterWorker,
    Report,
    Reported,
    RetryPlan,
    Signal,
    Started,
    StartRetry,
    Succeeded,
    Suspended,
    SuspendVerdict,
    TaskDeclaration,
    TaskError,
    TriggerAndWait,
    Verdict,
    WaitStarted,
    WaitToken,
    WaitUntil,
    WorkerMetadata,
)
from trigger_platform.engine import (
    batch,
    batch_items,
    cancel,
    channel,
    deployment,
    dequeue,
    due,
    environment_limit,
    invariants,
    project,
    queue,
    replay,
    schedule,
    secret_key,
    trigger,
    why,
    worker_version,
)
from trigger_platform.engine.unit import Unit, Units
from trigger_platform.reads import runs as reads
from trigger_platform.store.database import Database
from trigger_platform.store.opening import open_database
from trigger_platform.store.rows import (
    BatchRow,
    DeploymentRow,
    EnvironmentRow,
    PayloadRow,
    RunRow,
    ScheduleInstanceRow,
    ScheduleRow,
    as_params,
)
from trigger_platform.store.sqlite import MEMORY

BOOT = "boot-1"
IMAGES = deployment.Images("registry.example.com/trigger", "linux/amd64")


def address() -> str:
    """Where an engine's database is, unless it is given one; the engine's tests put each kind here."""
    return MEMORY


@dataclass(frozen=True, slots=True)
class SnapshotView:
    """A snapshot, as tests look at it."""

    sequence: int
    execution_status: str
    run_status: str
    attempt: int


@dataclass
class Engine:
    """The engine with one project, one worker instance, and short names for what tests do often."""

    db: Database
    clock: VirtualClock
    units: Units
    environment: EnvironmentRow
    workers: list[str] = field(default_factory=list)
    boot: str = BOOT
    _told: list[Signal] = field(default_factory=list)
    _published: list[tuple[str, int]] = field(default_factory=list)

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run an engine function in a unit."""
        u, result = self.units.submit(function, *args, **kwargs).result()
        self._published += [
            (event.subject_id, event.sequence) for event in u.events if event.kind == "run.changed"
        ]
        return result

    def connect(self, boot: str) -> None:
        """Take the seat with a process."""
        self.boot = boot
        self.call(channel.connect, self.environment, Connect(instance="dev", boot_id=boot))

    def register(
        self, *tasks: TaskDeclaration, content_hash: str = "v1", runtime: str | None = None
    ) -> str:
        """Register a version and make it the newest."""
        request = RegisterWorker(
            metadata=WorkerMetadata(
                package_version="0",
                content_hash=content_hash,
                runtime=runtime,
                tasks=list(tasks),
            )
        )
        registered = self.call(worker_version.register, self.environment, request)
        self.workers = [*(w for w in self.workers if w != registered.id), registered.id]
        self.environment = self.call(self._environment)
        return str(registered.version)

    def _environment(self, u: Unit) -> EnvironmentRow:
        return u.tx.one("environment_by_id", EnvironmentRow, id=self.environment.id)

    def beside(self, address: str, seed: int, *, durable: bool = False) -> Engine:
        """Return a second platform on the same database, for the same worker and with the same clock."""
        db = open_database(address, durable=durable)
        return replace(
            self, db=db, units=Units(db, self.clock, random.Random(seed), self.units.keys), _told=[]
        )

    def neighbour(self) -> Engine:
        """Return an engine on another environment of the same database, with a worker of its own."""
        ensured = self.call(project.ensure, "proj_neighbouraaaaaaaaaaa")
        other = Engine(self.db, self.clock, self.units, ensured.environment)
        other.connect("boot-of-the-neighbour")
        other.register(task())
        return other

    def in_production(self) -> Engine:
        """The same engine, seen from a production environment of the project."""
        return self._in_environment("prod", "PRODUCTION")

    def in_staging(self) -> Engine:
        """The same engine, seen from a staging environment of the project."""
        return self._in_environment("staging", "STAGING")

    def _in_environment(self, slug: str, kind: str) -> Engine:
        values = {"id": f"env-{slug}", "slug": slug, "type": kind}

        def create(u: Unit) -> EnvironmentRow:
            u.tx.run(
                "environment_insert",
                **values,
                **as_params(secret_key.stored(u.keys, values["id"], f"tr_{slug}_x")),
                project_id=self.environment.project_id,
                concurrency_limit=100,
                burst_factor=1.0,
                default_ttl_ms=None,
                now=u.now,
            )
            return u.tx.one("environment_by_id", EnvironmentRow, id=values["id"])

        engine = Engine(self.db, self.clock, self.units, self.call(create))
        engine.connect(f"boot-{slug}")
        return engine

    def begin_deployment(self, content_hash: str = "v1", **options: Any) -> DeploymentRow:
        """Begin a deployment."""
        return self.initialize(content_hash, **options).deployment

    def initialize(self, content_hash: str = "v1", **options: Any) -> deployment.Initialized:
        """Ask for a deployment; return the whole answer."""
        request = InitializeDeployment(content_hash=content_hash, **options)
        return self.call(  # type: ignore[no-any-return]
            deployment.initialize, self.environment, request, IMAGES
        )

    def index(self, deployment_id: str, *tasks: TaskDeclaration, content_hash: str = "v1") -> str:
        """Register a deployment's worker; return its id. The worker instance can run it."""
        request = RegisterWorker(
            metadata=WorkerMetadata(
                package_version="0", content_hash=content_hash, tasks=list(tasks)
            )
        )
        registered = self.call(deployment.register_worker, self.environment, deployment_id, request)
        self.workers = [*self.workers, str(registered.id)]
        return str(registered.id)

    def finalize(self, deployment_id: str, **options: Any) -> DeploymentRow:
        """Let a deployment serve."""
        done = self.call(deployment.finalize, self.environment, deployment_id, **options)
        self.environment = self.call(self._environment)
        return done  # type: ignore[no-any-return]

    def promote(self, version: str, **options: Any) -> DeploymentRow:
        """Make a deployed version current."""
        done = self.call(deployment.promote, self.environment, version, **options)
        self.environment = self.call(self._environment)
        return done  # type: ignore[no-any-return]

    def deploy(
        self, *tasks: TaskDeclaration, external_id: str | None = None, promoted: bool = True
    ) -> str:
        """Deploy a version, from the wish to its serving; return its name."""
        begun = self.begin_deployment(external_id=external_id, force=external_id is not None)
        self.index(begun.id, *tasks)
        return self.finalize(begun.id, promoted=promoted).version

    def trigger(self, task: str = "task", payload: Any = None, **options: Any) -> str:
        """Trigger a run; return its id."""
        request = TriggerTask(payload=payload, options=TriggerOptions(**options))
        return str(self.call(trigger.create, self.environment, task, request).id)

    def started(self, task: str = "task", **options: Any) -> Assignment:
        """Trigger a run, claim it and begin its first attempt."""
        run_id = self.trigger(task, **options)
        [assignment] = [one for one in self.claim() if one.run_id == run_id]
        self.start(assignment)
        return assignment

    def trigger_many(self, count: int, task: str = "task", **options: Any) -> list[str]:
        """Trigger a batch; return the ids."""
        item = BatchItem(task=task, options=TriggerOptions(**options))
        batch = self.call(
            trigger.create_batch, self.environment, TriggerBatch(items=[item] * count)
        )
        return [run.id for run in batch.runs]

    def poll(self, limit: int = 100, *, is_repeated: bool = False) -> Polled:
        """Look for work."""
        request = Poll(
            boot_id=self.boot,
            workers=self.workers,
            limit=limit,
            wait_ms=0,
            is_repeated=is_repeated,
        )
        polled: Polled = self.call(channel.poll, self.environment, request)
        self._told += polled.signals
        return polled

    def told(self) -> list[Signal]:
        """Return the signals the worker was given since it was asked last, by whichever answer."""
        self.poll(0)
        told, self._told = self._told, []
        return told

    def claim(self, limit: int = 100) -> list[Assignment]:
        """Claim runs."""
        return list(self.poll(limit).runs)

    def report(self, **what: Any) -> Reported:
        """Report."""
        request = Report(boot_id=self.boot, workers=self.workers, **what)
        reported: Reported = self.call(channel.report, self.environment, request)
        self._told += reported.signals
        return reported

    def start(self, assignment: Assignment) -> None:
        """Say that the attempt's code began."""
        begun = Started(run_id=assignment.run_id, lease=assignment.lease, at=self.clock.now())
        self.report(started=[begun])

    def succeed(self, assignment: Assignment, output: Any = "done") -> Verdict:
        """Say that the attempt returned."""
        done = Succeeded(
            run_id=assignment.run_id, lease=assignment.lease, output=json.dumps(output)
        )
        return self.report(completions=[done]).verdicts[0]

    def fail(
        self,
        assignment: Assignment,
        *,
        retry_ms: int | None = None,
        code: str | None = None,
        duration_ms: int = 0,
    ) -> Verdict:
        """Say that the attempt failed."""
        error = (
            TaskError(type="INTERNAL_ERROR", code=code, message="it broke")
            if code
            else TaskError(
                type="BUILT_IN_ERROR", name="ValueError", message="it broke", stack_trace=""
            )
        )
        failed = Failed(
            run_id=assignment.run_id,
            lease=assignment.lease,
            error=error,
            retry=None if retry_ms is None else RetryPlan(delay=retry_ms),
            duration_ms=duration_ms,
        )
        return self.report(completions=[failed]).verdicts[0]

    def wait(self, assignment: Assignment, ms: int, ref: str = "w1") -> str:
        """Let the run wait; return the waitpoint."""
        wait = WaitUntil(
            run_id=assignment.run_id,
            lease=assignment.lease,
            ref=ref,
            until=self.clock.now() + ms,
        )
        return self.report(waits=[wait]).waits[0].awaited[0].waitpoint_id

    def trigger_and_wait(
        self,
        assignment: Assignment,
        *tasks: str,
        batch: bool = False,
        ref: str = "t1",
        **options: Any,
    ) -> WaitStarted:
        """Let the run trigger children and wait for them."""
        request = TriggerAndWait(
            run_id=assignment.run_id,
            lease=assignment.lease,
            ref=ref,
            items=[BatchItem(task=task, options=TriggerOptions(**options)) for task in tasks],
            is_batch=batch,
        )
        return self.report(triggers=[request]).waits[0]

    def wait_for_token(self, assignment: Assignment, token_id: str, ref: str = "k1") -> WaitStarted:
        """Let the run wait for a token."""
        wait = WaitToken(
            run_id=assignment.run_id, lease=assignment.lease, ref=ref, waitpoint_id=token_id
        )
        return self.report(tokens=[wait]).waits[0]

    def open_batch(self, count: int, **options: Any) -> BatchRow:
        """Open a batch whose items will follow."""
        opened: batch.Opened = self.call(batch.open_batch, self.environment, count, **options)
        return opened.batch

    def add_items(
        self, batch_id: str, *items: tuple[int, str], **options: Any
    ) -> batch_items.Added:
        """Stream items into a batch, then try to seal it."""

        def work(u: Unit) -> batch_items.Added:
            given = [
                (position, BatchItem(task=task, options=TriggerOptions(**options)))
                for position, task in items
            ]
            added = batch_items.stream(u, self.environment, batch_id, given)
            batch.seal(u, added.batch)
            return added

        return self.call(work)  # type: ignore[no-any-return]

    def batch(self, batch_id: str) -> BatchRow:
        """Read a batch."""
        return self.call(batch.find, self.environment, batch_id)  # type: ignore[no-any-return]

    def heartbeat(self, assignment: Assignment, waiting: list[str] | None = None) -> Reported:
        """Say that the run is still held."""
        held = Held(run_id=assignment.run_id, lease=assignment.lease, waiting=waiting or [])
        return self.report(held=[held])

    def wait_started(self, assignment: Assignment, ms: int, ref: str = "w1") -> WaitStarted:
        """Let the run wait; return the whole answer."""
        wait = WaitUntil(
            run_id=assignment.run_id,
            lease=assignment.lease,
            ref=ref,
            until=self.clock.now() + ms,
        )
        return self.report(waits=[wait]).waits[0]

    def suspend(
        self, assignment: Assignment, sequence: int, location: str = "/frozen/1", **fields: Any
    ) -> SuspendVerdict:
        """Offer a checkpoint of the run."""
        offered = Suspended(
            run_id=assignment.run_id,
            lease=assignment.lease,
            sequence=sequence,
            kind="PROCESS",
            location=location,
            **fields,
        )
        return self.report(suspended=[offered]).suspensions[0]

    def go_on(self, assignment: Assignment) -> None:
        """Say that a restored run goes on."""
        self.report(continued=[Continued(run_id=assignment.run_id, lease=assignment.lease)])

    def lose_checkpoint(self, assignment: Assignment) -> None:
        """Say that a run cannot be restored."""
        gone = Lost(run_id=assignment.run_id, lease=assignment.lease, reason="no such file")
        self.report(lost=[gone])

    def retry_now(self, verdict: Verdict) -> Assignment:
        """Begin the next attempt after the pause."""
        again = StartRetry(run_id=verdict.run_id, lease=verdict.lease)
        return self.report(retries=[again]).runs[0]

    def cancel(self, run_id: str) -> None:
        """Cancel a run."""
        self.call(cancel.run, self.environment, run_id)

    def schedule(self, task: str = "tick", key: str | None = "key", **fields: Any) -> ScheduleRow:
        """Create a schedule, or update the one with the key."""
        request = CreateSchedule(task=task, deduplication_key=key, **fields)
        return self.call(schedule.create, self.environment, request)  # type: ignore[no-any-return]

    def instance(self, schedule_id: str) -> ScheduleInstanceRow:
        """Read a schedule in the environment."""
        return self.call(  # type: ignore[no-any-return]
            lambda u: u.tx.one(
                "schedule_instance_get",
                ScheduleInstanceRow,
                schedule_id=schedule_id,
                environment_id=self.environment.id,
            )
        )

    def fired(self) -> list[RunRow]:
        """Read the runs that schedules made, oldest first."""
        runs: list[RunRow] = self.call(lambda u: u.tx.all("runs_all", RunRow))
        ticked = [run for run in runs if run.schedule_instance_id is not None]
        return sorted(ticked, key=lambda run: (run.nominal_at or 0, run.id))

    def production(self) -> Engine:
        """The same engine, working in a production environment."""

        def work(u: Unit) -> EnvironmentRow:
            u.tx.run(
                "environment_insert",
                id="prod",
                project_id=self.environment.project_id,
                slug="prod",
                type="PRODUCTION",
                **as_params(secret_key.stored(u.keys, "prod", "tr_prod_key")),
                concurrency_limit=100,
                burst_factor=1.0,
                default_ttl_ms=None,
                now=u.now,
            )
            return u.tx.one("environment_by_id", EnvironmentRow, id="prod")

        return Engine(self.db, self.clock, self.units, self.call(work))

    def replay(self, run_id: str) -> str:
        """Replay a run."""
        return str(self.call(replay.run, self.environment, run_id).id)

    def why(self, run_id: str) -> Any:
        """Ask why."""
        return self.call(why.explain, self.environment, run_id)

    def advance(self, ms: int) -> None:
        """Let time pass and everything that falls due happen."""
        self.clock.advance(ms)
        self.sweep()

    def sweep(self) -> None:
        """Do everything that is due now."""
        while self.call(due.sweep).moved:
            pass

    def queue(self, name: str) -> queue.View:
        """Read a queue by its full name."""
        return self.call(queue.find, self.environment, "custom", name)  # type: ignore[no-any-return]

    def pause_queue(self, name: str, *, paused: bool = True) -> None:
        """Pause a queue, or let it go on."""
        self.call(queue.pause, self.environment, "custom", name, paused=paused)

    def override(self, name: str, **limit: float) -> queue.View:
        """Override a queue's limit: ``limit`` or ``percent``."""
        return self.call(  # type: ignore[no-any-return]
            queue.override, self.environment, "custom", name, **limit
        )

    def reset(self, name: str) -> queue.View:
        """Take the override back."""
        return self.call(queue.reset, self.environment, "custom", name)  # type: ignore[no-any-return]

    def pause_environment(self, *, paused: bool = True) -> None:
        """Pause the environment, or let it go on."""
        self.environment = self.call(environment_limit.pause, self.environment, paused=paused)

    def add_environment(self, slug: str, *tasks: TaskDeclaration, limit: int = 100) -> Engine:
        """Another environment of the same project, with a version of its own and the same worker."""

        def work(u: Unit) -> EnvironmentRow:
            key = f"tr_{slug}_key"
            u.tx.run(
                "environment_insert",
                id=f"env-{slug}",
                project_id=self.environment.project_id,
                slug=slug,
                type="DEVELOPMENT",
                **as_params(secret_key.stored(u.keys, f"env-{slug}", key)),
                concurrency_limit=limit,
                burst_factor=1.0,
                default_ttl_ms=None,
                now=u.now,
            )
            return u.tx.one("environment_by_id", EnvironmentRow, id=f"env-{slug}")

        other = Engine(self.db, self.clock, self.units, self.call(work), boot=self.boot)
        other.connect(self.boot)
        other.register(*tasks)
        return other

    def claim_across(self, *others: Engine, limit: int) -> dict[str, list[Assignment]]:
        """Claim runs of several environments; return them by slug."""
        engines = {engine.environment.id: engine for engine in (self, *others)}
        workers = {id_: engine.workers for id_, engine in engines.items()}
        found = self.call(dequeue.claim_across, workers, self.boot, limit)
        return {engines[id_].environment.slug: runs for id_, runs in found.items()}

    def set_environment(self, **columns: float | None) -> EnvironmentRow:
        """Change limits of the environment; return it as it is afterwards."""
        now = {
            name: columns.get(name, getattr(self.environment, name))
            for name in ("concurrency_limit", "burst_factor", "queue_size_limit")
        }
        self.environment = self.call(environment_limit.change, self.environment, **now)
        return self.environment

    def run(self, run_id: str) -> RunRow:
        """Read a run."""
        row: RunRow = self.call(lambda u: u.tx.one("run_any", RunRow, id=run_id))
        return row

    def payload(self, run_id: str) -> PayloadRow:
        """Read a run's payload."""
        row: PayloadRow = self.call(lambda u: u.tx.one("payload_of", PayloadRow, run_id=run_id))
        return row

    def published(self, run_id: str) -> list[int]:
        """Return the transitions of a run that went into the outbox, by sequence."""
        return [sequence for subject, sequence in self._published if subject == run_id]

    def log(self, run_id: str) -> list[str]:
        """Return the lines of a run: level and message."""
        rows: list[reads.LogRow] = self.call(reads.logs, self.environment, run_id, 0)
        return [f"{row.level} {row.message}" for row in rows]

    def violations(self, *, advisory: bool = True) -> list[str]:
        """Return what breaks an invariant, as ``I5 run_…: what``; perhaps without what may be for a while."""

        def look(u: Unit) -> list[str]:
            return [
                f"{one.check.name} {one.subject}: {one.what}"
                for one in invariants.everything(u)
                if advisory or not one.check.is_advisory
            ]

        return self.call(look)  # type: ignore[no-any-return]

    def sql(self, text: str, **params: Any) -> None:
        """Run raw SQL, as a defect or a careless operator would."""

        def corrupt(u: Unit) -> None:
            if hasattr(u.tx, "_plain"):  # PostgreSQL spells parameters otherwise
                u.tx._plain.execute(re.sub(r":(\w+)", r"%(\1)s", text), params)
            else:
                u.tx._connection.execute(text, params)  # type: ignore[attr-defined]

        self.call(corrupt)

    def states(self, run_id: str) -> list[str]:
        """Return the execution statuses the run went through."""
        return [view.execution_status for view in self.snapshots(run_id)]

    def snapshots(self, run_id: str) -> list[SnapshotView]:
        """Return the run's history."""

        def read(u: Unit) -> list[SnapshotView]:
            return u.tx.all("snapshots_brief", SnapshotView, run_id=run_id)

        return self.call(read)  # type: ignore[no-any-return]


def task(
    name: str = "task",
    *,
    retry: RetryPolicy | None = None,
    queue: str | None = None,
    limit: int | None = None,
    **fields: Any,
) -> TaskDeclaration:
    """A task declaration."""
    declared = (
        QueueDeclaration(name=queue or f"task/{name}", concurrency_limit=limit)
        if queue or limit is not None
        else None
    )
    return TaskDeclaration(
        id=name,
        file_path="tasks/example.py",
        line=1,
        retry=(retry or RetryPolicy()).to_wire(),
        queue=declared,
        **fields,
    )


def scheduled(name: str = "tick", schedule: dict[str, Any] | None = None) -> TaskDeclaration:
    """A scheduled task, perhaps with a schedule declared in code."""
    declared = ScheduleDeclaration.model_validate(schedule) if schedule else None
    return task(name, trigger_source="schedule", schedule=declared)


def open_engine(db: Database | None = None, seed: int = 1) -> Engine:
    """An engine with one project, a connected worker, and no version yet."""
    database = db or open_database(address())
    clock = VirtualClock()
    units = Units(database, clock, random.Random(seed), keys.ring())
    ensured = units.write_sync(project.ensure, "proj_abcdefghijklmnopqrst")
    engine = Engine(database, clock, units, ensured.environment)
    engine.connect(BOOT)
    return engine
