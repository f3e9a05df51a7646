"""Triggering: from a request to a run that is in the queue once this commits (engine 3.0, protocol A.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from trigger_core.errors import NotFoundError, UnprocessableError
from trigger_core.schemas.trigger import (
    BatchItem,
    BatchRun,
    BatchTriggered,
    TriggerBatch,
    TriggerOptions,
    TriggerTask,
)
from trigger_platform.engine import (
    batch,
    block,
    debounce,
    execution_snapshot,
    idempotency,
    language,
    new_run,
    pending_version,
    waitpoint,
)
from trigger_platform.engine import request as sent
from trigger_platform.engine.block import Wait
from trigger_platform.engine.debounce import Window
from trigger_platform.engine.new_run import NewRun, Origin, Ticked
from trigger_platform.engine.queue_size import QueueSizes
from trigger_platform.engine.request import RequestKey
from trigger_platform.engine.trace import Caller
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import BatchItemRow, EnvironmentRow, RunRow, TaskRow, WorkerRow

__all__ = ["Created", "Triggering", "create", "create_batch", "find_parent", "write"]


@dataclass(frozen=True, slots=True)
class Created:
    """The run that answers a trigger; cached when an idempotency key found an earlier one."""

    run: RunRow
    is_cached: bool

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run.id


def create(
    u: Unit,
    environment: EnvironmentRow,
    task: str,
    request: TriggerTask,
    *,
    key: RequestKey | None = None,
    one_time_token: str | None = None,
    source: str = "api",
    caller: Caller | None = None,
) -> Created:
    """Create a run of a task, or find the one that an idempotency key or a repeated request names.

    A task that no version has yet is accepted: its run waits for a version (protocol A.2). With
    ``resumeParentOnCompletion`` the parent waits for the run's end from the same moment on.

    Raises:
        InvalidDurationError: delay or ttl cannot be read.
        UnprocessableError: too many tags, an unknown version to lock to, a parent that cannot wait, a token
            that was for one run.
        NotFoundError: the parent run does not exist.
    """
    known = sent.recall(u, environment, key)
    if known is not None:
        return Created(u.tx.one("run_any", RunRow, id=known), is_cached=False)
    if one_time_token is not None:
        _refuse_used(u, one_time_token)
    triggering = Triggering(
        u, environment, one_time_token=one_time_token, source=source, caller=caller
    )
    item = BatchItem(task=task, payload=request.payload, options=request.options)
    created = triggering.add(item)
    triggering.write()
    sent.remember(u, environment, key, created.id)
    if request.options.resume_parent_on_completion:
        _let_parent_wait(u, triggering.parent(request.options), created)
    return created


def create_batch(
    u: Unit,
    environment: EnvironmentRow,
    request: TriggerBatch,
    *,
    key: RequestKey | None = None,
    caller: Caller | None = None,
) -> BatchTriggered:
    """Create many runs at once: all of them or, when one is refused, none.

    What became of an item stands in its run; only an item that found an earlier run has a row of its own.
    """
    known = sent.recall(u, environment, key)
    if known is not None:
        return _triggered(u, known)
    row = batch.insert(u, environment, len(request.items))
    triggering = Triggering(u, environment, batch_id=row.id, caller=caller)
    created = [triggering.add(item, position=n) for n, item in enumerate(request.items)]
    triggering.write()
    cached = {position: one for position, one in enumerate(created) if one.is_cached}
    found = [
        BatchItemRow(row.id, position, one.run.task, one.id, 1, None, None)
        for position, one in cached.items()
    ]
    u.insert("batch_item_insert", found)
    row = batch.accept(u, row, accepted=len(created), settled=len(cached), failed=0)
    batch.seal(u, row)
    sent.remember(u, environment, key, row.id)
    runs = [
        BatchRun(id=one.id, task_identifier=one.run.task, is_cached=one.is_cached)
        for one in created
    ]
    return BatchTriggered(id=row.id, runs=runs)


def _triggered(u: Unit, batch_id: str) -> BatchTriggered:
    """Return what a batch was answered with."""
    runs = [
        BatchRun(id=item.run_id, task_identifier=item.task, is_cached=bool(item.is_cached))
        for item in u.tx.all("batch_items", BatchItemRow, batch_id=batch_id)
        if item.run_id is not None
    ]
    return BatchTriggered(id=batch_id, runs=runs)


def write(u: Unit, fresh: Sequence[NewRun]) -> None:
    """Write new runs with their payloads."""
    execution_snapshot.create(u, [(new.run, new.description) for new in fresh])
    u.record("payload_insert", [new.payload for new in fresh])


def find_parent(u: Unit, environment: EnvironmentRow, run_id: str, *, waits: bool) -> RunRow:
    """Return the run that triggers others; one that will wait for them is taken.

    Raises:
        NotFoundError: the environment has no such run.
        UnprocessableError: it executes nothing that could wait.
    """
    statement = "run_by_id_locked" if waits else "run_by_id"
    found = u.tx.maybe(statement, RunRow, id=run_id, environment_id=environment.id)
    if found is None:
        raise NotFoundError(f"there is no parent run {run_id}", status=404)
    if waits:
        block.refuse_to_wait(found)
    return found


@dataclass(slots=True)
class Triggering:
    """Runs that are triggered together: each is checked as it is added, all are written at once.

    Attributes:
        u: the unit of work.
        environment: where they belong.
        batch_id: the batch they belong to.
        waiting: the parent that waits for all of them; it locks them to its own version.
        one_time_token: kept with the run, so that it cannot trigger another.
        replay_of: the run they repeat.
        source: recorded as their origin.
        caller: the trace they are triggered from.
    """

    u: Unit
    environment: EnvironmentRow
    batch_id: str | None = None
    waiting: RunRow | None = None
    one_time_token: str | None = None
    replay_of: str | None = None
    source: str = "api"
    caller: Caller | None = None
    _fresh: list[NewRun] = field(default_factory=list)
    _by_key: dict[tuple[str, str], RunRow] = field(default_factory=dict)
    _tasks: dict[tuple[str | None, str], TaskRow | None] = field(default_factory=dict)
    _parents: dict[str, RunRow] = field(default_factory=dict)
    _workers: dict[str, WorkerRow] = field(default_factory=dict)
    _sizes: QueueSizes = field(init=False)

    def __post_init__(self) -> None:
        """Begin to count."""
        self._sizes = QueueSizes(self.u, self.environment)

    def add(
        self, item: BatchItem, position: int | None = None, ticked: Ticked | None = None
    ) -> Created:
        """Decide one run; an idempotency or debounce key may find an earlier one instead.

        Raises:
            TriggerError: the item cannot be; the others are not touched by that.
        """
        key = item.options.idempotency_key
        known = self._known(item, key) if key else None
        if known is not None:
            return Created(known, is_cached=True)
        window = debounce.window(item.options.debounce)
        external = self._external(item.options)
        worker = self._worker(item.options, external)
        task = self._task(worker, item.task)
        if worker is not None and task is None and self.environment.is_mixed:
            worker, task = self._elsewhere(worker, item.task)
        origin = Origin(
            parent=self.waiting or self.parent(item.options),
            waits=self.waiting is not None or item.options.resume_parent_on_completion,
            worker=worker,
            batch_id=self.batch_id,
            position=position,
            one_time_token=self.one_time_token,
            replay_of=self.replay_of,
            source=self.source,
            order=len(self._fresh) if position is None else position,
            ticked=ticked,
            caller=self.caller,
        )
        new = new_run.make(self.u, self.environment, item, task, origin)
        new = _for_deployment(new, external)
        if task is not None and self.environment.is_mixed:
            new = replace(new, run=new.run._replace(worker_id=task.worker_id))
        if worker is not None:
            self._refuse_unknown(worker, task, new.run)
        collecting = self._collapse(window, new)
        if collecting is not None:
            return Created(collecting, is_cached=True)
        self._sizes.add(new.run)
        self._fresh.append(new)
        if key:
            self._by_key[item.task, key] = new.run
        return Created(new.run, is_cached=False)

    def write(self) -> None:
        """Write what was added."""
        write(self.u, self._fresh)
        self._fresh.clear()

    def parent(self, options: TriggerOptions) -> RunRow | None:
        """Return the parent that a request names.

        Raises:
            NotFoundError: the environment has no such run.
        """
        run_id = options.parent_run_id
        if run_id is None:
            return None
        if run_id not in self._parents:
            waits = options.resume_parent_on_completion
            self._parents[run_id] = find_parent(self.u, self.environment, run_id, waits=waits)
        return self._parents[run_id]

    def _known(self, item: BatchItem, key: str) -> RunRow | None:
        if (item.task, key) in self._by_key:
            return self._by_key[item.task, key]
        return idempotency.find_run(self.u, self.environment.id, item.task, key)

    def _collapse(self, window: Window | None, new: NewRun) -> RunRow | None:
        """Return the run that collects this trigger; those before it are written, so it may be one."""
        if window is None:
            return None
        self.write()
        return debounce.collapse(self.u, window, new)

    def _external(self, options: TriggerOptions) -> str | None:
        """Return the deployment the caller names by its own id; development has no deployments."""
        given = (options.external_deployment_id or "").strip()
        return given if given and self.environment.type != "DEVELOPMENT" else None

    def _worker(self, options: TriggerOptions, external: str | None) -> WorkerRow | None:
        """Return the version the run is locked to, if it is."""
        waiting = self.waiting
        version = options.lock_to_version or (waiting.version if waiting else None)
        if version is None:
            return pending_version.pin(self.u, self.environment.id, external) if external else None
        if version not in self._workers:
            found = self.u.tx.maybe(
                "worker_by_version",
                WorkerRow,
                environment_id=self.environment.id,
                version=version,
            )
            if found is None:
                raise UnprocessableError(
                    f"there is no version {version}", status=422, code="VERSION_UNKNOWN"
                )
            self._workers[version] = found
        return self._workers[version]

    def _elsewhere(self, locked: WorkerRow, task: str) -> tuple[WorkerRow, TaskRow | None]:
        """A version is locked to for what it has; a task of another language is locked to that one's."""
        found = language.home(self.u, self.environment, task)
        if found is None:
            return locked, None
        return self.u.tx.one("worker_by_id", WorkerRow, id=found.worker_id), found

    def _refuse_unknown(self, worker: WorkerRow, task: TaskRow | None, run: RunRow) -> None:
        """A run that is locked to a version must find its task and its queue there (behaviour 13)."""
        if task is None:
            raise UnprocessableError(
                f"version {worker.version} has no task {run.task!r}",
                status=422,
                code="TASK_NOT_IN_VERSION",
            )
        has_queue = run.queue == task.queue or pending_version.has(
            self.u, worker.id, run.task, run.queue
        )
        if not has_queue:
            raise UnprocessableError(
                f"version {worker.version} has no queue {run.queue!r}",
                status=422,
                code="QUEUE_NOT_IN_VERSION",
            )

    def _task(self, worker: WorkerRow | None, task: str) -> TaskRow | None:
        """Return the task as the locked version, else the current one, declares it."""
        key = (worker.id if worker else None, task)
        if key not in self._tasks:
            self._tasks[key] = (
                self.u.tx.maybe("task_of_worker", TaskRow, worker_id=worker.id, task=task)
                if worker
                else language.home(self.u, self.environment, task)
            )
        return self._tasks[key]


def _refuse_used(u: Unit, token: str) -> None:
    if u.tx.scalar("run_by_one_time_token", one_time_token=token) is not None:
        raise UnprocessableError(
            "this token has triggered its run already",
            status=422,
            code="ONE_TIME_TOKEN_USED",
            hint="create a token for each run, or one with once=False",
        )


def _for_deployment(new: NewRun, external: str | None) -> NewRun:
    """Note the deployment a run names; one that names an unknown one waits for it."""
    if external is None:
        return new
    run = new.run._replace(external_deployment_id=external)
    if run.worker_id is not None:
        return replace(new, run=run)
    run = pending_version.parked(run)
    return replace(new, run=run, description=f"Triggered; waits for the deployment {external}")


def _let_parent_wait(u: Unit, parent: RunRow | None, created: Created) -> None:
    if parent is None:
        raise UnprocessableError(
            "resumeParentOnCompletion needs a parentRunId", status=422, code="PARENT_MISSING"
        )
    awaited = waitpoint.of_run(u, created.run)
    block.block(u, parent, created.id, [Wait(awaited.id)])
