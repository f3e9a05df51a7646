"""Batches whose items are streamed."""

from __future__ import annotations

import pytest

from support.engine import Engine
from trigger_core.errors import TriggerError
from trigger_platform.engine import batch as batches
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import BatchItemRow


@pytest.mark.behaviour(185)
def test_a_batch_is_over_when_all_its_runs_are(engine: Engine) -> None:
    """Sealed with the last item."""
    batch = engine.open_batch(3)
    engine.add_items(batch.id, (0, "task"), (1, "task"))
    assert engine.batch(batch.id).status == "PENDING"
    engine.add_items(batch.id, (2, "task"))
    assert engine.batch(batch.id).status == "PROCESSING"
    for one in engine.claim():
        engine.succeed(one)

    assert engine.batch(batch.id).status == "COMPLETED"


def test_items_may_be_over_before_the_batch_is_sealed(engine: Engine) -> None:
    """It completes with the seal then."""
    batch = engine.open_batch(2)
    engine.add_items(batch.id, (0, "task"))
    [one] = engine.claim()
    engine.succeed(one)
    engine.add_items(batch.id, (1, "task"))
    [two] = engine.claim()
    engine.succeed(two)

    assert engine.batch(batch.id).status == "COMPLETED"


@pytest.mark.behaviour(188)
def test_an_item_that_comes_twice_makes_one_run(engine: Engine) -> None:
    """Clients stream everything again after a broken connection."""
    batch = engine.open_batch(2)
    engine.add_items(batch.id, (0, "task"))
    added = engine.add_items(batch.id, (0, "task"), (1, "task"))

    assert (added.accepted, added.repeated) == (1, 1)
    assert len(engine.claim()) == 2


@pytest.mark.behaviour(190)
def test_items_out_of_order_run_in_order(engine: Engine) -> None:
    """By their index."""
    batch = engine.open_batch(3)
    engine.add_items(batch.id, (2, "task"), (0, "task"), (1, "task"))

    assert [engine.run(one.run_id).batch_position for one in engine.claim()] == [0, 1, 2]


@pytest.mark.behaviour(195)
def test_an_item_beyond_the_end_is_refused(engine: Engine) -> None:
    """And nothing of its chunk remains."""
    batch = engine.open_batch(1)
    with pytest.raises(TriggerError, match="beyond the end"):
        engine.add_items(batch.id, (0, "task"), (1, "task"))

    assert engine.claim() == []


@pytest.mark.behaviour(191, 193)
def test_a_batch_that_nobody_seals_lets_its_parent_go_on_with_an_error(engine: Engine) -> None:
    """After half an hour."""
    engine.trigger()
    [parent] = engine.claim()
    engine.start(parent)
    batch = engine.open_batch(2, parent=engine.run(parent.run_id))
    assert engine.run(parent.run_id).slot_held == 0
    for _ in range(181):
        engine.clock.advance(10_000)
        engine.heartbeat(parent)
    engine.sweep()

    assert engine.batch(batch.id).status == "ABORTED"
    assert engine.run(parent.run_id).execution_status == "EXECUTING"
    with pytest.raises(TriggerError, match="given up"):
        engine.add_items(batch.id, (0, "task"))


def test_a_waiting_parent_waits_for_streamed_items_too(engine: Engine) -> None:
    """From the opening of the batch to the end of its last run."""
    engine.trigger()
    [parent] = engine.claim()
    engine.start(parent)
    batch = engine.open_batch(2, parent=engine.run(parent.run_id))
    engine.add_items(batch.id, (0, "task"))
    [one] = engine.claim()
    engine.succeed(one)
    assert engine.run(parent.run_id).slot_held == 0
    engine.add_items(batch.id, (1, "task"))
    [two] = engine.claim()
    engine.succeed(two)

    assert engine.run(parent.run_id).execution_status == "EXECUTING"


def test_a_key_finds_the_batch_it_made(engine: Engine) -> None:
    """For thirty days."""
    batch = engine.open_batch(1, key="k")
    assert engine.open_batch(1, key="k").id == batch.id
    engine.clock.advance(31 * 86_400_000)
    assert engine.open_batch(1, key="k").id != batch.id


def test_too_many_items_are_refused(engine: Engine) -> None:
    """A thousand unless the server is set up otherwise."""
    with pytest.raises(TriggerError, match="at most 1000"):
        engine.open_batch(1_001)


@pytest.mark.behaviour(26, 186)
def test_a_batch_with_an_item_that_cannot_be_triggered_is_over_with_the_others(
    engine: Engine,
) -> None:
    """The item is a run that ended before any attempt, published like every run."""
    batch = engine.open_batch(2)
    engine.add_items(batch.id, (0, "task"), tags=[str(n) for n in range(11)])
    engine.add_items(batch.id, (1, "task"))
    [good] = engine.claim()
    assert engine.batch(batch.id).status == "PROCESSING"
    engine.succeed(good)

    assert engine.batch(batch.id).status == "COMPLETED"
    [bad, _] = engine.call(_items, batch.id)
    run = engine.run(bad.run_id)
    assert (run.status, run.execution_status, run.attempt) == ("SYSTEM_FAILURE", "FINISHED", 0)
    assert "BATCH_ITEM_COULD_NOT_TRIGGER" in (run.error or "")
    assert engine.published(run.id) == [1]


@pytest.mark.behaviour(191)
def test_a_batch_that_is_sealed_in_time_is_not_given_up(engine: Engine) -> None:
    """However long its runs take."""
    parent = engine.started()
    batch = engine.open_batch(1, parent=engine.run(parent.run_id))
    engine.add_items(batch.id, (0, "task"), delay="2h")
    for _ in range(361):
        engine.clock.advance(10_000)
        engine.heartbeat(parent)
    engine.sweep()

    assert engine.batch(batch.id).status == "PROCESSING"
    assert engine.run(parent.run_id).execution_status == "EXECUTING_WITH_WAITPOINTS"


@pytest.mark.behaviour(191)
def test_a_batch_is_given_up_once(engine: Engine) -> None:
    """A second sweep that has read it before changes nothing, and the parent is told once."""
    parent = engine.started()
    batch = engine.open_batch(2, parent=engine.run(parent.run_id))
    engine.clock.advance(1_800_000)
    engine.heartbeat(parent)
    for _ in range(2):
        engine.call(batches.expire, batch)

    assert engine.batch(batch.id).status == "ABORTED"
    [told] = engine.told()
    assert told.result is not None
    assert "Only 0 of 2" in (told.result.output or "")


@pytest.mark.behaviour(196)
def test_an_item_that_is_refused_is_decided_once(engine: Engine) -> None:
    """Sent again, corrected, it is a repeated item."""
    batch = engine.open_batch(2)
    engine.add_items(batch.id, (0, "task"), ttl="soon")
    again = engine.add_items(batch.id, (0, "task"))

    assert (again.accepted, again.repeated) == (0, 1)
    assert engine.claim() == []


@pytest.mark.behaviour(198)
def test_a_large_batch_holds_up_no_other_environment(engine: Engine) -> None:
    """Each environment has slots of its own."""
    other = engine.neighbour()
    engine.trigger_many(1_000)
    run_id = other.trigger()

    assert [one.run_id for one in other.claim()] == [run_id]
    assert len(engine.claim(500)) == engine.environment.concurrency_limit


@pytest.mark.behaviour(200)
def test_errors_of_a_batch_stand_at_their_positions(engine: Engine) -> None:
    """With one run that could be triggered it completes; without any it is ABORTED."""
    mixed, lost = engine.open_batch(3), engine.open_batch(1)
    engine.add_items(mixed.id, (2, "task"), (0, "task"), ttl="soon")
    engine.add_items(mixed.id, (1, "task"))
    engine.add_items(lost.id, (0, "task"), ttl="soon")
    [good] = engine.claim()
    engine.succeed(good)

    codes = [item.error_code for item in engine.call(_items, mixed.id)]
    assert codes == ["INVALID_DURATION", None, "INVALID_DURATION"]
    assert (engine.batch(mixed.id).status, engine.batch(mixed.id).failed) == ("COMPLETED", 2)
    assert engine.batch(lost.id).status == "ABORTED"


@pytest.mark.behaviour(193)
def test_a_sealed_batch_accepts_nothing_more(engine: Engine) -> None:
    """The client did not hear of the seal; all of it is repeated."""
    batch = engine.open_batch(1)
    engine.add_items(batch.id, (0, "task"))
    again = engine.add_items(batch.id, (0, "task"))

    assert (again.accepted, again.repeated) == (0, 1)


@pytest.mark.behaviour(189)
def test_items_of_a_batch_that_does_not_exist_are_refused(engine: Engine) -> None:
    """One of another environment does not exist either."""
    batch = engine.open_batch(1)
    with pytest.raises(TriggerError, match="no batch"):
        engine.neighbour().add_items(batch.id, (0, "task"))


def _items(u: Unit, batch_id: str) -> list[BatchItemRow]:
    return u.tx.all("batch_items", BatchItemRow, batch_id=batch_id)
