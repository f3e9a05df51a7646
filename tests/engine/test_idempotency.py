"""Idempotency keys."""

from __future__ import annotations

import pytest

from support.engine import Engine
from trigger_core.schemas.trigger import BatchItem, TriggerBatch, TriggerOptions, TriggerTask
from trigger_platform.engine import trigger


def _again(engine: Engine) -> trigger.Created:
    request = TriggerTask(options=TriggerOptions(idempotency_key="k"))
    created: trigger.Created = engine.call(trigger.create, engine.environment, "task", request)
    return created


def _answer(engine: Engine) -> tuple[str, bool]:
    created = _again(engine)
    return created.id, created.is_cached


def test_a_key_answers_with_the_run_it_made(engine: Engine) -> None:
    """While it lives and after it succeeded."""
    first = _again(engine)
    assert _answer(engine) == (first.id, True)
    [assignment] = engine.claim()
    engine.succeed(assignment)

    assert _answer(engine) == (first.id, True)


def test_a_key_of_a_failed_run_makes_a_new_one(engine: Engine) -> None:
    """The user wants it done."""
    first = _again(engine)
    [assignment] = engine.claim()
    engine.fail(assignment)

    second = _again(engine)
    assert (second.is_cached, second.id == first.id) == (False, False)


def test_a_canceled_run_keeps_its_key(engine: Engine) -> None:
    """As in the original."""
    first = _again(engine)
    engine.cancel(first.id)

    assert _again(engine).is_cached


def test_a_key_ends_with_its_life(engine: Engine) -> None:
    """Thirty days unless said otherwise."""
    engine.trigger(idempotency_key="k", idempotency_key_ttl="60s", ttl="1h")
    engine.clock.advance(59_000)
    assert _again(engine).is_cached
    engine.clock.advance(1_000)

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
    first = engine.call(trigger.create, engine.environment, "task", request, request_token="t")
    engine.clock.advance(hours * 3_600_000)
    second = engine.call(trigger.create, engine.environment, "task", request, request_token="t")

    assert (second.id == first.id, second.is_cached) == (same, False)
