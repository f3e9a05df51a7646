"""Idempotency keys."""

from __future__ import annotations

import pytest

from support.engine import Engine
from trigger_core.schemas.trigger import BatchItem, TriggerBatch, TriggerOptions, TriggerTask
from trigger_platform.engine import trigger
from trigger_platform.engine.request import RequestKey


def _again(engine: Engine) -> trigger.Created:
    request = TriggerTask(options=TriggerOptions(idempotency_key="k"))
    created: trigger.Created = engine.call(trigger.create, engine.environment, "task", request)
    return created


def _answer(engine: Engine) -> tuple[str, bool]:
    created = _again(engine)
    return created.id, created.is_cached


@pytest.mark.behaviour(28)
def test_a_key_answers_with_the_run_it_made(engine: Engine) -> None:
    """While it lives and after it succeeded."""
    first = _again(engine)
    assert _answer(engine) == (first.id, True)
    [assignment] = engine.claim()
    engine.succeed(assignment)

    assert _answer(engine) == (first.id, True)


@pytest.mark.behaviour(29)
def test_a_key_belongs_to_a_task_and_an_environment(engine: Engine) -> None:
    """Elsewhere it is another key."""
    first = _again(engine)
    other = engine.neighbour()

    assert _answer(other) != (first.id, True)
    assert engine.trigger("another", idempotency_key="k") != first.id
    assert _answer(engine) == (first.id, True)


@pytest.mark.behaviour(31)
@pytest.mark.parametrize(
    ("code", "status"),
    [
        (None, "COMPLETED_WITH_ERRORS"),
        ("TASK_PROCESS_OOM_KILLED", "CRASHED"),
        ("MAX_DURATION_EXCEEDED", "TIMED_OUT"),
        ("COULD_NOT_FIND_TASK", "SYSTEM_FAILURE"),
        ("expired", "EXPIRED"),
    ],
)
def test_a_key_of_a_run_that_ended_badly_makes_a_new_one(
    engine: Engine, code: str | None, status: str
) -> None:
    """The user wants it done; the old run stays in history without the key."""
    first = _again(engine)
    if status == "EXPIRED":
        engine.advance(600_000)
    else:
        [assignment] = engine.claim()
        engine.fail(assignment, code=code)
    assert engine.run(first.id).status == status

    second = _again(engine)
    assert (second.is_cached, second.id == first.id) == (False, False)
    assert engine.run(first.id).idempotency_key is None


@pytest.mark.behaviour(32)
def test_a_canceled_run_keeps_its_key(engine: Engine) -> None:
    """As in the original."""
    first = _again(engine)
    engine.cancel(first.id)

    assert _again(engine).is_cached


@pytest.mark.behaviour(30)
def test_a_key_ends_with_its_life(engine: Engine) -> None:
    """The old run no longer has it."""
    first = engine.trigger(idempotency_key="k", idempotency_key_ttl="60s", ttl="1h")
    engine.clock.advance(59_000)
    assert _again(engine).is_cached
    engine.clock.advance(1_000)

    assert not _again(engine).is_cached
    assert engine.run(first).idempotency_key is None


@pytest.mark.behaviour(33)
def test_a_success_answers_for_its_key_for_thirty_days(engine: Engine) -> None:
    """Unless its life was given."""
    first = _again(engine)
    [assignment] = engine.claim()
    engine.succeed(assignment)
    engine.clock.advance(30 * 86_400_000 - 1)
    assert _answer(engine) == (first.id, True)
    engine.clock.advance(1)

    assert not _again(engine).is_cached


def test_one_key_twice_in_a_batch_is_one_run(engine: Engine) -> None:
    """Within one request too."""
    item = BatchItem(task="task", options=TriggerOptions(idempotency_key="k"))
    batch = engine.call(trigger.create_batch, engine.environment, TriggerBatch(items=[item, item]))

    assert [run.is_cached for run in batch.runs] == [False, True]
    assert len({run.id for run in batch.runs}) == 1


@pytest.mark.parametrize(("hours", "same"), [(23, True), (25, False)])
def test_a_repeated_request_gets_the_same_run_for_a_day(
    engine: Engine, hours: int, same: bool
) -> None:
    """The client may not know that its first request arrived; the answer is not marked as cached."""
    request = TriggerTask()
    first = engine.call(
        trigger.create, engine.environment, "task", request, key=RequestKey("s", "t")
    )
    engine.clock.advance(hours * 3_600_000)
    second = engine.call(
        trigger.create, engine.environment, "task", request, key=RequestKey("s", "t")
    )

    assert (second.id == first.id, second.is_cached) == (same, False)


def test_the_mark_of_a_request_belongs_to_an_environment(engine: Engine) -> None:
    """Another environment's request under the same mark is another request."""
    key = RequestKey("s", "t")
    other = engine.neighbour()
    first = engine.call(trigger.create, engine.environment, "task", TriggerTask(), key=key)
    second = engine.call(trigger.create, other.environment, "task", TriggerTask(), key=key)

    assert second.id != first.id
    assert second.run.environment_id == other.environment.id
