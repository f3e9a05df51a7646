"""Waiting for tokens and moments: what is told, when, and how often."""

from __future__ import annotations

import json

import pytest

from support.engine import Engine
from trigger_core.schemas.workers import WaitResult
from trigger_platform.engine import token
from trigger_platform.store.rows import WaitpointRow


def _token(engine: Engine, **fields: object) -> str:
    made: token.Made = engine.call(token.create, engine.environment, **fields)
    return made.token.id


def _complete(engine: Engine, token_id: str, output: object = None) -> None:
    engine.call(
        token.complete, engine.environment, token_id, json.dumps(output), "application/json"
    )


def _results(engine: Engine) -> list[WaitResult]:
    return [signal.result for signal in engine.told() if signal.result is not None]


@pytest.mark.behaviour(164)
def test_a_completed_token_gives_its_data_to_the_run(engine: Engine) -> None:
    """And to every other run that waits for it."""
    token_id = _token(engine)
    waiting = [engine.started(), engine.started()]
    for one in waiting:
        engine.wait_for_token(one, token_id)
    _complete(engine, token_id, {"approved": True})

    assert [(one.ok, one.output) for one in _results(engine)] == [(True, '{"approved": true}')] * 2
    states = [engine.run(one.run_id).execution_status for one in waiting]
    assert states == ["EXECUTING", "EXECUTING"]


@pytest.mark.behaviour(165)
def test_a_token_that_is_not_completed_in_time_ends_the_wait_with_an_error(engine: Engine) -> None:
    """The run goes on; whoever completes the token later changes nothing."""
    token_id = _token(engine, timeout_at=engine.clock.now() + 10_000)
    assignment = engine.started()
    engine.wait_for_token(assignment, token_id)
    engine.advance(10_000)
    _complete(engine, token_id, "late")

    [result] = _results(engine)
    assert not result.ok
    assert json.loads(result.output or "")["code"] == "TRIGGER_WAITPOINT_TIMEOUT"
    assert engine.run(assignment.run_id).execution_status == "EXECUTING"


@pytest.mark.behaviour(166)
def test_waits_that_end_together_wake_the_run_once(engine: Engine) -> None:
    """With the results of all of them."""
    assignment = engine.started()
    for ref in "abcde":
        engine.wait(assignment, 10_000, ref)
    engine.advance(10_000)

    assert len({signal.waitpoint_id for signal in engine.told()}) == 5
    assert engine.states(assignment.run_id)[3:] == [
        "EXECUTING_WITH_WAITPOINTS",
        "QUEUED_EXECUTING",
        "EXECUTING",
    ]


@pytest.mark.behaviour(167)
def test_a_wait_that_begins_as_another_ends_holds_the_run(engine: Engine) -> None:
    """What is delivered is what was over; the new wait stays."""
    assignment = engine.started()
    engine.wait(assignment, 10_000, "a")
    engine.clock.advance(10_000)
    late = engine.wait(assignment, 5_000, "b")
    engine.sweep()
    assert engine.run(assignment.run_id).execution_status == "EXECUTING_WITH_WAITPOINTS"
    assert len(engine.told()) == 1
    engine.advance(5_000)

    assert [signal.waitpoint_id for signal in engine.told()] == [late]
    assert engine.run(assignment.run_id).execution_status == "EXECUTING"


@pytest.mark.behaviour(168)
def test_a_wait_for_what_is_over_ends_at_once(engine: Engine) -> None:
    """The run never stops executing; the result comes with the same answer."""
    token_id = _token(engine)
    _complete(engine, token_id, 1)
    assignment = engine.started()
    engine.wait_for_token(assignment, token_id)

    assert [one.output for one in _results(engine)] == ["1"]
    assert engine.states(assignment.run_id)[-1] == "EXECUTING"
    assert engine.run(assignment.run_id).slot_held == 1


@pytest.mark.behaviour(169)
def test_the_first_completion_of_a_token_stays(engine: Engine) -> None:
    """The second is no error and wakes nobody."""
    token_id = _token(engine)
    assignment = engine.started()
    engine.wait_for_token(assignment, token_id)
    _complete(engine, token_id, "first")
    _complete(engine, token_id, "second")

    assert [one.output for one in _results(engine)] == ['"first"']
    stored: WaitpointRow = engine.call(token.find, engine.environment, token_id)
    assert stored.output == '"first"'


@pytest.mark.behaviour(41, 42)
def test_a_token_with_a_key_is_made_once_while_the_key_lives(engine: Engine) -> None:
    """Afterwards the key is kept with the old token, for history."""
    life = engine.clock.now() + 60_000
    first: token.Made = engine.call(token.create, engine.environment, key="k", key_expires_at=life)
    again: token.Made = engine.call(token.create, engine.environment, key="k")
    assert (again.token.id, again.is_cached) == (first.token.id, True)
    engine.clock.advance(60_000)
    fresh: token.Made = engine.call(token.create, engine.environment, key="k")

    assert not fresh.is_cached
    old: WaitpointRow = engine.call(token.find, engine.environment, first.token.id)
    assert (old.key, old.inactive_key) == (None, "k")


@pytest.mark.behaviour(160)
def test_a_canceled_run_is_not_woken_by_its_token(engine: Engine) -> None:
    """The token is completed all the same."""
    token_id = _token(engine)
    assignment = engine.started()
    engine.wait_for_token(assignment, token_id)
    engine.cancel(assignment.run_id)
    engine.fail(assignment, code="TASK_RUN_CANCELLED")
    assert engine.violations() == []
    _complete(engine, token_id, 1)

    assert [signal.kind for signal in engine.told()] == ["cancel"]
    assert engine.run(assignment.run_id).status == "CANCELED"
