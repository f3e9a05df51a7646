"""Concurrency limits, and runs that wait without holding a slot."""

from __future__ import annotations

import pytest

from support.engine import Engine, open_engine, task
from trigger_core.schemas.workers import WaitUntil
from trigger_platform.engine.concurrency import room


def _held(engine: Engine) -> int:
    limit = engine.environment.concurrency_limit
    return limit - int(engine.call(lambda u: room(u, engine.environment).environment))


@pytest.mark.behaviour(71)
def test_a_queue_never_holds_more_than_its_limit() -> None:
    """And the next run starts when one ends."""
    engine = open_engine()
    engine.register(task(limit=2))
    runs = engine.trigger_many(5)
    first = engine.claim()
    assert [a.run_id for a in first] == runs[:2]
    assert engine.claim() == []

    engine.succeed(first[0])

    assert [a.run_id for a in engine.claim()] == [runs[2]]
    engine.db.close()


def test_a_full_queue_at_the_front_does_not_hide_the_others() -> None:
    """However many of its runs stand there."""
    engine = open_engine()
    engine.register(task("full", limit=1), task("free"))
    engine.trigger_many(300, "full")
    engine.clock.advance(1)
    free = engine.trigger_many(3, "free")

    claimed = [a.run_id for a in engine.claim(10)]

    assert claimed[1:] == free
    engine.db.close()


@pytest.mark.behaviour(84)
def test_each_concurrency_key_has_the_limit_for_itself() -> None:
    """Tenants do not block each other."""
    engine = open_engine()
    engine.register(task(limit=1))
    for key in ("a", "a", "b", "b", "c"):
        engine.trigger(concurrency_key=key)

    assert sorted(a.concurrency_key or "" for a in engine.claim()) == ["a", "b", "c"]
    engine.db.close()


@pytest.mark.behaviour(69)
def test_the_environment_limit_holds_over_all_queues() -> None:
    """It is the sum."""
    engine = open_engine()
    engine.register(task("a"), task("b"))
    engine.trigger_many(80, "a")
    engine.trigger_many(80, "b")

    assert len(engine.claim(500)) == engine.environment.concurrency_limit == 100
    engine.db.close()


@pytest.mark.behaviour(163)
def test_a_waiting_run_gives_its_slot_to_others_and_goes_on_when_it_is_over() -> None:
    """A queue of one does not block itself."""
    engine = open_engine()
    engine.register(task(limit=1))
    waiting, other = engine.trigger_many(2)
    [assignment] = engine.claim()
    waitpoint = engine.wait(assignment, 20_000)
    assert engine.run(waiting).status == "WAITING_TO_RESUME"
    [second] = engine.claim()
    assert second.run_id == other

    engine.succeed(second)
    engine.advance(20_000)

    [signal] = engine.poll().signals
    assert (signal.kind, signal.waitpoint_id) == ("resume", waitpoint)
    assert engine.run(waiting).execution_status == "EXECUTING"
    assert engine.succeed(assignment).kind == "finished"
    engine.db.close()


def test_a_run_whose_wait_is_over_gets_the_next_slot_before_new_runs() -> None:
    """It stood in line before them."""
    engine = open_engine()
    engine.register(task(limit=1))
    waiting, second, _third = engine.trigger_many(3)
    [assignment] = engine.claim()
    engine.wait(assignment, 1_000)
    [busy] = engine.claim()
    assert busy.run_id == second
    engine.advance(1_000)
    assert engine.run(waiting).execution_status == "QUEUED_EXECUTING"
    assert engine.poll().signals == []

    engine.succeed(busy)

    assert engine.run(waiting).execution_status == "EXECUTING"
    assert engine.claim() == []
    assert _held(engine) == 1
    engine.db.close()


def test_a_wait_until_the_past_ends_at_once(engine: Engine) -> None:
    """The signal comes with the same answer."""
    engine.trigger()
    [assignment] = engine.claim()
    engine.start(assignment)
    wait = WaitUntil(run_id=assignment.run_id, lease=assignment.lease, ref="w", until=0)

    reported = engine.report(waits=[wait])

    assert [s.waitpoint_id for s in reported.signals] == [reported.waits[0].awaited[0].waitpoint_id]


def test_a_wait_asked_for_twice_is_one_wait(engine: Engine) -> None:
    """The worker repeats a report whose answer was lost."""
    engine.trigger()
    [assignment] = engine.claim()

    assert engine.wait(assignment, 60_000, "x") == engine.wait(assignment, 60_000, "x")


def test_a_lost_resume_is_repeated_by_the_heartbeat(engine: Engine) -> None:
    """Nobody waits for ever because one answer got lost."""
    engine.trigger()
    [assignment] = engine.claim()
    waitpoint = engine.wait(assignment, 1_000)
    engine.advance(1_000)
    assert len(engine.poll().signals) == 1

    [signal] = engine.heartbeat(assignment, waiting=[waitpoint]).signals

    assert (signal.kind, signal.waitpoint_id) == ("resume", waitpoint)


@pytest.mark.behaviour(183)
def test_parallel_waits_are_delivered_one_by_one(engine: Engine) -> None:
    """Each as it completes."""
    engine.trigger()
    [assignment] = engine.claim()
    early = engine.wait(assignment, 1_000, "a")
    late = engine.wait(assignment, 5_000, "b")
    engine.advance(1_000)
    assert [s.waitpoint_id for s in engine.poll().signals] == [early]

    engine.advance(4_000)

    assert [s.waitpoint_id for s in engine.poll().signals] == [late]


def test_an_old_attempts_wait_does_not_move_the_next_attempt(engine: Engine) -> None:
    """Edges belong to the attempt that made them."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    engine.wait(assignment, 10_000)
    engine.connect("boot-2")
    [again] = engine.claim()
    engine.start(again)
    engine.advance(10_000)

    assert engine.run(run_id).execution_status == "EXECUTING"
    assert engine.poll().signals == []


def test_why_names_what_holds_a_run_and_what_does_not() -> None:
    """The one question every user asks."""
    engine = open_engine()
    engine.register(task(limit=1))
    first, second = engine.trigger_many(2)
    engine.claim()

    why = engine.why(second)
    assert why.blocked_by == ["queue task/task concurrency 1/1"]
    assert "a worker is connected" in why.clear
    assert engine.why(first).blocked_by == []
    engine.db.close()


def test_why_says_that_no_worker_is_connected() -> None:
    """A run that nobody will take."""
    engine = open_engine()
    engine.register(task())
    run_id = engine.trigger()
    engine.clock.advance(60_000)

    assert engine.why(run_id).blocked_by == ["no worker is connected; start `trigger dev`"]
    engine.db.close()
