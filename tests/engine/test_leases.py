"""Leases and times to live: what a deadline does, and to which state of a run."""

from __future__ import annotations

import pytest

from support.engine import Engine, open_engine, task
from trigger_core.schemas.workers import Succeeded


@pytest.mark.behaviour(145)
def test_the_last_attempt_of_a_silent_worker_ends_the_run(engine: Engine) -> None:
    """With an error that says so."""
    assignment = engine.started(max_attempts=1)
    engine.advance(30_000)

    run = engine.run(assignment.run_id)
    assert (run.status, run.slot_held) == ("COMPLETED_WITH_ERRORS", 0)
    assert "TASK_RUN_STALLED_EXECUTING" in (run.error or "")


@pytest.mark.behaviour(145)
def test_a_silent_worker_that_waits_is_told_apart(engine: Engine) -> None:
    """The error names the wait."""
    assignment = engine.started(max_attempts=1)
    engine.wait(assignment, 3_600_000)
    engine.advance(30_000)

    assert "STALLED_EXECUTING_WITH_WAITPOINTS" in (engine.run(assignment.run_id).error or "")


@pytest.mark.behaviour(151)
def test_a_heartbeat_under_an_old_lease_keeps_nothing(engine: Engine) -> None:
    """The worker that lost the run cannot keep it for the one that has it."""
    old = engine.started()
    engine.advance(30_000)
    engine.advance(2_000)
    [new] = engine.claim()
    due_at = engine.run(new.run_id).due_at
    engine.clock.advance(10_000)

    assert [signal.kind for signal in engine.heartbeat(old).signals] == ["stop"]
    assert engine.run(new.run_id).due_at == due_at
    engine.heartbeat(new)
    assert engine.run(new.run_id).due_at == engine.clock.now() + 30_000


@pytest.mark.behaviour(152)
def test_the_deadline_of_an_earlier_state_does_nothing(engine: Engine) -> None:
    """Handed out at 0, begun at 20 s: at 30 s nothing is due."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    engine.clock.advance(20_000)
    engine.start(assignment)
    engine.advance(20_000)
    assert engine.run(run_id).execution_status == "EXECUTING"
    engine.succeed(assignment)
    engine.advance(3_600_000)

    assert engine.run(run_id).status == "COMPLETED_SUCCESSFULLY"


@pytest.mark.behaviour(153, 203)
def test_a_lost_run_is_handed_out_again_though_its_time_to_live_is_over(engine: Engine) -> None:
    """It was claimed in time; that the worker was lost is not its fault."""
    run_id = engine.trigger(ttl="40s")
    engine.advance(39_000)
    assert len(engine.claim()) == 1
    engine.advance(30_000)
    assert engine.run(run_id).execution_status == "QUEUED"
    engine.advance(3_600_000)

    assert [one.run_id for one in engine.claim()] == [run_id]


@pytest.mark.behaviour(205)
def test_a_run_that_no_worker_takes_expires(engine: Engine) -> None:
    """Ten minutes in development, also if a worker looks by and has no room."""
    run_id = engine.trigger()
    engine.advance(599_000)
    assert engine.claim(0) == []
    assert engine.run(run_id).status == "PENDING"
    engine.advance(1_000)

    assert engine.run(run_id).status == "EXPIRED"


@pytest.mark.behaviour(208)
@pytest.mark.parametrize("key", [None, "tenant"])
def test_a_claim_that_comes_before_the_sweep_takes_no_expired_run(
    engine: Engine, key: str | None
) -> None:
    """It expires then; those beside it are claimed."""
    expired = engine.trigger(ttl="5s", concurrency_key=key)
    alive = engine.trigger(ttl="5m", concurrency_key=key)
    engine.clock.advance(5_000)

    assert [one.run_id for one in engine.claim()] == [alive]
    assert engine.run(expired).status == "EXPIRED"


@pytest.mark.behaviour(209)
@pytest.mark.parametrize("state", ["handed out", "canceled", "delayed again"])
def test_what_is_not_queued_does_not_expire(engine: Engine, state: str) -> None:
    """The time to live ends with the state it belongs to."""
    run_id = engine.trigger(ttl="20s", **({"delay": "1h"} if state == "delayed again" else {}))
    if state == "handed out":
        engine.claim()
    elif state == "canceled":
        engine.cancel(run_id)
    engine.advance(25_000)

    expected = {"handed out": "DEQUEUED", "canceled": "CANCELED", "delayed again": "DELAYED"}
    assert engine.run(run_id).status == expected[state]


@pytest.mark.behaviour(202, 211)
def test_an_expiry_is_an_end_like_every_other(engine: Engine) -> None:
    """With a snapshot, one event, an error and no slot."""
    run_id = engine.trigger(ttl="1s")
    engine.advance(1_000)

    run = engine.run(run_id)
    assert engine.states(run_id) == ["QUEUED", "FINISHED"]
    assert engine.published(run_id) == [1, 2]
    assert (run.slot_held, run.expired_at) == (0, engine.clock.now())
    assert "1s" in (run.error or "")


@pytest.mark.behaviour(205)
def test_runs_behind_a_full_queue_expire_too() -> None:
    """A queue that has no room keeps nobody alive."""
    engine = open_engine()
    engine.register(task(limit=1))
    engine.started()
    waiting = engine.trigger(ttl="10s")
    engine.advance(10_000)

    assert engine.run(waiting).status == "EXPIRED"
    engine.db.close()


def test_a_worker_that_heard_no_answer_and_asks_again_is_given_what_it_had(engine: Engine) -> None:
    """At once, and not when the lease is over; within what it asks for, under the same lease."""
    engine.trigger_many(4)
    lost = engine.claim(2)
    again = engine.poll(3, is_repeated=True).runs

    assert {(one.run_id, one.lease) for one in again[:2]} == {
        (one.run_id, one.lease) for one in lost
    }
    assert len(again) == 3
    assert len(engine.claim()) == 1


def test_a_report_that_is_repeated_is_given_what_its_answer_had(engine: Engine) -> None:
    """What was reported counts once."""
    engine.trigger_many(2)
    [first] = engine.claim(1)
    done = Succeeded(run_id=first.run_id, lease=first.lease)
    lost = engine.report(completions=[done], claim=1)
    again = engine.report(completions=[done], claim=1, is_repeated=True)

    assert again.verdicts == lost.verdicts
    assert [one.lease for one in again.runs] == [one.lease for one in lost.runs]


def test_what_has_begun_or_belongs_to_others_is_not_handed_out_again(engine: Engine) -> None:
    """Nor anything to a worker that asks for the first time, or for nothing."""
    engine.started()
    engine.trigger()
    [pending] = engine.claim()
    assert engine.poll().runs == []
    assert engine.poll(0, is_repeated=True).runs == []
    again = engine.poll(is_repeated=True).runs
    assert [one.run_id for one in again] == [pending.run_id]
    neighbour = engine.neighbour()
    neighbour.connect(engine.boot)

    assert neighbour.poll(is_repeated=True).runs == []
