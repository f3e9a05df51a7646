"""Canceling trees of runs, canceling twice, and what is published of it."""

from __future__ import annotations

import pytest

from support.engine import Engine
from trigger_platform.engine.concurrency import room


def _free(engine: Engine) -> int:
    return int(engine.call(room, engine.environment).environment)


@pytest.mark.behaviour(23, 156)
def test_a_queued_run_that_is_canceled_twice_ends_once(engine: Engine) -> None:
    """At once, with one event, and it was never handed out."""
    run_id = engine.trigger()
    engine.cancel(run_id)
    engine.cancel(run_id)

    assert engine.states(run_id) == ["QUEUED", "FINISHED"]
    assert engine.published(run_id) == [1, 2]
    assert engine.claim() == []
    assert _free(engine) == engine.environment.concurrency_limit


@pytest.mark.behaviour(155)
def test_an_executing_family_is_canceled_through_its_workers(engine: Engine) -> None:
    """Each keeps its slot until its process has ended; then none is left."""
    parent = engine.started()
    child = engine.started(parent_run_id=parent.run_id)
    engine.cancel(parent.run_id)
    engine.sweep()
    for one in (parent, child):
        run = engine.run(one.run_id)
        assert (run.status, run.execution_status) == ("CANCELED", "PENDING_CANCEL")
    assert {signal.run_id for signal in engine.told()} == {parent.run_id, child.run_id}
    assert _free(engine) == engine.environment.concurrency_limit - 2
    for one in (parent, child):
        engine.fail(one, code="TASK_RUN_CANCELLED")

    assert [engine.run(one.run_id).execution_status for one in (parent, child)] == ["FINISHED"] * 2
    assert _free(engine) == engine.environment.concurrency_limit


@pytest.mark.behaviour(155)
def test_canceling_a_parent_that_waits_cancels_what_it_waits_for(engine: Engine) -> None:
    """The end of the child does not wake the parent."""
    parent = engine.started()
    engine.trigger_and_wait(parent, "task")
    [child] = engine.claim()
    engine.start(child)
    engine.cancel(parent.run_id)
    engine.sweep()
    engine.fail(child, code="TASK_RUN_CANCELLED")

    assert engine.run(child.run_id).execution_status == "FINISHED"
    assert [signal.kind for signal in engine.told()] == ["cancel", "cancel"]
    assert engine.run(parent.run_id).execution_status == "PENDING_CANCEL"


@pytest.mark.behaviour(159)
def test_a_second_cancel_changes_nothing_and_the_worker_is_told_until_it_has_heard(
    engine: Engine,
) -> None:
    """The heartbeat repeats the signal; there is one event for the cancel and one for the end."""
    assignment = engine.started()
    engine.cancel(assignment.run_id)
    before = engine.run(assignment.run_id)
    engine.cancel(assignment.run_id)
    assert engine.run(assignment.run_id) == before
    for _ in range(2):
        assert [signal.kind for signal in engine.heartbeat(assignment).signals][-1:] == ["cancel"]
    engine.fail(assignment, code="TASK_RUN_CANCELLED")

    assert engine.published(assignment.run_id) == [1, 2, 3, 4, 5]
    assert engine.states(assignment.run_id)[-2:] == ["PENDING_CANCEL", "FINISHED"]
