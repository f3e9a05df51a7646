"""Each invariant can be broken, is seen to be broken, and is mended where that is safe."""

from __future__ import annotations

import asyncio

import pytest

from support.engine import Engine, task
from trigger_platform.engine.invariants import CHECKS
from trigger_platform.loops.reconciler import Reconciler


def _names(engine: Engine) -> set[str]:
    return {one.partition(" ")[0] for one in engine.violations()}


def _reconcile(engine: Engine) -> Reconciler:
    reconciler = Reconciler(engine.units)
    asyncio.run(reconciler.run_once())
    return reconciler


def _busy(engine: Engine) -> None:
    """Runs in every state, so that a check that is too strict would show."""
    engine.register(task("limited", limit=1), task(), content_hash="v2")
    engine.trigger_many(3, "limited")
    engine.trigger(delay="1h", ttl="1m")
    engine.trigger("unknown")
    waiting, parent, failing, canceled, done, _started = (engine.trigger() for _ in range(6))
    held = {one.run_id: one for one in engine.claim()}
    for one in held.values():
        engine.start(one)
    engine.wait(held[waiting], 60_000)
    engine.trigger_and_wait(held[parent], "task", "limited", batch=True)
    engine.fail(held[failing], retry_ms=40_000)
    engine.cancel(canceled)
    engine.succeed(held[done])


def test_nothing_is_found_where_nothing_is_broken(engine: Engine) -> None:
    """Whatever the runs are doing."""
    _busy(engine)

    assert engine.violations() == []


def _run_that(engine: Engine, state: str) -> str:
    run_id = engine.trigger()
    if state == "QUEUED":
        return run_id
    [one] = engine.claim()
    engine.start(one)
    if state == "FINISHED":
        engine.succeed(one)
    elif state == "WAITING":
        engine.wait(one, 60_000)
    return run_id


ROW = "update run set {} where id = :id"
MENDED: dict[str, tuple[str, str, str]] = {
    "a finished run holds a slot": ("I1", "FINISHED", ROW.format("slot_held = 1")),
    "a finished run has a lease": ("I1", "FINISHED", ROW.format("boot_id = 'b', due_at = 1")),
    "a finished run has waits": (
        "I1",
        "FINISHED",
        "insert into edge values (:id, 1, 'waitpoint_x', -1, 'w', 0, 1)",
    ),
    "a finished run's waitpoint is pending": (
        "I1",
        "FINISHED",
        (
            "insert into waitpoint (id, environment_id, type, status, run_id, created_at)"
            " select 'waitpoint_x', environment_id, 'RUN', 'PENDING', id, 1 from run where id = :id"
        ),
    ),
    "a queued run says that it has expired": ("I1", "QUEUED", ROW.format("status = 'EXPIRED'")),
    "an executing run holds no slot": ("I2", "EXECUTING", ROW.format("slot_held = 0")),
    "a queued run holds a slot": ("I2", "QUEUED", ROW.format("slot_held = 1")),
    "a wait's end got lost": (
        "I5",
        "WAITING",
        (
            "update waitpoint set status = 'COMPLETED' where id in"
            " (select waitpoint_id from edge where run_id = :id)"
        ),
    ),
    "the waits themselves got lost": ("I5", "WAITING", "delete from edge where run_id = :id"),
    "an executing run has no deadline": ("I6", "EXECUTING", ROW.format("due_at = null")),
    "nobody has the lease of an executing run": ("I6", "EXECUTING", ROW.format("boot_id = null")),
    "a pause is not its deadline": ("I6", "QUEUED", ROW.format("available_at = 99, due_at = null")),
    "a wait was told before it was over": (
        "I11",
        "WAITING",
        "update edge set delivered = 1 where run_id = :id",
    ),
    "a wait's end was not told": (
        "I11",
        "EXECUTING",
        "insert into edge select :id, 1, id, -1, 'w', 0, 1 from waitpoint",
    ),
    "the outbox tells of a step that never was": (
        "I12",
        "EXECUTING",
        "update outbox set sequence = 99 where subject_id = :id",
    ),
}


@pytest.mark.parametrize("what", MENDED)
def test_what_is_broken_is_reported_and_mended(engine: Engine, what: str) -> None:
    """By a pass of the reconciler, so that nothing is found afterwards."""
    name, state, corruption = MENDED[what]
    _done_token(engine)
    run_id = _run_that(engine, state)
    assert engine.violations() == []

    engine.sql(corruption, id=run_id)
    assert name in _names(engine)

    _reconcile(engine)
    _reconcile(engine)
    assert engine.violations() == []


def _done_token(engine: Engine) -> None:
    engine.sql(
        "insert into waitpoint (id, environment_id, type, status, created_at)"
        " values ('waitpoint_done', 'e', 'MANUAL', 'COMPLETED', 1)"
    )


LEFT_TO_PEOPLE: dict[str, tuple[str, str, str]] = {
    "a finished run has no outcome": ("I1", "FINISHED", ROW.format("status = 'EXECUTING'")),
    "a step is missing": (
        "I4",
        "EXECUTING",
        "delete from execution_snapshot where run_id = :id and sequence = 2",
    ),
    "a step is illegal": (
        "I4",
        "FINISHED",
        (
            "update execution_snapshot set execution_status = 'DELAYED'"
            " where run_id = :id and sequence = 3"
        ),
    ),
    "a run began as none can": (
        "I4",
        "QUEUED",
        "update execution_snapshot set execution_status = 'SUSPENDED' where run_id = :id",
    ),
    "the last step is elsewhere": ("I4", "QUEUED", ROW.format("execution_status = 'DELAYED'")),
    "attempts exceed the policy": ("I7", "EXECUTING", ROW.format("max_attempts = 0")),
    "attempts go back": (
        "I7",
        "FINISHED",
        "update execution_snapshot set attempt = 0 where run_id = :id and sequence = 4",
    ),
}


@pytest.mark.parametrize("what", LEFT_TO_PEOPLE)
def test_what_cannot_be_known_is_reported_and_left_alone(engine: Engine, what: str) -> None:
    """No repair guesses."""
    name, state, corruption = LEFT_TO_PEOPLE[what]
    run_id = _run_that(engine, state)
    engine.sql(corruption, id=run_id)
    assert name in _names(engine)

    left = asyncio.run(Reconciler(engine.units).run_once())

    assert name in {one.check.name for one in left}
    assert name in _names(engine)


def test_more_slots_than_allowed_are_seen_and_end_by_themselves(engine: Engine) -> None:
    """A limit that is lowered counts at once; what runs may go on."""
    engine.register(task(limit=2), content_hash="two")
    engine.trigger_many(2)
    first, _second = engine.claim()
    engine.sql("update queue set concurrency_limit = 1 where name = 'task/task'")
    engine.sql("update environment set concurrency_limit = 1")
    assert len(engine.violations()) == 2
    assert _names(engine) == {"I3"}

    engine.succeed(first)
    assert engine.violations() == []


def test_two_runs_with_one_key_are_told_apart(engine: Engine) -> None:
    """The older one keeps it."""
    older, newer = sorted([engine.trigger(), engine.trigger()])
    engine.sql("drop index run_idempotency")
    engine.sql("update run set idempotency_key = 'k'")
    assert engine.violations() == [f"I8 {newer}: an older run answers for its idempotency key"]

    _reconcile(engine)

    assert engine.violations() == []
    assert engine.run(older).idempotency_key == "k"


def test_two_runs_of_one_tick_are_seen(engine: Engine) -> None:
    """Nobody can undo what both have done."""
    engine.trigger_many(2)
    engine.sql("drop index run_tick")
    engine.sql("update run set schedule_instance_id = 's', nominal_at = 1")

    assert _names(engine) == {"I10"}


@pytest.mark.parametrize(
    "corruption",
    [
        "update batch set settled = 0",
        "update batch set settled = 2, status = 'PROCESSING', completed_at = null",
        "update batch set settled = settled - 1, status = 'PROCESSING', completed_at = null",
    ],
)
def test_a_batch_that_counts_wrong_is_counted_anew(engine: Engine, corruption: str) -> None:
    """And completed, if it is over."""
    engine.trigger_many(2)
    one, two = engine.claim()
    engine.succeed(one)
    if "completed_at" in corruption:
        engine.succeed(two)
    engine.sql(corruption)
    assert _names(engine) == {"I9"}

    _reconcile(engine)

    assert engine.violations() == []


@pytest.mark.parametrize(
    "corruption",
    [
        "update batch set accepted = 9",
        "update batch set settled = 9",
        "update batch set run_count = 9, status = 'COMPLETED'",
    ],
)
def test_a_batch_with_impossible_numbers_is_seen(engine: Engine, corruption: str) -> None:
    """More accepted than there are items, more settled than accepted, over before its end."""
    engine.trigger_many(2)
    engine.sql(corruption)

    assert "I9" in _names(engine)


def test_a_parent_whose_batch_is_over_is_told(engine: Engine) -> None:
    """The waitpoint was left pending: it is completed, and the parent goes on."""
    engine.trigger()
    [parent] = engine.claim()
    engine.start(parent)
    opened = engine.open_batch(1, parent=engine.run(parent.run_id))
    engine.add_items(opened.id, (0, "task"))
    engine.sql("update batch set status = 'COMPLETED', settled = 1, completed_at = 1")
    engine.sql("update run set batch_id = null")
    assert _names(engine) == {"I9"}
    [child] = engine.claim()
    engine.succeed(child)

    _reconcile(engine)

    assert engine.run(parent.run_id).execution_status == "EXECUTING"
    assert engine.violations() == []


def test_a_run_whose_waits_are_lost_is_tried_again(engine: Engine) -> None:
    """Its attempt counts as failed; the next one waits anew."""
    run_id = _run_that(engine, "WAITING")
    engine.sql("delete from edge")
    _reconcile(engine)

    assert engine.run(run_id).execution_status == "QUEUED"
    assert engine.run(run_id).attempt == 1


def test_a_lease_that_nobody_has_ends(engine: Engine) -> None:
    """And the run is retried."""
    run_id = _run_that(engine, "EXECUTING")
    engine.sql("update run set boot_id = null, due_at = null")
    _reconcile(engine)

    assert engine.run(run_id).execution_status == "QUEUED"


def test_a_parent_is_told_of_a_child_that_ended_unnoticed(engine: Engine) -> None:
    """The one hole a two-store system cannot close (W3)."""
    engine.trigger()
    [parent] = engine.claim()
    engine.trigger_and_wait(parent, "task")
    [child] = engine.claim()
    engine.sql(
        (
            "update run set status = 'COMPLETED_SUCCESSFULLY', execution_status = 'FINISHED',"
            " slot_held = 0, boot_id = null, due_at = null where id = :id"
        ),
        id=child.run_id,
    )
    _reconcile(engine)

    assert engine.run(parent.run_id).execution_status == "EXECUTING"
    assert engine.told()[0].waitpoint_id is not None


def test_a_large_database_is_checked_in_slices(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pass after pass, and then from the beginning again."""
    monkeypatch.setattr("trigger_platform.loops.reconciler._SLICE", 2)
    monkeypatch.setattr("trigger_platform.loops.reconciler._SLICES_AT_ONCE", 2)
    engine.trigger_many(10)
    engine.clock.advance(1)
    last = engine.trigger()
    engine.sql("update run set slot_held = 1 where id = :id", id=last)
    reconciler = Reconciler(engine.units)
    passes = 0
    while not reconciler.mended:
        asyncio.run(reconciler.run_once())
        passes += 1

    assert passes == 3
    assert (reconciler.found, reconciler.mended) == ({"I2": 1}, {"I2": 1})
    engine.sql("update run set slot_held = 1 where id = :id", id=last)
    for _ in range(4):
        asyncio.run(reconciler.run_once())
    assert reconciler.mended == {"I2": 2}


def test_every_invariant_has_a_test_that_breaks_it() -> None:
    """A check that cannot fail checks nothing."""
    broken = {name for name, *_ in [*MENDED.values(), *LEFT_TO_PEOPLE.values()]}

    assert {check.name for check in CHECKS} == broken | {"I3", "I8", "I9", "I10"}
