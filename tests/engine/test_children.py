"""Waiting for children: one, many, children of children, and what can go wrong meanwhile."""

from __future__ import annotations

import json

import pytest

from support.engine import Engine, task
from trigger_core.schemas.workers import Assignment


def _parent(engine: Engine, **options: object) -> Assignment:
    engine.trigger(**options)
    [parent] = engine.claim()
    engine.start(parent)
    return parent


@pytest.mark.behaviour(170)
def test_the_parent_gets_the_output_of_its_child(engine: Engine) -> None:
    """And holds no slot meanwhile."""
    parent = _parent(engine)
    started = engine.trigger_and_wait(parent, "task")
    assert engine.run(parent.run_id).status == "WAITING_TO_RESUME"
    assert engine.run(parent.run_id).slot_held == 0
    [child] = engine.claim()
    assert child.run_id == started.awaited[0].run_id
    engine.succeed(child, {"answer": 42})

    [told] = engine.told()
    assert told.result is not None
    assert (told.kind, told.result.ok, told.result.output) == ("resume", True, '{"answer": 42}')
    assert engine.run(parent.run_id).execution_status == "EXECUTING"


@pytest.mark.behaviour(170)
def test_the_parent_gets_the_error_of_its_child(engine: Engine) -> None:
    """As the union of errors, in JSON."""
    parent = _parent(engine)
    engine.trigger_and_wait(parent, "task")
    [child] = engine.claim()
    engine.fail(child)

    [told] = engine.told()
    assert told.result is not None
    assert not told.result.ok
    assert json.loads(told.result.output or "")["name"] == "ValueError"


@pytest.mark.behaviour(161, 210)
@pytest.mark.parametrize("end", ["cancel", "expire"])
def test_a_child_that_never_runs_ends_the_wait_with_an_error(engine: Engine, end: str) -> None:
    """Canceled or expired."""
    parent = _parent(engine)
    started = engine.trigger_and_wait(parent, "task", ttl="30s")
    child = started.awaited[0].run_id
    assert child is not None
    if end == "cancel":
        engine.cancel(child)
    else:
        engine.clock.advance(20_000)
        engine.heartbeat(parent)
        engine.advance(11_000)

    [told] = engine.told()
    assert told.result is not None
    assert not told.result.ok


def test_asking_again_under_the_same_name_creates_nothing(engine: Engine) -> None:
    """The answer to a report may be lost, and the report be sent again."""
    parent = _parent(engine)
    first = engine.trigger_and_wait(parent, "task")
    again = engine.trigger_and_wait(parent, "task")

    assert again.awaited[0].run_id == first.awaited[0].run_id
    assert len(engine.claim()) == 1


@pytest.mark.behaviour(183)
def test_waits_run_in_parallel_and_each_is_told_as_it_ends(engine: Engine) -> None:
    """The slot comes back with the last one only."""
    parent = _parent(engine)
    engine.trigger_and_wait(parent, "task", ref="a")
    engine.trigger_and_wait(parent, "task", ref="b")
    first, second = engine.claim()
    engine.succeed(first, 1)
    [told] = engine.told()
    assert told.result is not None
    assert told.result.output == "1"
    assert engine.run(parent.run_id).slot_held == 0

    engine.succeed(second, 2)
    assert len(engine.told()) == 1
    assert engine.run(parent.run_id).slot_held == 1


def test_recursion_in_a_queue_of_one_cannot_deadlock(engine: Engine) -> None:
    """Ten generations in a queue with a limit of 1."""
    engine.register(task(limit=1), content_hash="limited")
    engine.trigger()
    line: list[Assignment] = []
    for _ in range(10):
        [one] = engine.claim()
        engine.start(one)
        engine.trigger_and_wait(one, "task")
        line.append(one)
    [leaf] = engine.claim()
    engine.succeed(leaf)
    for one in reversed(line):
        assert engine.run(one.run_id).execution_status == "EXECUTING"
        engine.succeed(one)

    assert {engine.run(one.run_id).status for one in line} == {"COMPLETED_SUCCESSFULLY"}


def test_two_children_in_the_queue_of_their_parent_do_not_wait_for_it(engine: Engine) -> None:
    """The end of one child does not take the slot the other one needs."""
    engine.register(task(limit=1), content_hash="limited")
    parent = _parent(engine)
    engine.trigger_and_wait(parent, "task", ref="a")
    engine.trigger_and_wait(parent, "task", ref="b")
    [first] = engine.claim()
    engine.succeed(first)
    [second] = engine.claim()
    engine.succeed(second)

    assert engine.run(parent.run_id).execution_status == "EXECUTING"


def test_children_stand_at_their_parents_place_in_the_queue(engine: Engine) -> None:
    """So they are not stuck behind everything that came after the parent."""
    parent = _parent(engine)
    engine.clock.advance(1_000)
    later = engine.trigger()
    engine.clock.advance(1_000)
    started = engine.trigger_and_wait(parent, "task")

    assert [one.run_id for one in engine.claim()] == [started.awaited[0].run_id, later]


def test_children_are_locked_to_their_parents_version(engine: Engine) -> None:
    """Whatever is registered meanwhile."""
    parent = _parent(engine)
    engine.register(task(), content_hash="v2")
    engine.trigger_and_wait(parent, "task")
    [child] = engine.claim()

    assert child.version == parent.version


@pytest.mark.behaviour(36)
def test_a_child_found_by_its_key_is_waited_for_like_a_new_one(engine: Engine) -> None:
    """Also when it is over already."""
    parent = _parent(engine)
    engine.trigger_and_wait(parent, "task", idempotency_key="k")
    [child] = engine.claim()
    engine.succeed(child, "first")
    assert len(engine.told()) == 1
    again = engine.trigger_and_wait(parent, "task", idempotency_key="k", ref="again")

    assert (again.awaited[0].run_id, again.awaited[0].is_cached) == (child.run_id, True)
    [told] = engine.told()
    assert told.result is not None
    assert told.result.output == '"first"'
    assert engine.run(parent.run_id).execution_status == "EXECUTING"


@pytest.mark.behaviour(37)
def test_a_child_that_was_canceled_before_the_wait_answers_with_an_error(engine: Engine) -> None:
    """It keeps its key; its waitpoint is made then, and is over from the start."""
    child = engine.trigger(idempotency_key="k")
    engine.cancel(child)
    parent = _parent(engine)
    answer = engine.trigger_and_wait(parent, "task", idempotency_key="k")

    assert answer.awaited[0].run_id == child
    [told] = engine.told()
    assert told.result is not None
    assert not told.result.ok
    assert engine.run(parent.run_id).execution_status == "EXECUTING"


@pytest.mark.behaviour(172)
def test_a_wait_after_a_batch_belongs_to_no_batch(engine: Engine) -> None:
    """Nor does its child."""
    parent = _parent(engine)
    engine.trigger_and_wait(parent, "task", batch=True)
    [child] = engine.claim()
    engine.succeed(child)
    answer = engine.trigger_and_wait(parent, "task", ref="single")
    [single] = engine.claim()

    assert (answer.batch_id, single.batch_id) == (None, None)
    assert engine.run(single.run_id).batch_position is None


@pytest.mark.behaviour(35, 171)
def test_two_parents_can_wait_for_one_child(engine: Engine) -> None:
    """Both get its output."""
    one, two = _parent(engine), _parent(engine)
    engine.trigger_and_wait(one, "task", idempotency_key="k")
    engine.trigger_and_wait(two, "task", idempotency_key="k")
    [child] = engine.claim()
    engine.succeed(child)

    assert {told.run_id for told in engine.told()} == {one.run_id, two.run_id}


def test_the_waits_of_a_failed_attempt_do_not_hold_the_next_one(engine: Engine) -> None:
    """Edges belong to an attempt."""
    parent = _parent(engine)
    engine.trigger_and_wait(parent, "task")
    [child] = engine.claim()
    engine.connect("boot-2")
    [second] = [one for one in engine.claim() if one.run_id == parent.run_id]
    engine.start(second)
    until = engine.wait(second, 1_000)
    engine.advance(1_000)

    assert [(told.run_id, told.waitpoint_id) for told in engine.told()] == [(second.run_id, until)]
    assert child.run_id != second.run_id


def test_a_refused_child_is_an_error_of_the_call_and_leaves_nothing(engine: Engine) -> None:
    """The parent goes on executing."""
    parent = _parent(engine)
    answer = engine.trigger_and_wait(parent, "task", tags=[str(n) for n in range(11)])

    assert answer.error is not None
    assert answer.error.code == "TOO_MANY_TAGS"
    assert engine.run(parent.run_id).execution_status == "EXECUTING"
    assert engine.claim() == []


@pytest.mark.behaviour(187)
def test_a_batch_is_waited_for_as_a_whole(engine: Engine) -> None:
    """Results come as they are there; the parent goes on with the last."""
    parent = _parent(engine)
    started = engine.trigger_and_wait(parent, *["task"] * 5, batch=True)
    assert started.batch_id is not None
    for n, child in enumerate(engine.claim()):
        assert child.batch_id == started.batch_id
        assert engine.run(parent.run_id).slot_held == 0
        engine.succeed(child, n)

    assert engine.run(parent.run_id).execution_status == "EXECUTING"
    outputs = [told.result.output for told in engine.told() if told.result]
    assert outputs == ["0", "1", "2", "3", "4"]
    assert engine.batch(started.batch_id).status == "COMPLETED"


@pytest.mark.behaviour(27, 201)
def test_a_refused_item_of_a_batch_is_a_failed_run(engine: Engine) -> None:
    """So every place has a result, and the parent goes on even if all are refused."""
    parent = _parent(engine)
    started = engine.trigger_and_wait(parent, "task", "task", batch=True, ttl="soon")

    results = [told.result for told in engine.told()]
    assert len(results) == 2
    assert {result.ok for result in results if result} == {False}
    assert engine.run(parent.run_id).execution_status == "EXECUTING"
    assert started.batch_id is not None
    assert engine.batch(started.batch_id).status == "ABORTED"


@pytest.mark.behaviour(160)
def test_a_canceled_parent_is_not_woken_by_its_children(engine: Engine) -> None:
    """Its cancel goes on."""
    parent = _parent(engine)
    engine.trigger_and_wait(parent, "task")
    [child] = engine.claim()
    engine.cancel(parent.run_id)
    engine.succeed(child)

    assert engine.run(parent.run_id).execution_status == "PENDING_CANCEL"
    assert [told.kind for told in engine.told()] == ["cancel"]


def test_a_lost_result_is_repeated_by_the_heartbeat(engine: Engine) -> None:
    """Signals are handed out once; what a worker still waits for is told again."""
    parent = _parent(engine)
    started = engine.trigger_and_wait(parent, "task")
    [child] = engine.claim()
    engine.succeed(child, "x")
    assert len(engine.told()) == 1
    reported = engine.heartbeat(parent, [started.awaited[0].waitpoint_id])

    [told] = reported.signals
    assert told.result is not None
    assert told.result.output == '"x"'
