"""Suspending and resuming: what is taken or refused, how a run goes on (behaviours 149-154, 173-182)."""

from __future__ import annotations

import json

import pytest

from support.engine import Engine, task
from trigger_core.retry import RetryPolicy
from trigger_core.schemas.workers import Assignment
from trigger_platform.engine import heartbeat, token

WAIT = 60_000


def _executing(engine: Engine, **options: object) -> Assignment:
    engine.trigger(**options)
    [one] = engine.claim()
    engine.start(one)
    return one


def _suspended(engine: Engine, ms: int = WAIT, **options: object) -> Assignment:
    one = _executing(engine, **options)
    assert engine.suspend(one, engine.wait_started(one, ms).sequence).ok
    return one


@pytest.mark.behaviour(173)
def test_a_suspended_run_holds_no_slot_no_lease_and_no_worker(engine: Engine) -> None:
    """It reads as waiting (behaviour 173)."""
    run = engine.run(_suspended(engine).run_id)

    assert (run.execution_status, run.status) == ("SUSPENDED", "WAITING_TO_RESUME")
    assert (run.slot_held, run.lease, run.boot_id, run.due_at) == (0, None, None, None)
    assert engine.violations() == []


@pytest.mark.behaviour(174, 180)
def test_it_is_claimed_with_its_checkpoint_and_goes_on_with_the_same_attempt(
    engine: Engine,
) -> None:
    """And is told how its waits ended (behaviour 174)."""
    one = _suspended(engine)
    engine.advance(WAIT)
    run = engine.run(one.run_id)
    assert (run.execution_status, run.checkpoint_id is not None) == ("QUEUED", True)

    [again] = engine.claim()
    assert again.checkpoint is not None
    assert (again.run_id, again.attempt, again.checkpoint.location) == (one.run_id, 1, "/frozen/1")
    assert [(wait.ref, wait.result.ok) for wait in again.waits] == [("w1", True)]
    engine.go_on(again)

    assert engine.run(one.run_id).execution_status == "EXECUTING"
    assert engine.run(one.run_id).attempt == 1
    assert engine.succeed(again).status == "COMPLETED_SUCCESSFULLY"
    assert engine.violations() == []


@pytest.mark.behaviour(83)
def test_a_resumed_run_stands_where_it_stood(engine: Engine) -> None:
    """Before everything that was triggered since."""
    one = _suspended(engine)
    engine.advance(1)
    engine.trigger()
    engine.advance(WAIT)

    assert engine.claim(1)[0].run_id == one.run_id


@pytest.mark.behaviour(175)
def test_a_checkpoint_of_an_earlier_wait_is_refused(engine: Engine) -> None:
    """The run is in another wait by now; its process lives on (behaviour 175)."""
    one = _executing(engine)
    first = engine.wait_started(one, 1_000, "a")
    engine.advance(1_000)
    engine.wait_started(one, WAIT, "b")

    verdict = engine.suspend(one, first.sequence)

    assert not verdict.ok
    assert "not the latest snapshot" in (verdict.reason or "")
    assert engine.run(one.run_id).execution_status == "EXECUTING_WITH_WAITPOINTS"


@pytest.mark.behaviour(178)
def test_a_checkpoint_that_comes_after_the_wait_is_refused(engine: Engine) -> None:
    """And the run ends as if nothing had been (behaviour 178)."""
    one = _executing(engine)
    started = engine.wait_started(one, 1_000)
    engine.advance(1_000)

    verdict = engine.suspend(one, started.sequence)

    assert (verdict.ok, verdict.reason) == (False, "the run waits no more, it is EXECUTING")
    assert engine.succeed(one).kind == "finished"


@pytest.mark.behaviour(176)
def test_a_second_checkpoint_of_a_suspended_run_is_refused(engine: Engine) -> None:
    """The first is kept (behaviour 176); offered again it is taken again."""
    one = _executing(engine)
    sequence = engine.wait_started(one, WAIT).sequence
    assert engine.suspend(one, sequence, "/frozen/1").ok
    kept = engine.run(one.run_id)

    assert engine.suspend(one, sequence, "/frozen/1").ok
    refused = engine.suspend(one, sequence, "/frozen/2")

    assert (refused.ok, refused.reason) == (False, "the run is suspended already")
    assert engine.run(one.run_id) == kept


def test_a_worker_that_lost_the_run_cannot_suspend_it(engine: Engine) -> None:
    """Its lease is gone."""
    one = _executing(engine)
    sequence = engine.wait_started(one, WAIT).sequence
    engine.connect("boot-2")

    assert engine.suspend(one, sequence).reason == "the lease is gone"


def test_a_canceled_run_is_not_suspended(engine: Engine) -> None:
    """It is about to end."""
    one = _executing(engine)
    sequence = engine.wait_started(one, WAIT).sequence
    engine.cancel(one.run_id)

    assert not engine.suspend(one, sequence).ok


@pytest.mark.behaviour(177)
def test_two_waits_with_two_checkpoints_resume_from_the_newest(engine: Engine) -> None:
    """Each time (behaviour 177)."""
    one = _suspended(engine)
    engine.advance(WAIT)
    [again] = engine.claim()
    engine.go_on(again)
    sequence = engine.wait_started(again, WAIT, "w2").sequence
    assert engine.suspend(again, sequence, "/frozen/2").ok
    engine.advance(WAIT)

    [third] = engine.claim()
    assert third.checkpoint is not None
    assert (third.run_id, third.attempt, third.checkpoint.location) == (one.run_id, 1, "/frozen/2")
    assert [wait.ref for wait in third.waits] == ["w1", "w2"]


@pytest.mark.behaviour(179)
def test_a_batch_parent_goes_on_when_every_child_is_done(engine: Engine) -> None:
    """And not before (behaviour 179)."""
    one = _executing(engine)
    started = engine.trigger_and_wait(one, "task", "task", batch=True)
    assert engine.suspend(one, started.sequence).ok
    first, second = engine.claim()
    engine.succeed(first, 1)
    assert engine.run(one.run_id).execution_status == "SUSPENDED"
    engine.succeed(second, 2)

    [again] = engine.claim()
    assert again.run_id == one.run_id
    assert [(w.position, w.result.output) for w in again.waits] == [(0, "1"), (1, "2")]


def test_a_wait_that_was_told_before_the_suspension_is_told_again(engine: Engine) -> None:
    """The frozen process may not have heard of it."""
    one = _executing(engine)
    engine.wait_started(one, 1_000, "early")
    sequence = engine.wait_started(one, WAIT, "late").sequence
    engine.advance(1_000)
    assert engine.suspend(one, sequence).ok
    engine.advance(WAIT)

    [again] = engine.claim()
    assert [wait.ref for wait in again.waits] == ["early", "late"]


@pytest.mark.behaviour(182)
def test_many_waits_with_large_results_come_with_one_assignment(engine: Engine) -> None:
    """Five hundred of them (behaviour 182)."""
    one = _executing(engine)
    started = engine.trigger_and_wait(one, *["task"] * 500, batch=True)
    assert engine.suspend(one, started.sequence).ok
    while children := engine.claim(100):
        if children[0].checkpoint is not None:
            break
        for child in children:
            engine.succeed(child, "x" * 10_000)

    assert len(children[0].waits) == 500
    assert {len(wait.result.output or "") for wait in children[0].waits} == {10_002}


@pytest.mark.behaviour(154)
def test_a_restore_that_never_begins_keeps_checkpoint_and_waits(engine: Engine) -> None:
    """The run is queued and claimed again with both (behaviour 154)."""
    _suspended(engine)
    engine.advance(WAIT)
    [first] = engine.claim()
    engine.advance(30_000)

    [second] = engine.claim()
    assert second.checkpoint == first.checkpoint
    assert second.waits == first.waits
    assert second.attempt == 1
    assert engine.violations() == []


@pytest.mark.parametrize("sign", ["heartbeat", "wait", "completion"])
def test_whatever_a_restored_run_does_implies_that_it_goes_on(engine: Engine, sign: str) -> None:
    """With the attempt it was in."""
    one = _suspended(engine)
    engine.advance(WAIT)
    [again] = engine.claim()
    if sign == "heartbeat":
        engine.heartbeat(again)
    elif sign == "wait":
        engine.wait(again, WAIT, "w2")
    else:
        engine.succeed(again)

    assert engine.run(one.run_id).attempt == 1
    assert engine.run(one.run_id).checkpoint_id is None
    assert engine.violations() == []


@pytest.mark.behaviour(180)
def test_a_run_whose_code_is_started_anew_is_in_its_next_attempt(engine: Engine) -> None:
    """The cold way (behaviour 180); its old waits do not count."""
    one = _suspended(engine)
    engine.advance(WAIT)
    [again] = engine.claim()
    engine.start(again)

    run = engine.run(one.run_id)
    assert (run.execution_status, run.attempt, run.checkpoint_id) == ("EXECUTING", 2, None)
    assert engine.succeed(again).kind == "finished"


def test_a_run_without_attempts_cannot_be_started_anew(engine: Engine) -> None:
    """It fails."""
    engine.register(task(retry=RetryPolicy(max_attempts=1)), content_hash="once")
    one = _suspended(engine)
    engine.advance(WAIT)
    [again] = engine.claim()
    engine.start(again)

    assert engine.run(one.run_id).status == "COMPLETED_WITH_ERRORS"


def test_a_lost_checkpoint_is_a_failed_attempt(engine: Engine) -> None:
    """Retried by policy, from the beginning."""
    one = _suspended(engine)
    engine.advance(WAIT)
    [again] = engine.claim()
    engine.lose_checkpoint(again)
    run = engine.run(one.run_id)
    assert (run.execution_status, run.attempt, run.checkpoint_id) == ("QUEUED", 1, None)

    engine.advance(60_000)
    [retried] = engine.claim()
    assert (retried.attempt, retried.checkpoint, retried.waits) == (2, None, [])
    engine.lose_checkpoint(retried)
    assert engine.run(one.run_id).execution_status == "PENDING_EXECUTING"
    assert engine.violations() == []


def test_a_lost_checkpoint_of_the_last_attempt_ends_the_run(engine: Engine) -> None:
    """With what happened."""
    engine.register(task(retry=RetryPolicy(max_attempts=1)), content_hash="once")
    one = _suspended(engine)
    engine.advance(WAIT)
    engine.lose_checkpoint(engine.claim()[0])

    run = engine.run(one.run_id)
    assert run.status == "COMPLETED_WITH_ERRORS"
    assert "no such file" in json.loads(run.error or "{}")["message"]


@pytest.mark.behaviour(160)
def test_a_suspended_run_is_canceled_at_once(engine: Engine) -> None:
    """There is no process to ask; the end of its wait changes nothing (behaviour 160)."""
    one = _suspended(engine)
    engine.cancel(one.run_id)
    assert engine.run(one.run_id).execution_status == "FINISHED"
    engine.advance(WAIT)

    assert engine.run(one.run_id).status == "CANCELED"
    assert engine.claim() == []


def test_a_suspended_run_does_not_expire(engine: Engine) -> None:
    """Nor does one that waits to be restored: it has started."""
    one = _suspended(engine, ttl="30s", ms=600_000)
    engine.advance(600_000)
    assert engine.run(one.run_id).execution_status == "QUEUED"
    engine.advance(600_000)

    assert engine.run(one.run_id).execution_status == "QUEUED"


@pytest.mark.behaviour(149)
def test_the_end_of_its_worker_does_not_concern_a_suspended_run(engine: Engine) -> None:
    """Nobody holds it (behaviour 149)."""
    one = _suspended(engine, ms=7_200_000)
    engine.connect("boot-2")
    engine.call(heartbeat.grant_grace)
    engine.advance(3_600_000)

    assert engine.run(one.run_id).execution_status == "SUSPENDED"
    assert engine.states(one.run_id)[-1] == "SUSPENDED"


def test_active_time_counts_across_suspensions(engine: Engine) -> None:
    """Before and after."""
    one = _executing(engine)
    sequence = engine.wait_started(one, WAIT).sequence
    engine.suspend(one, sequence, duration_ms=300)
    engine.advance(WAIT)
    [again] = engine.claim()
    engine.succeed(again)

    assert engine.run(one.run_id).usage_ms == 300


def test_why_says_that_a_run_is_suspended(engine: Engine) -> None:
    """And that its restore is next."""
    one = _suspended(engine)
    why = engine.why(one.run_id)
    assert "suspended" in why.clear[0]
    engine.advance(WAIT)

    assert "it goes on from its checkpoint" in " ".join(engine.why(one.run_id).clear)


@pytest.mark.behaviour(149)
def test_a_suspended_run_that_waits_for_a_person_has_no_timers(engine: Engine) -> None:
    """A year, here; then it goes on."""
    one = _executing(engine)
    made: token.Made = engine.call(token.create, engine.environment)
    assert engine.suspend(one, engine.wait_for_token(one, made.token.id).sequence).ok
    before = engine.run(one.run_id)
    engine.advance(365 * 86_400_000)
    assert engine.run(one.run_id) == before
    assert before.due_at is None

    engine.call(token.complete, engine.environment, made.token.id, "1", "application/json")
    assert [again.run_id for again in engine.claim()] == [one.run_id]


@pytest.mark.behaviour(150)
def test_a_suspended_run_goes_on_when_the_run_it_waits_for_ends(engine: Engine) -> None:
    """Whenever that is."""
    one = _executing(engine)
    assert engine.suspend(one, engine.trigger_and_wait(one, "task").sequence).ok
    [child] = engine.claim()
    assert engine.run(one.run_id).execution_status == "SUSPENDED"
    engine.succeed(child, "done")

    [again] = engine.claim()
    assert (again.run_id, again.attempt) == (one.run_id, 1)
    assert [wait.result.output for wait in again.waits] == ['"done"']


@pytest.mark.behaviour(180)
def test_an_executing_run_cannot_be_continued(engine: Engine) -> None:
    """Nothing happens to it."""
    one = _executing(engine)
    before = engine.run(one.run_id)
    engine.go_on(one)

    assert engine.run(one.run_id) == before
