"""The process dies at a commit: before it nothing has happened, after it nothing is lost (engine 9.6).

Each case prepares a database and makes one call, which is one transaction. The call is made three times, on
three databases: undisturbed; with a process that dies before the commit; with one that dies after it, before
anybody was answered. Then the database is opened anew, the caller asks again, and everything is worked off.
All three must come to the same.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, get_args

import pytest

from support import identity, otlp, streams, transitions, variables
from support.crash import Case, Died, Moment, Mortal, reopen
from support.engine import Engine, open_database, open_engine, scheduled, task
from support.fleet import Fleet
from support.session import Session
from trigger_core.metadata import Operation
from trigger_core.retry import RetryPolicy
from trigger_core.schemas.deployments import DeploymentError, DeploymentProgress
from trigger_core.schemas.metadata import MetadataFlush, MetadataUpdate
from trigger_core.schemas.runs import LogRecord, ReplayedRun
from trigger_core.schemas.schedules import CreateSchedule, UpdateSchedule
from trigger_core.schemas.trigger import BatchItem, TriggerBatch, TriggerOptions, TriggerTask
from trigger_core.schemas.worker_groups import WorkerGroupName
from trigger_core.schemas.workers import Assignment, GivenUp, Held, LogLine, StartRetry, Verdict
from trigger_platform.engine import (
    batch,
    blob,
    bulk_action,
    delayed,
    deployment,
    dequeue,
    due,
    heartbeat,
    idempotency,
    invariants,
    kept_answer,
    metadata,
    project,
    queue,
    replay,
    request,
    retention,
    revocation,
    schedule,
    stream,
    tags,
    telemetry,
    token,
    trigger,
    worker_group,
)
from trigger_platform.engine.kept_answer import Asked
from trigger_platform.engine.request import RequestKey
from trigger_platform.engine.run_filter import RunFilter
from trigger_platform.engine.stream import Writer
from trigger_platform.engine.unit import Unit
from trigger_platform.otlp import from_json
from trigger_platform.otlp.offered import offered
from trigger_platform.otlp.room import Room
from trigger_platform.store.rows import BlobRow, EnvironmentRow, RunRow, ScheduleRow, WorkerGroupRow
from trigger_platform.store.sqlite import DIALECT
from trigger_platform.store.statements import migrations

TABLES = re.findall(r"create table (\w+)", "".join(text for _, text in migrations(DIALECT)))
QUEUE = "task/task"
MANY = 201
"""More than one sweep releases."""

ASKED = Asked("user_1", RequestKey("/api/v1/workers", "mark"), shows_secret=True)
BUILD_ERROR = DeploymentError(name="E", message="m")
POLICY = RetryPolicy(max_attempts=3, min_delay_ms=1_000, randomize=False)


def _queued(engine: Engine) -> str:
    return engine.trigger()


def _started(engine: Engine) -> Assignment:
    return engine.started()


def _due_in(seconds: int, **options: Any) -> Callable[[Engine], str]:
    def prepare(engine: Engine) -> str:
        run_id = engine.trigger(**options)
        engine.clock.advance(seconds * 1000)
        return run_id

    return prepare


def _waiting(engine: Engine) -> Assignment:
    assignment = engine.started()
    engine.wait(assignment, 5_000)
    engine.clock.advance(5_000)
    return assignment


def _waiting_for_token(engine: Engine) -> str:
    made: token.Made = engine.call(
        token.create, engine.environment, timeout_at=engine.clock.now() + 5_000
    )
    engine.wait_for_token(engine.started(), made.token.id)
    return made.token.id


def _parent_and_child(engine: Engine) -> tuple[Assignment, Assignment]:
    parent = engine.started()
    engine.trigger_and_wait(parent, "task")
    [child] = engine.claim()
    engine.start(child)
    return parent, child


def _register_another(engine: Engine) -> str:
    """Another language comes, with a task of its own."""
    return engine.register(task("later"), content_hash="ts", runtime="node-22")


def _misplaced(engine: Engine) -> None:
    """A run waits where the session of its language does not look."""
    mine = list(engine.workers)
    _register_another(engine)
    engine.workers = mine
    engine.trigger("later")
    engine.sql("update run set worker_id = null")


def _snapshot(engine: Engine) -> tuple[str, int]:
    run = Session(engine).started().run
    return run.id, run.sequence


def _disconnect(engine: Engine, snapshot: tuple[str, int]) -> None:
    Session(engine).disconnect(snapshot[0])


def _half_a_lease(engine: Engine) -> Assignment:
    assignment = engine.started()
    engine.clock.advance(10_000)
    return assignment


def _silent(engine: Engine) -> Assignment:
    assignment = engine.started()
    engine.clock.advance(30_000)
    return assignment


def _put_aside(engine: Engine) -> str:
    run_id = engine.trigger("later")
    engine.claim()
    return run_id


def _streaming(engine: Engine) -> str:
    parent = engine.started()
    batch = engine.open_batch(2, parent=engine.run(parent.run_id))
    engine.add_items(batch.id, (0, "task"))
    return batch.id


def _open_batch(u: Unit, environment: EnvironmentRow, parent_id: str) -> int:
    parent = trigger.find_parent(u, environment, parent_id, waits=True)
    return batch.open_batch(u, environment, 2, parent=parent, key="k").batch.run_count


def _unsealed(engine: Engine) -> str:
    batch_id = _streaming(engine)
    engine.clock.advance(1_800_000)
    return batch_id


def _last_of_a_batch(engine: Engine) -> Assignment:
    parent = engine.started()
    engine.trigger_and_wait(parent, "task", "task", batch=True)
    first, last = engine.claim()
    engine.succeed(first)
    return last


def _canceled_parent(engine: Engine) -> str:
    parent, child = _parent_and_child(engine)
    engine.cancel(parent.run_id)
    return child.run_id


def _keyed_and_failed(engine: Engine) -> str:
    assignment = engine.started(idempotency_key="k")
    engine.fail(assignment)
    return assignment.run_id


def _paused(engine: Engine) -> None:
    engine.trigger()
    engine.pause_environment()


def _pausing(engine: Engine) -> Verdict:
    return engine.fail(engine.started(), retry_ms=1_000)


def _schedule(engine: Engine) -> str:
    return engine.schedule(cron="*/5 * * * *", window="none").id


def _ticking(engine: Engine) -> str:
    made = _schedule(engine)
    engine.clock.advance(300_000)
    engine.poll(0)
    return made


def _sweep(engine: Engine, _state: Any) -> None:
    engine.call(due.sweep)


def _create(engine: Engine, **options: Any) -> bool:
    request = TriggerTask(options=TriggerOptions(**options))
    created = engine.call(
        trigger.create, engine.environment, "task", request, key=RequestKey("trigger", "request")
    )
    return bool(engine.run(created.id).sequence)


def _claim_across(engine: Engine, _state: Any) -> None:
    engine.call(dequeue.claim_across, {engine.environment.id: engine.workers}, engine.boot, 10)


def _give_up(engine: Engine, run: Assignment) -> None:
    engine.report(given_up=[GivenUp(run_id=run.run_id, lease=run.lease, ref="w1")])


def _next_attempt(engine: Engine, failed: Verdict) -> list[int]:
    """The answer brings the attempt, however often it is asked for."""
    again = StartRetry(run_id=failed.run_id, lease=failed.lease)
    runs = engine.report(retries=[again]).runs
    engine.report(held=[Held(run_id=one.run_id, lease=one.lease) for one in runs])
    return [one.attempt for one in runs]


def _new_schedule(engine: Engine, _state: Any) -> str:
    request = CreateSchedule(task="tick", cron="0 * * * *", deduplication_key="new", window="none")
    return str(engine.call(schedule.create, engine.environment, request).expression)


def _new_expression(engine: Engine, ref: str) -> str:
    request = UpdateSchedule(task="tick", cron="0 0 * * *")
    return str(engine.call(schedule.update, engine.environment, ref, request).expression)


def _reset_if_there(u: Unit, environment: EnvironmentRow) -> None:
    if u.tx.maybe("run_by_idempotency_key", RunRow, **_key(environment)):
        idempotency.reset(u, environment, "k", "task")


def _key(environment: EnvironmentRow) -> dict[str, str]:
    return {"environment_id": environment.id, "task": "task", "idempotency_key": "k"}


def _add_tag(engine: Engine, run_id: str) -> str | None:
    engine.call(tags.add, engine.environment, run_id, ["a"])
    return engine.run(run_id).tags


def _update_metadata(engine: Engine, run_id: str) -> Any:
    change = MetadataUpdate(operations=[Operation("set", "n", 1)])
    return engine.call(metadata.update, engine.environment, run_id, change)


def _flush_metadata(engine: Engine, run: Assignment) -> None:
    flush = MetadataFlush(
        run_id=run.run_id, lease=run.lease, number=1, operations=[Operation("increment", "n", 1)]
    )
    engine.report(metadata=[flush])


def _debounced(engine: Engine, _state: Any = None) -> bool:
    return bool(engine.trigger(debounce={"key": "k", "delay": "10s"}))


def _pushing(engine: Engine) -> None:
    _debounced(engine)
    engine.clock.advance(5_000)


def _retagged(engine: Engine, _state: Any) -> str | None:
    wanted = {"key": "k", "delay": "10s", "mode": "trailing"}
    return engine.run(engine.trigger(debounce=wanted, tags=["b"])).tags


def _deleted(engine: Engine, ref: str) -> None:
    engine.call(lambda u: _delete_if_there(u, engine, ref))


def _delete_if_there(u: Unit, engine: Engine, ref: str) -> None:
    if u.tx.scalar("schedules_count", environment_id=engine.environment.id):
        schedule.delete(u, engine.environment, ref)


def _waiting_to_be_frozen(engine: Engine) -> tuple[Assignment, int]:
    assignment = engine.started()
    return assignment, engine.wait_started(assignment, 60_000).sequence


def _restored(engine: Engine) -> Assignment:
    engine.suspend(*_waiting_to_be_frozen(engine))
    engine.advance(60_000)
    [again] = engine.claim()
    return again


def _begun(engine: Engine) -> str:
    return engine.begin_deployment(external_id="sha-1").id


def _indexed(engine: Engine) -> str:
    deployment_id = _begun(engine)
    engine.index(deployment_id, task(retry=POLICY), scheduled())
    return deployment_id


def _with_a_run_for_it(engine: Engine) -> str:
    _parked(engine)
    return _indexed(engine)


def _parked(engine: Engine, **options: Any) -> None:
    """A run that waits for a deployment; in development nothing does."""
    engine.sql("update environment set type = 'PRODUCTION'")
    engine.environment = replace(engine.environment, type="PRODUCTION")
    engine.trigger(external_deployment_id="sha-1", **options)


def _landing(engine: Engine) -> None:
    """More runs wait for a deployment than it releases at once."""
    _parked(engine)
    engine.trigger_many(MANY, external_deployment_id="sha-1")
    engine.finalize(_indexed(engine))


def _coming(engine: Engine) -> None:
    """More runs wait for a task than its version releases at once."""
    engine.trigger_many(MANY, "later")
    for _ in range(3):
        engine.claim()
    engine.register(task(), task("later"), scheduled(), content_hash="v2")


def _deployed_twice(engine: Engine) -> str:
    engine.deploy(task(retry=POLICY), scheduled())
    return engine.deploy(task(retry=POLICY), scheduled(), promoted=False)


def _supervised(engine: Engine) -> WorkerGroupRow:
    """A run of a managed deployment waits for a supervisor."""
    engine.sql("update environment set type = 'PRODUCTION'")
    engine.environment = replace(engine.environment, type="PRODUCTION")
    engine.deploy(task(retry=POLICY))
    engine.trigger()
    return Fleet.of(engine).group


def _managed_wait(engine: Engine) -> tuple[WorkerGroupRow, RunRow]:
    fleet = Fleet(engine, _supervised(engine))
    return fleet.group, fleet.wait(fleet.take()[0], 60_000)


def _managed_restore(engine: Engine) -> tuple[WorkerGroupRow, Assignment]:
    group, waiting = _managed_wait(engine)
    fleet = Fleet(engine, group)
    fleet.put_away(waiting)
    engine.advance(60_000)
    return group, fleet.take()[0]


def _end_build(engine: Engine, deployment_id: str, function: Any, *how: Any) -> str:
    def end(u: Unit) -> str:
        found = deployment.find(u, engine.environment, deployment_id)
        if found.ended_at is None:
            found = function(u, engine.environment, deployment_id, *how)
        return str(found.status)

    return str(engine.call(end))


def _sweep_old(engine: Engine, name: str) -> int:
    swept: retention.Slice = engine.call(retention.SWEEPS[name], retention.Periods(), {})
    return swept.removed


def _old(engine: Engine, name: str) -> None:
    """Something of everything that is removed one day, and all is swept that goes before."""
    parent = engine.started(tags=["a"])
    _say(engine, parent)
    _export(engine, parent)
    engine.call(
        stream.append, engine.environment, parent.run_id, "out", ["1"], writer=Writer("w", 0)
    )
    engine.trigger_and_wait(parent, "task", "task", batch=True)
    for child in engine.claim():
        engine.succeed(child)
    engine.succeed(parent)
    made: token.Made = engine.call(token.create, engine.environment)
    engine.call(token.complete, engine.environment, made.token.id, '"x"', "application/json")
    _create(engine)
    _bulk(engine, "CANCEL")
    engine.sweep()
    _upload(engine)
    engine.call(revocation.revoke, engine.environment, "jti", engine.clock.now() + 1)
    engine.call(kept_answer.once, ASKED, WorkerGroupName, _grouped)
    _late_for_its_key(engine)
    engine.advance(40 * 86_400_000)
    for earlier in retention.SWEEPS:
        if earlier == name:
            break
        while _sweep_old(engine, earlier):
            pass


def _grouped(u: Unit) -> WorkerGroupName:
    return WorkerGroupName(name=worker_group.create(u, "asked for").group.name)


def _late_for_its_key(engine: Engine) -> None:
    """A run collects until it expires, because the deployment that it names does not come."""
    home = engine.environment
    _parked(engine, debounce={"key": "k", "delay": "1s"})
    engine.advance(2 * 3_600_000)
    engine.sql("update environment set type = 'DEVELOPMENT'")
    engine.environment = home


def _broken(corruption: str) -> Callable[[Engine], None]:
    def prepare(engine: Engine) -> None:
        _waiting_to_be_frozen(engine)
        engine.succeed(engine.started())
        engine.started()
        engine.trigger_many(2)
        engine.sql(corruption)
        assert engine.violations(advisory=False)

    return prepare


def _mend(engine: Engine, _state: Any) -> None:
    def mend(u: Unit) -> None:
        for found in invariants.everything(u):
            invariants.mend(u, found)

    engine.call(mend)


def _say(engine: Engine, one: Assignment) -> None:
    line = LogRecord(
        attempt=1, time="2025-11-24T16:00:00Z", level="INFO", source="stdout", message="hello"
    )
    engine.report(logs=[LogLine(run_id=one.run_id, lease=one.lease, number=1, record=line)])


def _export(engine: Engine, one: Assignment) -> int:
    who = {"ctx.run.id": one.run_id}
    spans = from_json.read(
        json.dumps(otlp.traces(who, otlp.span("a" * 16))).encode(), "traces", Room()
    )
    lines = from_json.read(json.dumps(otlp.logs(who, otlp.line("hello"))).encode(), "logs", Room())
    load = {"name": "load", "gauge": {"dataPoints": [{"timeUnixNano": "1", "asInt": "1"}]}}
    points = from_json.read(json.dumps(otlp.metrics(who, load)).encode(), "metrics", Room())
    told = offered([*spans, *lines, *points], 0, engine.clock.now())
    taken: telemetry.Taken = engine.call(telemetry.take, engine.environment.id, told)
    return taken.refused


def _bulk(engine: Engine, kind: bulk_action.Kind) -> str:
    wanted = RunFilter(tasks=["task"])
    made = engine.call(bulk_action.create, engine.environment, kind, wanted, total=1)
    return str(made.id)


def _upload(engine: Engine) -> None:
    engine.call(blob.expect, engine.environment, "p")


def _uploaded(engine: Engine) -> int | None:
    engine.call(blob.uploaded, engine.environment, "p", "text/plain", 3)
    return _found(engine).size


def _found(engine: Engine) -> BlobRow:
    found: BlobRow = engine.call(blob.find, engine.environment, "p")
    return found


def _unused(engine: Engine) -> list[BlobRow]:
    _upload(engine)
    engine.clock.advance(2 * 86_400_000)
    engine.call(retention.SWEEPS["blobs"], retention.Periods(), {})
    return engine.call(blob.let_go)  # type: ignore[no-any-return]


def _batch_once(engine: Engine, _state: Any) -> list[tuple[str, bool]]:
    item = BatchItem(task="task", options=TriggerOptions(idempotency_key="k"))
    asked = TriggerBatch(items=[item, BatchItem(task="task"), item])
    made = engine.call(
        trigger.create_batch, engine.environment, asked, key=RequestKey("batch", "request")
    )
    return [(run.task_identifier, run.is_cached) for run in made.runs]


def _replay_once(engine: Engine, run_id: str) -> bool:
    def act(u: Unit, environment: EnvironmentRow) -> ReplayedRun:
        return ReplayedRun(id=replay.run(u, environment, run_id).id)

    key = RequestKey("replay", "request")
    return bool(engine.call(request.once, engine.environment, key, ReplayedRun, act))


def _with_a_key_twice(engine: Engine) -> None:
    engine.trigger_many(2)
    engine.sql("drop index run_idempotency")
    engine.sql("update run set idempotency_key = 'k'")


BROKEN = {
    "repair.final_run": "update run set slot_held = 1 where execution_status = 'FINISHED'",
    "repair.slot": "update run set slot_held = 1 where execution_status = 'QUEUED'",
    "repair.stuck_wait": "update waitpoint set status = 'COMPLETED' where type = 'DATETIME'",
    "repair.deadline": "update run set due_at = null where execution_status = 'EXECUTING'",
    "repair.batch_count": "update batch set settled = 1",
    "repair.delivery": "update edge set delivered = 1",
    "repair.outbox": "update outbox set sequence = 99 where kind = 'run.changed'",
}


CASES = [
    *identity.CASES,
    *variables.CASES,
    *streams.CASES,
    Case(
        "project.ensure",
        lambda e, _: e.call(project.ensure, "proj_anotheraaaaaaaaaaaa").project.ref,
        grows="access_token",
    ),
    Case(
        "worker_version.register",
        lambda e, _: e.register(task(), task("later"), scheduled(), content_hash="v2"),
        _put_aside,
    ),
    Case(
        "worker_version.register declaring a schedule",
        lambda e, _: e.register(
            task(), scheduled(schedule={"cron": "0 * * * *"}), content_hash="v2"
        ),
    ),
    Case("worker_version.register of another language", lambda e, _: _register_another(e), _queued),
    Case("dequeue.claim of a run of another language", lambda e, _: e.poll() and None, _misplaced),
    Case("trigger.create", lambda e, _: _create(e)),
    Case("trigger.create with a key", lambda e, _: bool(e.trigger(idempotency_key="k"))),
    Case(
        "trigger.create with a key of a failed run",
        lambda e, _: bool(e.trigger(idempotency_key="k")),
        _keyed_and_failed,
    ),
    Case(
        "trigger.create for a parent that waits",
        lambda e, p: _create(e, parent_run_id=p.run_id, resume_parent_on_completion=True),
        _started,
    ),
    Case("trigger.create_batch", lambda e, _: len(e.trigger_many(3)), is_repeated=False),
    Case("trigger.create_batch, asked for once", _batch_once),
    Case(
        "replay.run",
        lambda e, run_id: bool(e.call(replay.run, e.environment, run_id)),
        _queued,
        is_repeated=False,
    ),
    Case("request.once", _replay_once, _queued),
    Case("bulk_action.create", lambda e, _: bool(_bulk(e, "CANCEL")), _queued, is_repeated=False),
    Case("bulk_action.proceed: cancel", _sweep, lambda e: (_queued(e), _bulk(e, "CANCEL"))),
    Case("bulk_action.proceed: replay", _sweep, lambda e: (_queued(e), _bulk(e, "REPLAY"))),
    Case(
        "bulk_action.abort",
        lambda e, made: e.call(bulk_action.abort, e.environment, made).status,
        lambda e: (_queued(e), _bulk(e, "REPLAY"))[1],
    ),
    Case("blob.expect", lambda e, _: _upload(e)),
    Case("blob.uploaded", lambda e, _: _uploaded(e), _upload),
    Case(
        "blob.measured",
        lambda e, row: e.call(blob.measured, row, 3, 10),
        lambda e: (_upload(e), e.clock.advance(blob.UPLOAD_MS + 1), _found(e))[-1],
    ),
    Case(
        "blob.measured, too large",
        lambda e, row: e.call(blob.measured, row, 11, 10),
        lambda e: (_upload(e), _found(e))[-1],
    ),
    Case("blob.forget", lambda e, gone: e.call(blob.forget, gone), _unused),
    Case(
        "batch.open_batch",
        lambda e, parent: e.call(_open_batch, e.environment, parent.run_id),
        _started,
    ),
    Case(
        "batch_items.stream",
        lambda e, b: e.add_items(b, (0, "task"), (1, "task")).batch.accepted,
        _streaming,
    ),
    Case("trigger.create of a debounce key", _debounced),
    Case("debounce.collapse", _debounced, _pushing),
    Case("debounce.collapse with other tags", _retagged, _pushing),
    Case(
        "delayed.reschedule",
        lambda e, run_id: e.call(delayed.reschedule, e.environment, run_id, "2h").status,
        lambda e: e.trigger(delay="1h"),
        grows="execution_snapshot",
    ),
    Case(
        "idempotency.reset",
        lambda e, _: e.call(_reset_if_there, e.environment),
        lambda e: e.trigger(idempotency_key="k"),
    ),
    Case("tags.add", _add_tag, _queued),
    Case("run_log.write", _say, _started),
    Case("telemetry.take", _export, _started),
    Case("metadata.update", _update_metadata, _queued),
    Case("report: metadata", _flush_metadata, _started),
    Case("channel.connect", lambda e, _: e.connect("boot-2"), _started),
    Case("channel.poll", lambda e, _: e.poll() and None, _queued),
    Case(
        "dequeue.unheard",
        lambda e, _: len(e.poll(is_repeated=True).runs),
        lambda e: (e.trigger_many(2), e.claim(1)),
    ),
    Case("dequeue.claim_across", _claim_across, _queued),
    Case("report: started", lambda e, a: e.start(a), lambda e: (e.trigger(), e.claim()[0])[1]),
    Case("report: succeeded", lambda e, a: e.succeed(a).status, _started),
    Case(
        "report: succeeded, a parent waits",
        lambda e, pair: e.succeed(pair[1]).status,
        _parent_and_child,
    ),
    Case(
        "report: succeeded, the last of a batch", lambda e, a: e.succeed(a).status, _last_of_a_batch
    ),
    Case("report: failed for good", lambda e, a: e.fail(a).status, _started),
    Case(
        "report: failed, tried again at once", lambda e, a: e.fail(a, retry_ms=1_000).kind, _started
    ),
    Case(
        "report: failed, tried again later", lambda e, a: e.fail(a, retry_ms=60_000).kind, _started
    ),
    Case("report: next attempt", _next_attempt, _pausing),
    Case("report: held", lambda e, a: len(e.heartbeat(a).signals), _half_a_lease),
    Case("report: waits until", lambda e, a: bool(e.wait(a, 5_000)), _started),
    Case(
        "report: waits for a token",
        lambda e, s: len(e.wait_for_token(*s).awaited),
        lambda e: (e.started(), e.call(token.create, e.environment).token.id),
    ),
    Case(
        "report: waits for a child",
        lambda e, a: len(e.trigger_and_wait(a, "task").awaited),
        _started,
    ),
    Case(
        "report: waits for a batch",
        lambda e, a: len(e.trigger_and_wait(a, "task", "task", batch=True).awaited),
        _started,
    ),
    Case(
        "report: waits no longer", _give_up, lambda e: (a := e.started(), e.wait(a, 3_600_000))[0]
    ),
    Case("cancel.run queued", lambda e, run_id: e.cancel(run_id), _queued),
    Case("cancel.run executing", lambda e, a: e.cancel(a.run_id), _started),
    Case("cancel.run with children", lambda e, pair: e.cancel(pair[0].run_id), _parent_and_child),
    Case("cancel.child", _sweep, _canceled_parent),
    Case("token.create", lambda e, _: e.call(token.create, e.environment, key="k").token.status),
    Case(
        "token.complete",
        lambda e, t: e.call(token.complete, e.environment, t, '"x"', "application/json"),
        _waiting_for_token,
    ),
    Case("due.sweep: a delay is over", _sweep, _due_in(5, delay="5s")),
    Case("due.sweep: a run expires", _sweep, _due_in(5, ttl="5s")),
    Case(
        "due.sweep: a pause is over",
        _sweep,
        lambda e: (e.fail(e.started(), retry_ms=60_000), e.clock.advance(60_000)),
    ),
    Case("due.sweep: a worker is silent", _sweep, _silent),
    Case("due.sweep: a wait is over", _sweep, _waiting),
    Case(
        "due.sweep: a token runs out of time",
        _sweep,
        lambda e: (_waiting_for_token(e), e.clock.advance(5_000)),
    ),
    Case("due.sweep: a batch is given up", _sweep, _unsealed),
    Case("due.sweep: a schedule fires", _sweep, _ticking),
    Case("dequeue.claim of an expired run", lambda e, _: len(e.poll().runs), _due_in(5, ttl="5s")),
    Case("heartbeat.grant_grace", lambda e, _: e.call(heartbeat.grant_grace), _half_a_lease),
    Case(
        "queue.pause",
        lambda e, _: e.call(queue.pause, e.environment, "custom", QUEUE, paused=True).queue.paused,
        _queued,
    ),
    Case(
        "queue.override", lambda e, _: e.override(QUEUE, limit=1).queue.concurrency_limit, _queued
    ),
    Case(
        "queue.reset",
        lambda e, _: e.reset(QUEUE).queue.concurrency_limit,
        lambda e: e.override(QUEUE, limit=1),
    ),
    Case("environment_limit.pause", lambda e, _: e.pause_environment(paused=False), _paused),
    Case(
        "environment_limit.change",
        lambda e, _: e.set_environment(concurrency_limit=7).concurrency_limit,
        _waiting,
    ),
    Case("schedule.create", _new_schedule),
    Case("schedule.update", _new_expression, _schedule),
    Case(
        "schedule.activate",
        lambda e, s: e.call(schedule.activate, e.environment, s, active=False).active,
        _schedule,
    ),
    Case("schedule.delete", _deleted, _schedule),
    Case(
        "kept_answer.once",
        lambda e, _: e.call(kept_answer.once, ASKED, WorkerGroupName, _grouped).name,
    ),
    Case(
        "revocation.revoke",
        lambda e, _: e.call(revocation.revoke, e.environment, "jti", e.clock.now() + 1),
    ),
    Case("report: suspended", lambda e, s: e.suspend(*s).ok, _waiting_to_be_frozen),
    Case("report: checkpoint lost", lambda e, a: e.lose_checkpoint(a), _restored),
    Case("snapshot_channel.sit", lambda e, _: Session(e).sit()),
    Case("snapshot_channel.next_run", lambda e, _: Session(e).next_run() and None, _queued),
    Case(
        "snapshot_channel.start",
        lambda e, a: Session(e).start(a.run_id, a.lease).run.attempt,
        lambda e: Session(e).dequeued(),
    ),
    Case(
        "snapshot_channel.start of the next attempt",
        lambda e, run: Session(e).start(run.id, run.sequence).run.attempt,
        lambda e: Session(e).fail(*_snapshot(e), retry_ms=1_000).run,
    ),
    Case(
        "snapshot_channel.complete",
        lambda e, s: Session(e).succeed(*s, n=1).verdict.status,
        _snapshot,
    ),
    Case(
        "snapshot_channel.extend",
        lambda e, s: Session(e).extend(*s),
        lambda e: (_snapshot(e), e.clock.advance(10_000))[0],
    ),
    Case("snapshot_channel.disconnect", _disconnect, _snapshot),
    Case(
        "supervisor.take", lambda e, group: Fleet(e, group).take(), _supervised, is_repeated=False
    ),
    Case("suspension.put_away", lambda e, s: Fleet(e, s[0]).put_away(s[1]), _managed_wait),
    Case("suspension.go_on", lambda e, s: Fleet(e, s[0]).go_on(s[1]).status, _managed_restore),
    Case(
        "snapshot_channel.start instead of going on",
        lambda e, s: Fleet(e, s[0]).start(s[1]).run.attempt,
        _managed_restore,
    ),
    Case(
        "trigger.create for a parent that is told by its snapshot",
        lambda e, s: _create(e, parent_run_id=s[0], resume_parent_on_completion=True),
        _snapshot,
    ),
    Case("deployment.initialize", lambda e, _: bool(_begun(e)), is_repeated=False),
    Case(
        "deployment.progress",
        lambda e, d: bool(e.call(deployment.progress, e.environment, d, DeploymentProgress())),
        _begun,
        is_repeated=False,
    ),
    Case("deployment.register_worker", lambda e, d: bool(e.index(d, task())), _begun),
    Case("deployment.finalize", lambda e, d: e.finalize(d).status, _with_a_run_for_it),
    Case("deployment.promote", lambda e, name: e.promote(name).status, _deployed_twice),
    Case("deployment.fail", lambda e, d: _end_build(e, d, deployment.fail, BUILD_ERROR), _begun),
    Case("deployment.cancel", lambda e, d: _end_build(e, d, deployment.cancel), _begun),
    Case(
        "due.sweep: a build takes too long",
        _sweep,
        lambda e: (_begun(e), e.clock.advance(3_600_001)),
    ),
    Case("due.sweep: a deployment lands", _sweep, _landing),
    Case("due.sweep: a version lands", _sweep, _coming),
    Case(
        "due.sweep: a deployment does not come",
        _sweep,
        lambda e: (_parked(e), e.clock.advance(3_600_000)),
    ),
    *(Case(name, _mend, _broken(how), mends=True) for name, how in BROKEN.items()),
    Case("repair.second_key", _mend, _with_a_key_twice, mends=True),
    *(
        Case(
            f"retention.{name}",
            lambda e, _, name=name: _sweep_old(e, name),
            lambda e, name=name: _old(e, name),
            is_repeated=False,
        )
        for name in retention.SWEEPS
    ),
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What everything came to in the end."""

    answer: Any
    runs: Counter[tuple[str, str]]
    rows: dict[str, int]
    open_ends: int


@pytest.mark.behaviour(197)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_death_at_the_commit_changes_nothing_in_the_end(
    case: Case, fresh: Callable[[], str]
) -> None:
    """Before it, after it: asking again is safe, and it comes to what it would have come to."""
    undisturbed = _play(case, fresh(), None)
    for moment in get_args(Moment):
        assert _play(case, fresh(), moment) == undisturbed, moment


def test_every_function_that_writes_dies_in_some_case(fresh: Callable[[], str]) -> None:
    """What is new in the engine needs a case, unless one of these reaches it."""
    reached: set[str] = set()
    for case in CASES:
        engine, mortal = _opened(fresh())
        state = case.prepare(engine)
        mortal.die("before the commit")
        with pytest.raises(Died):
            case.act(engine, state)
        reached |= mortal.reached
        engine.db.close()

    assert sorted(transitions.writing() - reached) == []


def _opened(address: str) -> tuple[Engine, Mortal]:
    mortal = Mortal(open_database(address, durable=False))
    engine = open_engine(mortal)
    engine.register(task(retry=POLICY), scheduled())
    return engine, mortal


def _play(case: Case, address: str, moment: Moment | None) -> Outcome:
    engine, mortal = _opened(address)
    state = case.prepare(engine)
    before = _contents(engine)
    if moment is None:
        answer = case.act(engine, state)
        assert _contents(engine) != before
    else:
        mortal.die(moment)
        with pytest.raises(Died):
            case.act(engine, state)
        engine = reopen(engine, address, seed=2)
        is_lost = moment == "before the commit"
        assert (is_lost and case.mends) or engine.violations(advisory=False) == []
        assert not is_lost or _contents(engine) == before
        answer = case.act(engine, state) if is_lost or case.is_repeated else None
    assert engine.violations(advisory=False) == []
    _work_off(engine)
    outcome = _outcome(engine, answer if case.is_repeated else None, {"outbox", case.grows})
    engine.db.close()
    return outcome


def _work_off(engine: Engine) -> None:
    """A working worker does what there is to do; whatever was paused or repeats itself no longer does."""
    engine.pause_environment(paused=False)
    engine.call(queue.pause, engine.environment, "custom", QUEUE, paused=False)
    engine.call(_stop_schedules, engine.environment.id)
    engine.register(task(retry=POLICY), task("later"), scheduled(), content_hash="last")
    engine.connect("boot-last")
    for _ in range(20):
        while runs := engine.claim():
            for one in runs:
                engine.succeed(one)
        engine.advance(600_000)
    assert engine.violations(advisory=False) == []


def _stop_schedules(u: Unit, environment_id: str) -> None:
    page = {"environment_id": environment_id, "limit": 100, "offset": 0}
    for row in u.tx.all("schedules_page", ScheduleRow, **page):
        u.tx.run("schedule_activate", id=row.id, active=0, now=u.now)


def _outcome(engine: Engine, answer: Any, ignored: Collection[str | None]) -> Outcome:
    """Say what everything came to; who listens may be told of it twice, so the outbox does not count."""
    contents = _contents(engine)
    runs = engine.call(lambda u: u.tx.all("runs_all", RunRow))
    return Outcome(
        answer,
        Counter((run.task, run.status) for run in runs),
        {table: len(rows) for table, rows in contents.items() if table not in ignored},
        sum(len(contents[table]) for table in ("edge", "timer")),
    )


def _contents(engine: Engine) -> dict[str, list[Any]]:
    """Return every row of every table."""

    def read(u: Unit) -> dict[str, list[Any]]:
        tx: Any = u.tx
        connection = tx.connection if hasattr(tx, "connection") else tx._connection
        return {
            name: sorted(map(str, connection.execute(f"select * from {name}").fetchall()))  # noqa: S608
            for name in TABLES
        }

    return engine.call(read)  # type: ignore[no-any-return]
