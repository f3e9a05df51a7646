"""From trigger to the end: the ordinary life of a run."""

from __future__ import annotations

import json

import pytest

from support.engine import Engine, open_engine, task
from trigger_core.errors import InvalidDurationError, NotFoundError, UnprocessableError
from trigger_core.retry import RetryPolicy
from trigger_core.schemas.trigger import BatchItem, TriggerBatch, TriggerOptions
from trigger_platform.engine import trigger


@pytest.mark.behaviour(6)
def test_a_triggered_run_is_claimed_started_and_completed(engine: Engine) -> None:
    """Each step leaves a snapshot; the end keeps output and releases the slot."""
    run_id = engine.trigger(payload={"n": 1})
    [assignment] = engine.claim()
    engine.start(assignment)

    verdict = engine.succeed(assignment, {"ok": True})

    assert (verdict.kind, verdict.status) == ("finished", "COMPLETED_SUCCESSFULLY")
    assert engine.states(run_id) == ["QUEUED", "PENDING_EXECUTING", "EXECUTING", "FINISHED"]
    assert json.loads(assignment.payload or "") == {"n": 1}
    run = engine.run(run_id)
    assert (run.slot_held, run.boot_id, run.due_at, run.attempt) == (0, None, None, 1)


def test_a_completion_alone_implies_the_start(engine: Engine) -> None:
    """A short run costs one report: its EXECUTING step is still in the history."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    engine.succeed(assignment)

    assert engine.states(run_id) == ["QUEUED", "PENDING_EXECUTING", "EXECUTING", "FINISHED"]


@pytest.mark.behaviour(131)
def test_a_repeated_completion_gets_the_same_answer_and_changes_nothing(engine: Engine) -> None:
    """A worker may send a report twice when the answer was lost."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    first = engine.succeed(assignment)
    before = engine.run(run_id)

    assert engine.succeed(assignment, "other") == first
    assert engine.run(run_id) == before


@pytest.mark.behaviour(130)
def test_a_stale_lease_is_refused(engine: Engine) -> None:
    """A worker that lost a run cannot finish it."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    engine.advance(31_000)
    [again] = engine.claim()

    assert engine.succeed(assignment).kind == "stale"
    assert engine.run(run_id).execution_status == "PENDING_EXECUTING"
    assert engine.succeed(again).kind == "finished"


def test_runs_are_claimed_in_the_order_they_were_triggered(engine: Engine) -> None:
    """First in, first out within a millisecond too, when triggered together."""
    batch = engine.trigger_many(20)

    assert [a.run_id for a in engine.claim()] == batch


@pytest.mark.behaviour(82)
def test_priority_is_a_head_start_in_seconds(engine: Engine) -> None:
    """A run with priority 10 passes runs that are up to ten seconds older."""
    older = engine.trigger()
    engine.clock.advance(9_000)
    urgent = engine.trigger(priority=10)
    engine.clock.advance(2_000)
    late = engine.trigger(priority=10)

    assert [a.run_id for a in engine.claim()] == [urgent, older, late]


@pytest.mark.behaviour(2, 43)
def test_a_delayed_run_waits_for_its_moment(engine: Engine) -> None:
    """It cannot be claimed before, and is claimed after."""
    run_id = engine.trigger(delay="1h")
    engine.advance(3_599_000)
    assert engine.claim() == []

    engine.advance(1_000)

    assert [a.run_id for a in engine.claim()] == [run_id]
    assert engine.states(run_id)[:2] == ["DELAYED", "QUEUED"]


def test_an_unreadable_delay_is_refused_and_nothing_is_written(engine: Engine) -> None:
    """The original ignores it silently."""
    with pytest.raises(InvalidDurationError):
        engine.trigger(delay="soonish")

    assert engine.claim() == []


@pytest.mark.behaviour(202)
def test_a_run_that_does_not_start_in_time_expires(engine: Engine) -> None:
    """The time to live counts from the queue entry."""
    run_id = engine.trigger(ttl="5m")
    engine.advance(300_000)

    assert engine.run(run_id).status == "EXPIRED"
    assert engine.claim() == []


@pytest.mark.behaviour(46)
def test_the_time_to_live_of_a_delayed_run_begins_when_it_is_queued(engine: Engine) -> None:
    """Not when it was triggered."""
    run_id = engine.trigger(delay="10m", ttl="5m")
    engine.advance(600_000)
    engine.advance(299_000)
    assert engine.run(run_id).status == "PENDING"

    engine.advance(1_000)
    assert engine.run(run_id).status == "EXPIRED"


@pytest.mark.behaviour(203, 204)
def test_a_run_that_started_never_expires(engine: Engine) -> None:
    """A retry in the queue has no time to live."""
    run_id = engine.trigger(ttl="1m")
    [assignment] = engine.claim()
    engine.fail(assignment, retry_ms=120_000)
    engine.advance(119_000)

    assert engine.run(run_id).status == "PENDING"


def test_too_many_tags_are_refused(engine: Engine) -> None:
    """Ten is the limit."""
    with pytest.raises(UnprocessableError, match="at most 10 tags"):
        engine.trigger(tags=[f"t{i}" for i in range(11)])


def test_an_unknown_parent_is_refused(engine: Engine) -> None:
    """A run cannot hang from nothing."""
    with pytest.raises(NotFoundError):
        engine.trigger(parent_run_id="run_doesnotexist")


def test_a_batch_is_created_whole_or_not_at_all(engine: Engine) -> None:
    """One bad item refuses all of them."""
    items = [BatchItem(task="task"), BatchItem(task="task", options=TriggerOptions(delay="x"))]
    with pytest.raises(InvalidDurationError):
        engine.call(trigger.create_batch, engine.environment, TriggerBatch(items=items))

    assert engine.claim() == []


@pytest.mark.behaviour(103, 104)
def test_a_run_of_an_unknown_task_waits_for_a_version_that_has_it(engine: Engine) -> None:
    """It is accepted, put aside at the claim, and released by the registration."""
    run_id = engine.trigger("later")
    assert engine.claim() == []
    assert engine.run(run_id).status == "PENDING_VERSION"
    assert engine.run(run_id).status_reason == "TASK_NEVER_REGISTERED"

    engine.register(task(), task("later"), content_hash="v2")

    assert [a.task for a in engine.claim()] == ["later"]


def test_the_same_code_keeps_its_version(engine: Engine) -> None:
    """Saving without a change makes no new version."""
    first = engine.register(task(), content_hash="same")
    assert engine.register(task(), content_hash="same") == first
    second = engine.register(task(), content_hash="other")
    assert (first.split(".")[0], int(second.split(".")[1])) == (
        second.split(".")[0],
        int(first.split(".")[1]) + 1,
    )


@pytest.mark.behaviour(121)
def test_a_run_keeps_the_version_it_started_with(engine: Engine) -> None:
    """A retry after a reload runs the old code while the old generation lives."""
    engine.trigger()
    [assignment] = engine.claim()
    engine.fail(assignment, retry_ms=60_000)
    engine.register(task(), content_hash="v2")
    engine.advance(60_000)

    [again] = engine.claim()
    assert again.version == assignment.version


def test_a_run_moves_to_the_newest_version_when_its_own_is_gone(engine: Engine) -> None:
    """In development only: the old generation ended with its process."""
    engine.trigger()
    [assignment] = engine.claim()
    engine.fail(assignment, retry_ms=60_000)
    engine.register(task(), content_hash="v2")
    engine.workers = engine.workers[-1:]
    engine.advance(60_000)

    [again] = engine.claim()
    assert again.version != assignment.version


def test_a_replay_is_a_new_run_with_the_same_payload() -> None:
    """Any run can be replayed, a finished one too."""
    engine = open_engine()
    engine.register(task(retry=RetryPolicy(max_attempts=1)))
    old = engine.trigger(payload=[1, 2], tags=["a"])
    [assignment] = engine.claim()
    engine.fail(assignment)

    new = engine.replay(old)

    [again] = engine.claim()
    assert (again.run_id, again.payload, again.tags, again.is_replay) == (new, "[1,2]", ["a"], True)
    assert engine.run(old).status == "COMPLETED_WITH_ERRORS"
    engine.db.close()
