"""Attempts: when one counts, which failures are retried and how, and where it ends."""

from __future__ import annotations

import pytest

from support.engine import Engine, open_engine, task
from trigger_core.retry import ATTEMPTS_CEILING, RetryPolicy
from trigger_core.schemas.workers import Held, Started, StartRetry, TaskDeclaration


@pytest.mark.behaviour(123)
def test_an_attempt_counts_when_it_begins(engine: Engine) -> None:
    """In the pause after a failure the run is still executing its first."""
    assignment = engine.started()
    verdict = engine.fail(assignment, retry_ms=1_000)
    run = engine.run(assignment.run_id)
    assert (verdict.kind, run.execution_status, run.attempt) == ("retry_now", "EXECUTING", 1)
    engine.retry_now(verdict)

    assert engine.run(assignment.run_id).attempt == 2


@pytest.mark.behaviour(125)
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("DISK_SPACE_EXCEEDED", "CRASHED"),
        ("OUTDATED_SDK_VERSION", "CRASHED"),
        ("COULD_NOT_FIND_EXECUTOR", "SYSTEM_FAILURE"),
        ("CONFIGURED_INCORRECTLY", "SYSTEM_FAILURE"),
    ],
)
def test_a_failure_that_no_attempt_can_mend_ends_the_run(
    engine: Engine, code: str, status: str
) -> None:
    """Though attempts are left and the worker asks for one."""
    verdict = engine.fail(engine.started(), code=code, retry_ms=1_000)

    assert (verdict.kind, verdict.status) == ("finished", status)


@pytest.mark.behaviour(128)
@pytest.mark.parametrize(("pause", "kind"), [(29_999, "retry_now"), (30_000, "retry_queued")])
def test_thirty_seconds_decide_where_a_pause_is_spent(
    engine: Engine, pause: int, kind: str
) -> None:
    """A long one gives the slot to others."""
    assignment = engine.started()

    assert engine.fail(assignment, retry_ms=pause).kind == kind
    assert engine.run(assignment.run_id).slot_held == (kind == "retry_now")


@pytest.mark.behaviour(130)
def test_an_old_lease_begins_nothing_and_ends_nothing(engine: Engine) -> None:
    """Begun, retried and completed under it, the run stays as it is."""
    old = engine.started()
    engine.fail(old, retry_ms=60_000)
    engine.advance(60_000)
    [new] = engine.claim()
    before = engine.run(new.run_id)
    engine.start(old)

    assert engine.succeed(old).kind == "stale"
    assert engine.fail(old).kind == "stale"
    assert engine.run(new.run_id) == before


@pytest.mark.behaviour(132)
def test_a_run_that_was_not_handed_out_does_not_begin(engine: Engine) -> None:
    """Whatever lease a worker makes up; it is told to let go."""
    run_id = engine.trigger()
    engine.report(started=[Started(run_id=run_id, lease=1, at=0)])
    reported = engine.report(held=[Held(run_id=run_id, lease=1)])

    assert [signal.kind for signal in reported.signals] == ["stop"]
    assert engine.states(run_id) == ["QUEUED"]


@pytest.mark.behaviour(133)
def test_there_are_250_attempts_at_most() -> None:
    """However many the task asks for."""
    engine = open_engine()
    engine.register(task(retry=RetryPolicy(max_attempts=1_000)))
    run = engine.started()
    for _ in range(ATTEMPTS_CEILING - 1):
        run = engine.retry_now(engine.fail(run, retry_ms=0))
    verdict = engine.fail(run, retry_ms=0)

    assert (run.attempt, verdict.kind) == (250, "finished")
    engine.db.close()


@pytest.mark.behaviour(134)
def test_a_crash_is_retried_by_the_policy_of_the_first_claim() -> None:
    """A later version with another policy does not change it."""
    engine = open_engine()
    engine.register(task(retry=RetryPolicy(min_delay_ms=7_000, randomize=False)))
    assignment = engine.started()
    engine.register(task(retry=RetryPolicy(max_attempts=1)), content_hash="v2")
    verdict = engine.fail(assignment, code="TASK_PROCESS_EXITED_WITH_NON_ZERO_CODE")

    assert (verdict.kind, verdict.delay) == ("retry_queued", 7_000)
    engine.db.close()


@pytest.mark.behaviour(134)
def test_a_task_without_a_policy_has_the_default_one() -> None:
    """Three attempts."""
    engine = open_engine()
    engine.register(TaskDeclaration(id="task", file_path="tasks/example.py"))
    run_id = engine.trigger()
    kinds = []
    for _ in range(3):
        [assignment] = engine.claim()
        kinds.append(engine.fail(assignment, code="TASK_PROCESS_SIGTERM").kind)
        engine.advance(60_000)

    assert kinds == ["retry_queued", "retry_queued", "finished"]
    assert engine.run(run_id).status == "SYSTEM_FAILURE"
    engine.db.close()


@pytest.mark.behaviour(135)
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("TASK_INPUT_ERROR", "COMPLETED_WITH_ERRORS"),
        ("TASK_OUTPUT_ERROR", "COMPLETED_WITH_ERRORS"),
        ("HANDLE_ERROR_ERROR", "CRASHED"),
    ],
)
def test_errors_of_input_and_output_are_not_retried_by_themselves(
    engine: Engine, code: str, status: str
) -> None:
    """Only if the worker asks for it."""
    verdict = engine.fail(engine.started(), code=code)
    assert (verdict.kind, verdict.status) == ("finished", status)

    assert engine.fail(engine.started(), code=code, retry_ms=1_000).kind == "retry_now"


@pytest.mark.behaviour(137)
def test_an_attempt_that_fails_while_it_waits_leaves_no_wait_behind(engine: Engine) -> None:
    """Its children go on; the next attempt is not held by them and not told of them."""
    parent = engine.started()
    engine.trigger_and_wait(parent, "task")
    [child] = engine.claim()
    assert engine.fail(parent, retry_ms=1_000).kind == "retry_queued"
    assert engine.violations() == []
    engine.advance(1_000)
    [again] = engine.claim()
    engine.start(again)
    engine.succeed(child)

    assert engine.told() == []
    assert engine.run(parent.run_id).execution_status == "EXECUTING"


@pytest.mark.behaviour(138)
def test_the_first_start_of_a_run_stays(engine: Engine) -> None:
    """That of the attempt is another one."""
    first = engine.started()
    began = engine.run(first.run_id).started_at
    engine.fail(first, retry_ms=60_000)
    engine.advance(60_000)
    [second] = engine.claim()
    engine.start(second)

    run = engine.run(first.run_id)
    assert (run.started_at, run.attempt_started_at) == (began, engine.clock.now())
    assert (run.attempt, began) == (2, engine.clock.now() - 60_000)


@pytest.mark.behaviour(140)
def test_retries_in_the_queue_end_with_the_policy_alone() -> None:
    """Fifteen returns to the queue are no deliveries that failed."""
    engine = open_engine()
    engine.register(task(retry=RetryPolicy(max_attempts=16)))
    run_id = engine.trigger()
    for _ in range(15):
        [assignment] = engine.claim()
        assert engine.fail(assignment, retry_ms=30_000).kind == "retry_queued"
        engine.advance(30_000)
    [last] = engine.claim()

    assert (last.attempt, engine.run(run_id).delivery_failures) == (16, 0)
    assert engine.succeed(last).status == "COMPLETED_SUCCESSFULLY"
    engine.db.close()


def test_what_a_report_says_twice_counts_once(engine: Engine) -> None:
    """The beginning of an attempt, and the wish for the next one; the rest of the report counts too."""
    engine.register(
        task(retry=RetryPolicy(max_attempts=3, randomize=False)), content_hash="retried"
    )
    run_id = engine.trigger()
    [one] = engine.claim()
    begun = Started(run_id=run_id, lease=one.lease, at=engine.clock.now())
    engine.report(started=[begun, begun], held=[Held(run_id=run_id, lease=one.lease)])
    assert engine.run(run_id).attempt == 1

    verdict = engine.fail(one, retry_ms=1_000)
    again = StartRetry(run_id=run_id, lease=verdict.lease)
    assert [run.attempt for run in engine.report(retries=[again, again]).runs] == [2]
