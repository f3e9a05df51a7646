"""Batches whose items are streamed."""

from __future__ import annotations

import pytest

from support.engine import Engine
from trigger_core.errors import TriggerError


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


def test_an_item_that_comes_twice_makes_one_run(engine: Engine) -> None:
    """Clients stream everything again after a broken connection."""
    batch = engine.open_batch(2)
    engine.add_items(batch.id, (0, "task"))
    added = engine.add_items(batch.id, (0, "task"), (1, "task"))

    assert (added.accepted, added.repeated) == (1, 1)
    assert len(engine.claim()) == 2


def test_items_out_of_order_run_in_order(engine: Engine) -> None:
    """By their index."""
    batch = engine.open_batch(3)
    engine.add_items(batch.id, (2, "task"), (0, "task"), (1, "task"))

    assert [engine.run(one.run_id).batch_position for one in engine.claim()] == [0, 1, 2]


def test_an_item_beyond_the_end_is_refused(engine: Engine) -> None:
    """And nothing of its chunk remains."""
    batch = engine.open_batch(1)
    with pytest.raises(TriggerError, match="beyond the end"):
        engine.add_items(batch.id, (0, "task"), (1, "task"))

    assert engine.claim() == []


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
