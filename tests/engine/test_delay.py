"""Delays: until when a run waits, and moving that moment."""

from __future__ import annotations

import pytest

from support.engine import Engine
from trigger_core import clock
from trigger_core.errors import InvalidDurationError, NotFoundError, UnprocessableError
from trigger_platform.engine import delayed
from trigger_platform.store.rows import RunRow


def _reschedule(engine: Engine, run_id: str, delay: str) -> RunRow:
    row: RunRow = engine.call(delayed.reschedule, engine.environment, run_id, delay)
    return row


@pytest.mark.behaviour(2, 43)
def test_a_delayed_run_is_queued_when_its_delay_is_over(engine: Engine) -> None:
    """Not before (behaviours 2 and 43)."""
    run_id = engine.trigger(delay="1s")
    engine.advance(999)
    assert engine.claim() == []
    engine.advance(1)

    assert engine.run(run_id).queued_at == engine.clock.now()
    assert [one.run_id for one in engine.claim()] == [run_id]
    assert engine.states(run_id) == ["DELAYED", "QUEUED", "PENDING_EXECUTING"]


def test_a_moment_in_the_past_is_no_delay(engine: Engine) -> None:
    """The run is queued at once."""
    run_id = engine.trigger(delay=clock.to_iso(engine.clock.now() - 1))

    assert engine.run(run_id).status == "PENDING"


@pytest.mark.behaviour(44, 48)
def test_a_rescheduled_run_fires_at_its_new_moment(engine: Engine) -> None:
    """Later than it would have (behaviours 44 and 48)."""
    run_id = engine.trigger(delay="1s")
    _reschedule(engine, run_id, "10s")
    engine.advance(1_000)
    assert engine.run(run_id).status == "DELAYED"
    engine.advance(9_000)

    assert engine.run(run_id).status == "PENDING"


@pytest.mark.behaviour(44)
def test_a_run_can_be_rescheduled_to_fire_earlier(engine: Engine) -> None:
    """Or to a moment given as such."""
    run_id = engine.trigger(delay="1h")
    _reschedule(engine, run_id, clock.to_iso(engine.clock.now() + 5_000))
    engine.advance(5_000)

    assert engine.run(run_id).status == "PENDING"


def test_its_place_in_the_queue_moves_with_it(engine: Engine) -> None:
    """It is as old as its moment, head start included."""
    moved = engine.trigger(delay="1s", priority=2)
    other = engine.trigger(delay="5s")
    _reschedule(engine, moved, "10s")
    engine.advance(10_000)

    assert [one.run_id for one in engine.claim()] == [other, moved]
    assert engine.run(moved).position == (engine.clock.now() - 2_000) * 1000


@pytest.mark.behaviour(45)
def test_only_a_delayed_run_can_be_rescheduled(engine: Engine) -> None:
    """A queued or canceled one is past that (behaviour 45)."""
    queued, canceled = engine.trigger(), engine.trigger(delay="1h")
    engine.cancel(canceled)
    for run_id in (queued, canceled):
        with pytest.raises(UnprocessableError) as refused:
            _reschedule(engine, run_id, "1h")
        assert refused.value.code == "RUN_NOT_DELAYED"


def test_a_bad_delay_changes_nothing(engine: Engine) -> None:
    """Neither does an unknown run."""
    run_id = engine.trigger(delay="1h")
    before = engine.run(run_id)
    with pytest.raises(InvalidDurationError):
        _reschedule(engine, run_id, "soonish")
    with pytest.raises(UnprocessableError):
        _reschedule(engine, run_id, "2020-01-01T00:00:00Z")
    with pytest.raises(NotFoundError):
        _reschedule(engine, "run_x", "1h")

    assert engine.run(run_id) == before


@pytest.mark.behaviour(46)
def test_the_time_to_live_begins_with_the_queue(engine: Engine) -> None:
    """A delay does not use it up (behaviour 46)."""
    run_id = engine.trigger(delay="1h", ttl="1m")
    engine.advance(3_600_000)
    engine.advance(59_999)
    assert engine.run(run_id).status == "PENDING"
    engine.advance(1)

    assert engine.run(run_id).status == "EXPIRED"


@pytest.mark.behaviour(47)
def test_a_canceled_delayed_run_never_enters_the_queue(engine: Engine) -> None:
    """Its deadline is gone (behaviour 47)."""
    run_id = engine.trigger(delay="1s")
    engine.cancel(run_id)
    engine.advance(5_000)

    assert engine.states(run_id) == ["DELAYED", "FINISHED"]
    assert engine.run(run_id).status == "CANCELED"
