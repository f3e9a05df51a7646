"""Workers that hold runs by their snapshots: the same engine through a second door."""

from __future__ import annotations

import json

import pytest

from support.engine import Engine, task
from support.session import Session
from trigger_core.errors import NotFoundError, PermissionDeniedError, UnprocessableError
from trigger_core.retry import RetryPolicy

RETRIED = RetryPolicy(max_attempts=3, min_delay_ms=1_000, randomize=False)


@pytest.fixture
def session(engine: Engine) -> Session:
    """A session that serves a task named ``task`` and one named ``retried``."""
    engine.register(task(), task("retried", retry=RETRIED), content_hash="v2")
    return Session(engine)


def test_a_run_goes_through_its_snapshots(session: Session) -> None:
    """Handed out, begun, ended: each step is named by the one before."""
    given = session.dequeued(payload={"n": 1})
    attempt = session.start(given.run_id, given.lease)
    assert (attempt.run.attempt, attempt.run.execution_status) == (1, "EXECUTING")
    assert attempt.payload is not None
    assert json.loads(attempt.payload.data or "") == {"n": 1}
    ended = session.succeed(given.run_id, attempt.run.sequence)

    assert (ended.verdict.kind, ended.run.status) == ("finished", "COMPLETED_SUCCESSFULLY")
    assert session.next_run() is None


def test_one_run_is_handed_out_at_a_time(session: Session) -> None:
    """A session takes what it has no room for, and says nothing of it while it waits there."""
    session.engine.trigger_many(3)

    assert [session.next_run() is not None for _ in range(4)] == [True, True, True, False]


def test_a_start_whose_answer_was_lost_is_answered_alike(session: Session) -> None:
    """No second attempt begins."""
    given = session.dequeued()
    first = session.start(given.run_id, given.lease)

    assert session.start(given.run_id, given.lease).run == first.run


def test_an_older_snapshot_starts_nothing(session: Session) -> None:
    """The run has moved on since: a wait began and is over."""
    given = session.dequeued()
    session.start(given.run_id, given.lease)
    token_id = session.token()
    session.wait_for_token(given.run_id, token_id)
    with pytest.raises(UnprocessableError, match="not a snapshot of the present attempt"):
        session.start(given.run_id, given.lease)


def test_what_is_no_snapshot_and_what_is_no_run_is_refused(session: Session) -> None:
    given = session.dequeued()
    with pytest.raises(NotFoundError):
        session.start("run_nothing", given.lease)
    with pytest.raises(UnprocessableError):
        session.start(given.run_id, 99)


def test_a_run_of_another_worker_is_not_to_be_had(session: Session) -> None:
    """Our own worker's runs cannot be begun or ended through this door."""
    assignment = session.engine.started()
    with pytest.raises(UnprocessableError):
        session.start(assignment.run_id, assignment.lease)


def test_a_failed_attempt_is_tried_again_from_the_snapshot_of_the_answer(session: Session) -> None:
    """At once: the worker waits, then begins from the new snapshot, under a new lease."""
    first = session.started("retried").run
    ended = session.fail(first.id, first.sequence, retry_ms=1_000)
    assert (ended.verdict.kind, ended.run.attempt) == ("retry_now", 1)
    second = session.start(first.id, ended.run.sequence).run
    assert (second.attempt, second.lease) == (2, second.sequence)
    assert session.start(first.id, ended.run.sequence).run == second

    with pytest.raises(UnprocessableError):
        session.succeed(first.id, first.sequence)
    assert session.succeed(first.id, second.sequence).run.status == "COMPLETED_SUCCESSFULLY"


def test_a_distant_retry_goes_through_the_queue(session: Session) -> None:
    first = session.started("retried").run
    ended = session.fail(first.id, first.sequence, retry_ms=60_000)
    assert ended.verdict.kind == "retry_queued"
    session.engine.advance(60_000)
    again = session.next_run()

    assert again is not None
    assert (again.run_id, again.attempt) == (first.id, 2)


def test_without_a_retry_the_run_has_failed(session: Session) -> None:
    """The worker knows the task's policy; what it does not ask for is not done."""
    first = session.started("retried").run

    assert session.fail(first.id, first.sequence).run.status == "COMPLETED_WITH_ERRORS"


def test_an_end_told_twice_changes_nothing(session: Session) -> None:
    """Its metadata too are applied once."""
    run = session.started().run
    before = session.succeed(run.id, run.sequence, n=1)
    assert json.loads(session.engine.run(run.id).metadata or "") == {"n": 1}
    again = session.succeed(run.id, run.sequence, output="other", n=2)

    assert (again.verdict, again.run.sequence) == (before.verdict, before.run.sequence)
    assert json.loads(session.engine.run(run.id).metadata or "") == {"n": 1}


def test_a_wait_ends_with_a_snapshot_that_says_so(session: Session) -> None:
    """While it lasts the snapshot says that the run waits, and tells of nothing."""
    run = session.started().run
    token_id = session.token()
    session.wait_for_token(run.id, token_id)
    waiting = session.latest(run.id)
    assert (waiting.run.execution_status, waiting.waits) == ("EXECUTING_WITH_WAITPOINTS", [])
    session.complete_token(token_id)
    [over] = session.latest(run.id).waits

    assert session.latest(run.id).run.execution_status == "EXECUTING"
    assert (over.waitpoint.id, over.result.output) == (token_id, '"yes"')


def test_a_wait_for_what_is_over_ends_with_a_snapshot_of_its_own(session: Session) -> None:
    """However often the code waits for it; each time is told."""
    run = session.started().run
    token_id = session.token()
    session.complete_token(token_id)
    seen = [run.sequence]
    for _ in range(2):
        session.wait_for_token(run.id, token_id)
        found = session.latest(run.id)
        assert [one.waitpoint.id for one in found.waits] == [token_id]
        seen.append(found.run.sequence)

    assert seen == sorted(set(seen))


def test_a_parent_hears_of_the_child_it_waits_for(session: Session) -> None:
    parent = session.started().run
    child_id = session.trigger_and_wait(parent.id)
    child = session.next_run()
    assert child is not None
    session.succeed(child_id, session.start(child_id, child.lease).run.sequence, output=42)
    [over] = session.latest(parent.id).waits

    assert (over.waitpoint.run_id, over.result.output, over.result.ok) == (child_id, "42", True)


def test_a_run_that_answers_for_a_key_ends_the_wait_at_once(session: Session) -> None:
    """Twice in one attempt as well."""
    parent = session.started().run
    done = session.started(idempotency_key="k").run
    session.succeed(done.id, done.sequence)
    for _ in range(2):
        assert session.trigger_and_wait(parent.id, idempotency_key="k") == done.id
        [over] = session.latest(parent.id).waits
        assert over.waitpoint.run_id == done.id


def test_all_runs_of_a_batch_come_with_the_snapshot_that_ends_the_wait(session: Session) -> None:
    """Those that ended earlier too, each with its place."""
    engine = session.engine
    parent = session.started().run
    batch = engine.open_batch(3, parent=engine.run(parent.id))
    engine.add_items(batch.id, (0, "task"), (2, "task"))
    engine.add_items(batch.id, (1, "task"))
    for n in range(3):
        child = session.next_run()
        assert child is not None
        session.succeed(child.run_id, session.start(child.run_id, child.lease).run.sequence, n)
        assert (session.latest(parent.id).waits != []) == (n == 2)
    waits = session.latest(parent.id).waits
    runs = {one.edge.position: one.waitpoint.run_id for one in waits if one.waitpoint.run_id}

    assert sorted(runs) == [0, 1, 2]
    assert {engine.run(run_id or "").batch_position: run_id for run_id in runs.values()} == runs
    assert {one.edge.ref for one in waits} == {batch.id}


def test_each_wait_is_told_once(session: Session) -> None:
    """The snapshot that ends a later wait says nothing of an earlier one."""
    run = session.started().run
    tokens = [session.token(), session.token()]
    for token_id in tokens:
        session.wait_for_token(run.id, token_id)
        session.complete_token(token_id)
        assert [one.waitpoint.id for one in session.latest(run.id).waits] == [token_id]


def test_a_cancel_is_read_from_the_snapshot(session: Session) -> None:
    """The session ends the attempt and says so; the run stays canceled."""
    run = session.started().run
    session.engine.cancel(run.id)
    assert session.latest(run.id).run.execution_status == "PENDING_CANCEL"

    assert session.succeed(run.id, run.sequence).run.status == "CANCELED"


def test_a_session_that_falls_silent_loses_its_runs(session: Session) -> None:
    """They are tried again like any other; a heartbeat in time keeps them, a late end ends nothing."""
    kept, lost = session.started("retried").run, session.started("retried").run
    session.engine.advance(20_000)
    session.extend(kept.id, kept.sequence)
    session.engine.advance(15_000)
    assert session.engine.run(lost.id).execution_status == "QUEUED"
    assert session.engine.run(kept.id).execution_status == "EXECUTING"
    assert session.succeed(lost.id, lost.sequence).verdict.kind == "retry_queued"
    session.extend(lost.id, lost.sequence)

    assert session.engine.run(lost.id).execution_status == "QUEUED"


def test_the_runs_of_a_killed_session_go_on_at_once(session: Session) -> None:
    """What it had not begun as well; what it did not have is left alone."""
    executing, given = session.started("retried").run, session.dequeued()
    session.engine.clock.advance(1)
    other = session.engine.trigger()
    assert session.disconnect(executing.id, given.run_id, other, "run_nothing") == 2
    first, second = session.next_run(), session.next_run()

    assert first is not None
    assert second is not None
    assert {first.run_id, second.run_id} == {executing.id, given.run_id}
    assert session.engine.run(executing.id).attempt == 1


def test_a_session_behind_the_current_version_is_given_nothing(session: Session) -> None:
    """It would fail the run: it has not heard yet of the version that it registers."""
    before = session.engine.workers[-1]
    session.engine.register(task(), content_hash="v3")
    session.engine.trigger()
    assert session.next_run(before) is None

    assert session.next_run() is not None


def test_sessions_are_for_development(session: Session) -> None:
    with pytest.raises(PermissionDeniedError):
        Session(session.engine.in_production()).sit()


def test_no_invariant_is_broken(session: Session) -> None:
    """Of runs that wait, have waited and are told, whichever way."""
    engine = session.engine
    parent = session.started().run
    session.trigger_and_wait(parent.id)
    other = session.started().run
    token_id = session.token()
    session.wait_for_token(other.id, token_id)
    session.complete_token(token_id)
    session.wait_for_token(other.id, token_id)

    assert engine.violations(advisory=False) == []
