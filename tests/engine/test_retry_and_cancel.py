"""Failing, trying again, being canceled, losing the worker."""

from __future__ import annotations

import pytest

from support.engine import Engine, open_engine, task
from trigger_core.retry import RetryPolicy
from trigger_core.schemas.workers import Started
from trigger_platform.engine import heartbeat


@pytest.mark.behaviour(123)
def test_a_short_retry_keeps_its_worker_and_slot(engine: Engine) -> None:
    """Below 30 s the worker waits and starts the next attempt under a new lease."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    verdict = engine.fail(assignment, retry_ms=1_000)
    assert (verdict.kind, verdict.delay) == ("retry_now", 1_000)
    assert engine.run(run_id).slot_held == 1

    again = engine.retry_now(verdict)

    assert again.attempt == 2
    assert again.lease > assignment.lease
    assert engine.succeed(again).status == "COMPLETED_SUCCESSFULLY"
    assert engine.run(run_id).attempt == 2


@pytest.mark.behaviour(78, 128)
def test_a_long_retry_goes_back_to_the_queue(engine: Engine) -> None:
    """From 30 s on the slot is given back and the run comes again when the pause is over."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    verdict = engine.fail(assignment, retry_ms=30_000)
    assert (verdict.kind, verdict.delay) == ("retry_queued", 30_000)
    assert engine.run(run_id).slot_held == 0
    assert engine.claim() == []

    engine.advance(30_000)

    [again] = engine.claim()
    assert (again.run_id, again.attempt) == (run_id, 2)


def test_a_repeated_failure_report_gets_the_same_verdict(engine: Engine) -> None:
    """Whether the retry is immediate or queued."""
    for retry_ms in (1_000, 60_000):
        engine.trigger()
        [assignment] = engine.claim()
        assert engine.fail(assignment, retry_ms=retry_ms) == engine.fail(
            assignment, retry_ms=retry_ms
        )


@pytest.mark.behaviour(124)
def test_attempts_end_with_the_policy() -> None:
    """The last attempt's failure is final and keeps the error."""
    engine = open_engine()
    engine.register(task(retry=RetryPolicy(max_attempts=2)))
    run_id = engine.trigger()
    [assignment] = engine.claim()
    again = engine.retry_now(engine.fail(assignment, retry_ms=10))

    verdict = engine.fail(again, retry_ms=10)

    assert (verdict.kind, verdict.status) == ("finished", "COMPLETED_WITH_ERRORS")
    assert "it broke" in (engine.run(run_id).error or "")
    engine.db.close()


@pytest.mark.behaviour(139)
def test_max_attempts_of_the_trigger_beats_the_task(engine: Engine) -> None:
    """One attempt means one."""
    engine.trigger(max_attempts=1)
    [assignment] = engine.claim()

    assert engine.fail(assignment, retry_ms=10).kind == "finished"


@pytest.mark.parametrize(
    ("code", "kind", "status"),
    [
        ("TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE", "retry_queued", None),
        ("TASK_PROCESS_SIGSEGV", "retry_queued", None),
        ("TASK_PROCESS_OOM_KILLED", "finished", "CRASHED"),
        ("TASK_PROCESS_MAYBE_OOM_KILLED", "finished", "CRASHED"),
        ("MAX_DURATION_EXCEEDED", "finished", "TIMED_OUT"),
        ("TASK_RUN_CANCELLED", "finished", "CANCELED"),
        ("TASK_OUTPUT_ERROR", "finished", "COMPLETED_WITH_ERRORS"),
        ("COULD_NOT_FIND_TASK", "finished", "SYSTEM_FAILURE"),
    ],
)
def test_each_kind_of_crash_has_its_end(
    engine: Engine, code: str, kind: str, status: str | None
) -> None:
    """Without a retry block only some codes look up the policy (protocol H.4)."""
    engine.trigger()
    [assignment] = engine.claim()

    verdict = engine.fail(assignment, code=code)

    assert (verdict.kind, verdict.status) == (kind, status)


@pytest.mark.behaviour(143)
def test_a_lost_worker_before_the_start_costs_no_attempt(engine: Engine) -> None:
    """The lease runs out and the run is handed out again."""
    run_id = engine.trigger(max_attempts=1)
    engine.claim()
    engine.advance(30_000)

    [again] = engine.claim()

    assert (again.run_id, again.attempt) == (run_id, 1)
    assert engine.run(run_id).delivery_failures == 1


@pytest.mark.behaviour(79, 144)
def test_a_run_that_is_never_begun_is_given_up_in_the_end(engine: Engine) -> None:
    """Twelve deliveries without a start are a system failure, and the queue moves on."""
    run_id = engine.trigger()
    for _ in range(12):
        engine.claim()
        engine.advance(30_000)

    assert engine.run(run_id).status == "SYSTEM_FAILURE"


@pytest.mark.behaviour(145, 146)
def test_a_silent_worker_costs_an_attempt_and_the_policy_decides(engine: Engine) -> None:
    """A stall is a failure like any other."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    engine.start(assignment)
    engine.advance(30_000)
    assert engine.run(run_id).execution_status == "QUEUED"

    engine.advance(2_000)

    [again] = engine.claim()
    assert again.attempt == 2


@pytest.mark.behaviour(147)
def test_a_heartbeat_keeps_the_lease(engine: Engine) -> None:
    """A run may take as long as it likes."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    engine.start(assignment)
    for _ in range(10):
        engine.advance(20_000)
        engine.heartbeat(assignment)

    assert engine.run(run_id).execution_status == "EXECUTING"
    assert engine.succeed(assignment).kind == "finished"


def test_a_heartbeat_of_a_run_that_is_gone_is_answered_with_stop(engine: Engine) -> None:
    """The worker kills the process and says nothing more."""
    engine.trigger()
    [assignment] = engine.claim()
    engine.advance(30_000)

    [signal] = engine.heartbeat(assignment).signals
    assert signal.kind == "stop"


def test_a_new_process_in_the_seat_frees_the_runs_of_the_old_one_at_once(engine: Engine) -> None:
    """Nobody waits for leases after a kill -9."""
    started = engine.trigger()
    engine.clock.advance(1)
    handed = engine.trigger()
    assignments = engine.claim()
    engine.start(assignments[0])

    engine.connect("boot-2")

    again = {a.run_id: a.attempt for a in engine.claim()}
    assert again == {started: 2, handed: 1}


def test_a_process_that_lost_its_seat_gets_nothing(engine: Engine) -> None:
    """Two workers never share a seat."""
    engine.connect("boot-2")
    engine.boot = "boot-1"
    engine.trigger()

    assert engine.claim() == []


def test_leases_survive_a_restart_of_the_server(engine: Engine) -> None:
    """The worker could not report while the server was away."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    engine.start(assignment)
    engine.clock.advance(3_600_000)
    engine.call(heartbeat.grant_grace)
    engine.sweep()

    assert engine.run(run_id).execution_status == "EXECUTING"
    assert engine.succeed(assignment).kind == "finished"


@pytest.mark.behaviour(47, 156)
@pytest.mark.parametrize("state", ["DELAYED", "QUEUED", "RUN_CREATED", "retrying"])
def test_a_run_without_a_process_is_canceled_at_once(engine: Engine, state: str) -> None:
    """Nobody has to be asked."""
    run_id = engine.trigger(
        "later" if state == "RUN_CREATED" else "task",
        **({"delay": "1h"} if state == "DELAYED" else {}),
    )
    if state in {"RUN_CREATED", "retrying"}:
        claimed = engine.claim()
        if claimed:
            engine.fail(claimed[0], retry_ms=60_000)
    engine.cancel(run_id)

    run = engine.run(run_id)
    assert (run.status, run.execution_status) == ("CANCELED", "FINISHED")
    engine.advance(3_600_000)
    assert engine.claim() == []


@pytest.mark.behaviour(157)
@pytest.mark.parametrize("state", ["handed out", "executing", "waiting"])
def test_a_run_with_a_process_is_canceled_through_its_worker(engine: Engine, state: str) -> None:
    """It is CANCELED at once, and final when the process has ended."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    if state != "handed out":
        engine.start(assignment)
    if state == "waiting":
        engine.wait(assignment, 60_000)
    engine.cancel(run_id)

    assert engine.run(run_id).execution_status == "PENDING_CANCEL"
    assert [s.kind for s in engine.poll().signals] == ["cancel"]
    assert engine.poll().signals == []
    assert [s.kind for s in engine.heartbeat(assignment).signals] == ["cancel"]
    assert engine.fail(assignment, code="TASK_RUN_CANCELLED").status == "CANCELED"
    assert engine.run(run_id).execution_status == "FINISHED"


@pytest.mark.behaviour(142)
def test_a_cancel_is_sticky(engine: Engine) -> None:
    """A success that arrives after the cancel ends as canceled; the output is kept."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    engine.cancel(run_id)

    assert engine.succeed(assignment, "late").status == "CANCELED"
    output = engine.call(lambda u: u.tx.scalar("output_of", run_id=run_id))
    assert output == '"late"'


@pytest.mark.behaviour(148)
def test_a_cancel_whose_worker_is_gone_ends_with_the_lease(engine: Engine) -> None:
    """No run stays half canceled."""
    run_id = engine.trigger()
    engine.claim()
    engine.cancel(run_id)
    engine.advance(30_000)

    assert engine.run(run_id).execution_status == "FINISHED"
    assert engine.run(run_id).status == "CANCELED"


@pytest.mark.behaviour(158)
def test_canceling_a_finished_run_changes_nothing(engine: Engine) -> None:
    """It is idempotent."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    engine.succeed(assignment)
    before = engine.run(run_id)
    engine.cancel(run_id)

    assert engine.run(run_id) == before


def test_canceling_a_parent_cancels_its_children(engine: Engine) -> None:
    """And theirs."""
    parent = engine.trigger(delay="1h")
    child = engine.trigger(parent_run_id=parent, delay="1h")
    grandchild = engine.trigger(parent_run_id=child, delay="1h")
    engine.cancel(parent)
    engine.sweep()

    assert [engine.run(r).status for r in (parent, child, grandchild)] == ["CANCELED"] * 3
    assert engine.run(grandchild).root_id == parent


def test_a_late_started_report_is_ignored_after_a_cancel(engine: Engine) -> None:
    """The cancel does not go back to executing."""
    run_id = engine.trigger()
    [assignment] = engine.claim()
    engine.cancel(run_id)
    engine.report(started=[Started(run_id=run_id, lease=assignment.lease, at=0)])

    assert engine.run(run_id).execution_status == "PENDING_CANCEL"
