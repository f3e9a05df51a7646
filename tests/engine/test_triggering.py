"""What a trigger leaves in the database: the run, its first snapshot, and nothing else."""

from __future__ import annotations

import pytest

from support.engine import Engine
from trigger_core.errors import NotFoundError, UnprocessableError
from trigger_platform.engine.concurrency import room
from trigger_platform.engine.unit import Unit
from trigger_platform.reads.runs import SnapshotRow
from trigger_platform.store.rows import RunRow, WaitpointRow


def _runs(engine: Engine) -> list[RunRow]:
    return list(engine.call(lambda u: u.tx.all("runs_all", RunRow)))


def _waitpoint(engine: Engine, run_id: str) -> WaitpointRow | None:
    def read(u: Unit) -> WaitpointRow | None:
        return u.tx.maybe("waitpoints_of_runs", WaitpointRow, run_ids=f'["{run_id}"]')

    return engine.call(read)  # type: ignore[no-any-return]


def _over(engine: Engine) -> str:
    assignment = engine.started()
    engine.succeed(assignment)
    return assignment.run_id


@pytest.mark.behaviour(1)
def test_a_trigger_makes_one_run_with_one_snapshot(engine: Engine) -> None:
    """QUEUED from the moment it exists."""
    run_id = engine.trigger()

    run = engine.run(run_id)
    assert (run.status, run.execution_status, run.sequence) == ("PENDING", "QUEUED", 1)
    assert engine.states(run_id) == ["QUEUED"]
    assert len(_runs(engine)) == 1


@pytest.mark.behaviour(3)
def test_the_first_snapshot_bears_the_moment_of_the_write(engine: Engine) -> None:
    """For a delayed run too: its history begins when it was made, not when it is due."""
    now = engine.clock.now()
    for run_id in (engine.trigger(), engine.trigger(delay="1h")):
        [first] = engine.call(
            lambda u, one=run_id: u.tx.all("read_snapshots", SnapshotRow, run_id=one)
        )
        assert (first.created_at, engine.run(run_id).created_at) == (now, now)


@pytest.mark.behaviour(4, 162)
def test_a_run_that_nobody_waits_for_has_no_waitpoint(engine: Engine) -> None:
    """From its trigger to its end, which may be a cancel."""
    plain, canceled = engine.trigger(), engine.trigger()
    engine.cancel(canceled)
    [assignment] = engine.claim()
    engine.succeed(assignment)

    assert _waitpoint(engine, plain) is None
    assert _waitpoint(engine, canceled) is None
    assert engine.run(canceled).status == "CANCELED"


@pytest.mark.behaviour(5)
def test_a_child_that_is_waited_for_comes_with_its_waitpoint(engine: Engine) -> None:
    """Child, waitpoint and the parent's wait are one transaction: a refused child leaves none of them."""
    parent = engine.started()
    child = engine.trigger(parent_run_id=parent.run_id, resume_parent_on_completion=True)
    made = _waitpoint(engine, child)
    assert made is not None
    assert (made.type, made.status, made.run_id) == ("RUN", "PENDING", child)
    assert engine.run(parent.run_id).execution_status == "EXECUTING_WITH_WAITPOINTS"

    with pytest.raises(UnprocessableError):
        engine.trigger(
            parent_run_id=parent.run_id,
            resume_parent_on_completion=True,
            tags=["t"] * 3 + list("abcdefghijk"),
        )
    assert len(_runs(engine)) == 2


@pytest.mark.behaviour(6)
def test_each_transition_is_published_once(engine: Engine) -> None:
    """In order, and in the end the environment has all its slots."""
    assignment = engine.started()
    engine.succeed(assignment)

    assert engine.published(assignment.run_id) == [1, 2, 3, 4]
    free = engine.call(room, engine.environment).environment
    assert free == engine.environment.concurrency_limit


@pytest.mark.behaviour(8)
def test_a_parent_that_is_over_cannot_wait(engine: Engine) -> None:
    """It is refused before anything is written."""
    parent = _over(engine)
    with pytest.raises(UnprocessableError) as refused:
        engine.trigger(parent_run_id=parent, resume_parent_on_completion=True)

    assert refused.value.code == "PARENT_NOT_EXECUTING"
    assert len(_runs(engine)) == 1


@pytest.mark.behaviour(9)
def test_a_parent_that_is_over_can_still_trigger(engine: Engine) -> None:
    """Nothing waits for anything then."""
    parent = _over(engine)
    child = engine.trigger(parent_run_id=parent)

    assert (engine.run(child).parent_id, engine.run(child).depth) == (parent, 1)


@pytest.mark.behaviour(39)
def test_a_parent_of_another_environment_is_not_found(engine: Engine) -> None:
    """Whether it would wait or not; nothing is written."""
    parent = engine.started()
    other = engine.neighbour()
    for waits in (True, False):
        with pytest.raises(NotFoundError):
            other.trigger(parent_run_id=parent.run_id, resume_parent_on_completion=waits)

    assert len(_runs(engine)) == 1
    assert engine.run(parent.run_id).execution_status == "EXECUTING"
