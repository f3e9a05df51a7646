"""The process dies at a commit: before it nothing has happened, after it nothing is lost (engine 9.6).

Each case prepares a database and makes one call, which is one transaction. The call is made three times, on
three databases: undisturbed; with a process that dies before the commit; with one that dies after it, before
anybody was answered. Then the database is opened anew, the caller asks again, and everything is worked off.
All three must come to the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import pytest

from support import transitions
from support.crash import Died, Moment, Mortal, reopen
from support.engine import Engine, open_database, open_engine, scheduled, task
from trigger_core.metadata import Operation
from trigger_core.retry import RetryPolicy
from trigger_core.schemas.metadata import MetadataFlush, MetadataUpdate
from trigger_core.schemas.runs import LogRecord
from trigger_core.schemas.schedules import CreateSchedule, UpdateSchedule
from trigger_core.schemas.trigger import TriggerOptions, TriggerTask
from trigger_core.schemas.workers import Assignment, GivenUp, Held, LogLine, StartRetry, Verdict
from trigger_platform.engine import (
    access_token,
    delayed,
    deployment,
    dequeue,
    due,
    heartbeat,
    idempotency,
    metadata,
    project,
    queue,
    replay,
    retention,
    schedule,
    tags,
    token,
    trigger,
)
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, RunRow, ScheduleRow
from trigger_platform.store.sqlite import DIALECT
from trigger_platform.store.statements import migrations

Act = Callable[[Engine, Any], Any]
TABLES = re.findall(r"create table (\w+)", "".join(text for _, text in migrations(DIALECT)))
QUEUE = "task/task"
POLICY = RetryPolicy(max_attempts=3, min_delay_ms=1_000, randomize=False)


@dataclass(frozen=True, slots=True)
class Case:
    """One call.

    Attributes:
        name: the function of the engine that is called.
        prepare: makes what the call needs; its value is given to ``act``.
        act: makes the call; its value is the same when the call is repeated.
        is_repeated: whether the caller may ask again: false where each call makes something new on purpose.
    """

    name: str
    act: Act
    prepare: Callable[[Engine], Any] = lambda _engine: None
    is_repeated: bool = True


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
        trigger.create, engine.environment, "task", request, request_token="request"
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


def _retained(remove: Callable[..., Any]) -> Case:
    def act(engine: Engine, _state: Any) -> None:
        engine.call(remove, retention.Periods(), {})

    return Case(f"retention.{remove.__name__}", act, _old_things)


def _old_things(engine: Engine) -> None:
    """A run and a batch that are over, lines, answers that are remembered, a debounce key, a token."""
    _create(engine)
    _debounced(engine)
    engine.trigger_many(2)
    engine.call(token.complete, engine.environment, _token(engine), "1", "application/json")
    record = LogRecord(
        attempt=1, time="2025-11-24T16:00:00Z", level="INFO", source="stdout", message="hello"
    )
    for one in engine.claim():
        engine.report(logs=[LogLine(run_id=one.run_id, record=record)])
        engine.succeed(one)
    engine.clock.advance(40 * 86_400_000)


def _token(engine: Engine) -> str:
    made: token.Made = engine.call(token.create, engine.environment)
    return made.token.id


def _frozen(engine: Engine) -> tuple[Assignment, int]:
    one = engine.started()
    return one, engine.wait_started(one, 60_000).sequence


def _restoring(engine: Engine) -> Assignment:
    one, sequence = _frozen(engine)
    engine.suspend(one, sequence)
    engine.advance(60_000)
    [again] = engine.claim()
    return again


def _deploying(engine: Engine) -> str:
    engine.trigger("later", external_deployment_id="abc")
    return engine.begin_deployment(external_id="abc").id


def _missing_deployment(engine: Engine) -> None:
    engine.in_production().trigger("later", external_deployment_id="abc")
    engine.clock.advance(86_400_000)


def _built(engine: Engine) -> str:
    deployment_id = _deploying(engine)
    engine.index(deployment_id, task(), task("later"))
    return deployment_id


def _served(engine: Engine) -> str:
    first = engine.deploy(task(), task("later"))
    engine.deploy(task())
    return first


def _of_deployment(change: str, *arguments: Any) -> Act:
    """The call, answered with the status of the deployment."""

    def act(engine: Engine, deployment_id: str) -> str:
        found = engine.call(
            getattr(deployment, change), engine.environment, deployment_id, *arguments
        )
        return str(found.status)

    return act


def _index(engine: Engine, deployment_id: str) -> None:
    engine.index(deployment_id, task(), task("later"))


def _deleted(engine: Engine, ref: str) -> None:
    engine.call(lambda u: _delete_if_there(u, engine, ref))


def _delete_if_there(u: Unit, engine: Engine, ref: str) -> None:
    if u.tx.scalar("schedules_count", environment_id=engine.environment.id):
        schedule.delete(u, engine.environment, ref)


CASES = [
    Case("access_token.create", lambda e, _: bool(e.call(access_token.create, "ci"))),
    Case(
        "project.ensure",
        lambda e, _: e.call(project.ensure, "proj_anotheraaaaaaaaaaaa").project.ref,
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
    Case(
        "replay.run",
        lambda e, run_id: bool(e.call(replay.run, e.environment, run_id)),
        _queued,
        is_repeated=False,
    ),
    Case(
        "batch.open_batch",
        lambda e, run: e.open_batch(2, parent=run, key="k").run_count,
        lambda e: e.run(e.started().run_id),
    ),
    Case(
        "batch_items.stream",
        lambda e, b: e.add_items(b, (0, "task"), (1, "task")).batch.accepted,
        _streaming,
    ),
    Case("trigger.create of a debounce key", _debounced),
    Case("debounce.collapse", _debounced, _pushing),
    Case(
        "delayed.reschedule",
        lambda e, run_id: e.call(delayed.reschedule, e.environment, run_id, "2h").status,
        lambda e: e.trigger(delay="1h"),
    ),
    Case(
        "idempotency.reset",
        lambda e, _: e.call(_reset_if_there, e.environment),
        lambda e: e.trigger(idempotency_key="k"),
    ),
    Case("tags.add", _add_tag, _queued),
    Case("metadata.update", _update_metadata, _queued),
    Case("report: metadata", _flush_metadata, _started),
    Case("channel.connect", lambda e, _: e.connect("boot-2"), _started),
    Case("channel.poll", lambda e, _: e.poll() and None, _queued),
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
    Case("report: held", lambda e, a: len(e.heartbeat(a).signals), _started),
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
    Case("heartbeat.grant_grace", lambda e, _: e.call(heartbeat.grant_grace), _started),
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
    Case("checkpoint.suspend", lambda e, frozen: e.suspend(*frozen).ok, _frozen),
    Case("report: restored", lambda e, one: e.go_on(one), _restoring),
    Case("checkpoint.lost", lambda e, one: e.lose_checkpoint(one), _restoring),
    Case(
        "deployment.initialize",
        lambda e, _: e.begin_deployment().status,
        is_repeated=False,
    ),
    Case("deployment.progress", _of_deployment("progress"), _deploying, is_repeated=False),
    Case("deployment.register_worker", _index, _deploying),
    Case("deployment.finalize", _of_deployment("finalize"), _built),
    Case(
        "deployment.promote", lambda e, name: e.promote(name, allow_rollbacks=True).status, _served
    ),
    Case("deployment.fail", _of_deployment("fail", {"message": "no"}), _deploying),
    Case("deployment.cancel", _of_deployment("cancel"), _deploying),
    Case(
        "due.sweep: a deployment takes too long",
        _sweep,
        lambda e: (_deploying(e), e.clock.advance(86_400_000)),
    ),
    Case("due.sweep: a deployment does not come", _sweep, _missing_deployment),
    *map(
        _retained,
        [
            retention.runs,
            retention.batches,
            retention.waitpoints,
            retention.logs,
            retention.requests,
            retention.debounces,
        ],
    ),
    Case("schedule.create", _new_schedule),
    Case("schedule.update", _new_expression, _schedule),
    Case(
        "schedule.activate",
        lambda e, s: e.call(schedule.activate, e.environment, s, active=False).active,
        _schedule,
    ),
    Case("schedule.delete", _deleted, _schedule),
]


MENDING = {
    "batch.recount",
    "block.move_on",
    *(name for name in transitions.writing() if name.startswith("repair.")),
}
"""What the reconciler calls on rows that no transition leaves; its own tests break them."""


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

    assert sorted(transitions.writing() - reached - MENDING) == []


def _opened(address: str) -> tuple[Engine, Mortal]:
    mortal = Mortal(open_database(address, durable=False))
    engine = open_engine(mortal)
    engine.register(task(retry=POLICY), scheduled())
    return engine, mortal


def _play(case: Case, address: str, moment: Moment | None) -> Outcome:
    engine, mortal = _opened(address)
    state = case.prepare(engine)
    if moment is None:
        answer = case.act(engine, state)
    else:
        before = _contents(engine)
        mortal.die(moment)
        with pytest.raises(Died):
            case.act(engine, state)
        engine = reopen(engine, address, seed=2)
        assert engine.violations() == []
        is_lost = moment == "before the commit"
        assert not is_lost or _contents(engine) == before
        answer = case.act(engine, state) if is_lost or case.is_repeated else None
    assert engine.violations() == []
    _work_off(engine)
    outcome = _outcome(engine, answer if case.is_repeated else None)
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
    assert engine.violations() == []


def _stop_schedules(u: Unit, environment_id: str) -> None:
    page = {"environment_id": environment_id, "limit": 100, "offset": 0}
    for row in u.tx.all("schedules_page", ScheduleRow, **page):
        u.tx.run("schedule_activate", id=row.id, active=0, now=u.now)


def _outcome(engine: Engine, answer: Any) -> Outcome:
    contents = _contents(engine)
    runs = engine.call(lambda u: u.tx.all("runs_all", RunRow))
    return Outcome(
        answer,
        Counter((run.task, run.status) for run in runs),
        {
            table: len(contents[table])
            for table in (
                "batch",
                "batch_item",
                "waitpoint",
                "schedule",
                "worker",
                "queue",
                "project",
            )
        },
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
