"""Two platforms on one database, asked at the same moment: there is one winner, and nobody is stuck."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from support.engine import Engine, open_database, open_engine, task
from support.threads import at_once
from trigger_core.schemas.trigger import Debounce, TriggerOptions, TriggerTask
from trigger_core.schemas.workers import Assignment, Succeeded
from trigger_platform.engine import batch, dequeue, token, trigger, waitpoint
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import BatchRow

MANY = 64
ROUNDS = 20

Platforms = tuple[Engine, Engine]


@pytest.fixture
def platforms(fresh: Callable[[], str]) -> Iterator[Platforms]:
    """Two platforms, as two processes would be."""
    address = fresh()
    one = open_engine(open_database(address, durable=False))
    one.register(task("task"), task("narrow", limit=8))
    two = one.beside(address, seed=2)
    yield one, two
    assert one.violations() == []
    for engine in (one, two):
        engine.db.close()


def _claim(engine: Engine, number: int, limit: int) -> list[Assignment]:
    """Each claimer is a worker of its own."""
    return list(
        engine.call(dequeue.claim, engine.environment, f"boot-{number}", engine.workers, limit)
    )


def _claim_by_many(platforms: Platforms, limit: int) -> list[Assignment]:
    engines = itertools.cycle(platforms)
    found = at_once([partial(_claim, next(engines), number, limit) for number in range(MANY)])
    return [one for runs in found for one in runs]


@pytest.mark.behaviour(101, 118)
def test_one_of_many_claimers_gets_a_run(platforms: Platforms) -> None:
    """The others get nothing."""
    run_id = platforms[0].trigger()

    assert [one.run_id for one in _claim_by_many(platforms, 10)] == [run_id]
    assert platforms[1].states(run_id) == ["QUEUED", "PENDING_EXECUTING"]


@pytest.mark.behaviour(101, 71)
def test_many_claimers_together_stay_within_a_limit(platforms: Platforms) -> None:
    """And no run is handed out twice."""
    platforms[0].trigger_many(MANY, "narrow")
    claimed = [one.run_id for one in _claim_by_many(platforms, 3)]

    assert len(set(claimed)) == len(claimed) == 8


@pytest.mark.behaviour(40)
def test_many_triggers_with_one_key_make_one_run(platforms: Platforms) -> None:
    """One of them made it, the others found it."""
    request = TriggerTask(options=TriggerOptions(idempotency_key="k"))
    engines = itertools.cycle(platforms)
    made = at_once(
        [
            partial(engine.call, trigger.create, engine.environment, "task", request)
            for engine in itertools.islice(engines, MANY)
        ]
    )

    assert len({one.id for one in made}) == 1
    assert [one.is_cached for one in made].count(False) == 1
    assert len(platforms[0].claim()) == 1


@pytest.mark.behaviour(50, 58)
def test_many_triggers_of_a_debounce_key_make_one_run(platforms: Platforms) -> None:
    """Whichever of them writes it."""
    options = TriggerOptions(debounce=Debounce(key="k", delay="5s"))
    engines = itertools.cycle(platforms)
    made = at_once(
        [
            partial(
                engine.call,
                trigger.create,
                engine.environment,
                "task",
                TriggerTask(options=options),
            )
            for engine in itertools.islice(engines, MANY)
        ]
    )

    assert len({one.id for one in made}) == 1


@pytest.mark.behaviour(38)
def test_a_run_asked_for_its_waitpoint_by_many_has_one(platforms: Platforms) -> None:
    """It is made when it is first asked for."""
    run = platforms[0].run(platforms[0].trigger())
    engines = itertools.cycle(platforms)
    found = at_once(
        [partial(engine.call, waitpoint.of_run, run) for engine in itertools.islice(engines, 16)]
    )

    assert len({one.id for one in found}) == 1


@pytest.mark.behaviour(142, 158)
def test_a_cancel_and_a_success_agree(platforms: Platforms) -> None:
    """Whoever is first, the worker is told what the run is, and it is that for ever."""
    one, two = platforms
    for _ in range(ROUNDS):
        assignment = one.started()
        verdict, _ = at_once(
            [
                partial(one.succeed, assignment),
                partial(two.cancel, assignment.run_id),
            ]
        )
        run = one.run(assignment.run_id)
        assert run.execution_status == "FINISHED"
        assert verdict.status == run.status
        assert one.states(run.id).count("FINISHED") == 1


@pytest.mark.behaviour(156, 157)
def test_a_cancel_and_a_claim_agree(platforms: Platforms) -> None:
    """Either it is over and was not handed out, or it was and its worker is told."""
    one, two = platforms
    for number in range(ROUNDS):
        run_id = one.trigger()
        claimed, _ = at_once(
            [partial(_claim, one, number, 1), partial(two.cancel, run_id)],
        )
        state = one.run(run_id).execution_status
        assert state == ("PENDING_CANCEL" if claimed else "FINISHED")


@pytest.mark.behaviour(192, 193)
def test_the_seal_and_the_last_item_agree(platforms: Platforms) -> None:
    """The batch is sealed by one of them, and over once, when its runs are."""
    one, two = platforms
    for _ in range(ROUNDS):
        parent = one.started()
        opened = one.open_batch(2, parent=one.run(parent.run_id))
        one.add_items(opened.id, (0, "task"))
        [first] = one.claim()
        at_once(
            [
                partial(one.add_items, opened.id, (1, "task")),
                partial(two.call, _seal, two.environment.id, opened.id),
                partial(two.succeed, first),
            ]
        )
        [last] = one.claim()
        assert one.batch(opened.id).status == "PROCESSING"
        one.succeed(last)
        assert one.batch(opened.id).status == "COMPLETED"
        assert one.run(parent.run_id).execution_status == "EXECUTING"
        one.succeed(parent)


def _seal(u: Unit, environment_id: str, batch_id: str) -> bool:
    row = u.tx.one("batch_by_id_locked", BatchRow, id=batch_id, environment_id=environment_id)
    return batch.seal(u, row)


@pytest.mark.behaviour(169)
def test_a_token_completed_by_many_wakes_its_run_once(platforms: Platforms) -> None:
    """With the data of the one who was first."""
    one, _ = platforms
    assignment, made = one.started(), one.call(token.create, one.environment).token
    one.wait_for_token(assignment, made.id)
    engines = itertools.cycle(platforms)
    at_once(
        [
            partial(
                engine.call, token.complete, engine.environment, made.id, str(n), "application/json"
            )
            for n, engine in enumerate(itertools.islice(engines, 16))
        ]
    )

    [told] = one.told()
    stored = one.call(token.find, one.environment, made.id)
    assert told.result is not None
    assert told.result.output == stored.output
    assert one.states(assignment.run_id)[-2:] == ["QUEUED_EXECUTING", "EXECUTING"]


@pytest.mark.behaviour(167, 168)
def test_a_wait_that_begins_as_its_token_is_completed_is_never_stuck(platforms: Platforms) -> None:
    """Either it sees the completion, or the completion sees it."""
    one, two = platforms
    for _ in range(ROUNDS):
        assignment, made = one.started(), one.call(token.create, one.environment).token
        at_once(
            [
                partial(one.wait_for_token, assignment, made.id),
                partial(
                    two.call, token.complete, two.environment, made.id, "1", "application/json"
                ),
            ]
        )
        assert one.run(assignment.run_id).execution_status == "EXECUTING"
        told = [*one.told(), *two.told()]
        assert [signal.waitpoint_id for signal in told] == [made.id]


def test_a_timer_and_a_heartbeat_agree(platforms: Platforms) -> None:
    """At the deadline the lease is extended, or it is over and the next heartbeat says so at the latest."""
    one, two = platforms
    for _ in range(ROUNDS):
        assignment = one.started()
        one.clock.advance(30_000)
        reported, _ = at_once([partial(one.heartbeat, assignment), partial(_swept, two)])
        run = one.run(assignment.run_id)
        if run.execution_status == "EXECUTING":
            assert run.due_at == one.clock.now() + 30_000
            assert reported.signals == []
        else:
            assert [signal.kind for signal in one.heartbeat(assignment).signals] == ["stop"]
        one.cancel(assignment.run_id)


def _swept(engine: Engine) -> None:
    engine.sweep()


def test_ten_thousand_children_that_end_at_once_wake_their_parent_once(
    platforms: Platforms,
) -> None:
    """Each result is told once, and the time for it grows with their number and not faster."""
    one, two = platforms
    count = 10_000
    one.set_environment(concurrency_limit=2 * count)
    parent = one.started()
    one.trigger_and_wait(parent, *["task"] * count, batch=True)
    children = [child for _ in range(count // 500) for child in one.claim(500)]
    random.Random(1).shuffle(children)
    reports = [children[n : n + 500] for n in range(0, count, 500)]
    began = time.process_time()
    engines = itertools.cycle((one, two))
    at_once(
        [
            partial(_succeed_all, engine, part)
            for engine, part in zip(engines, reports, strict=False)
        ]
    )

    assert time.process_time() - began < 10
    assert one.states(parent.run_id)[3:] == [
        "EXECUTING_WITH_WAITPOINTS",
        "QUEUED_EXECUTING",
        "EXECUTING",
    ]
    told = [signal.waitpoint_id for signal in (*one.told(), *two.told())]
    assert len(told) == len(set(told)) == count


def _succeed_all(engine: Engine, runs: list[Assignment]) -> None:
    done = [Succeeded(run_id=run.run_id, lease=run.lease, output="1") for run in runs]
    engine.report(completions=done)
