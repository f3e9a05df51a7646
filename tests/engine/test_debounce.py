"""Debounce: triggers of one key collapse into one delayed run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.engine import Engine, task
from trigger_core.errors import UnprocessableError
from trigger_core.schemas.trigger import BatchItem, Debounce, TriggerBatch, TriggerOptions
from trigger_platform.engine import trigger
from trigger_platform.store.rows import DebounceRow


def _trigger(engine: Engine, key: str = "k", delay: str = "5s", **options: Any) -> str:
    shape = {name: options.pop(name) for name in ("mode", "max_delay") if name in options}
    return engine.trigger(debounce=Debounce(key=key, delay=delay, **shape), **options)


def _delay(engine: Engine, run_id: str) -> int:
    return (engine.run(run_id).delay_until or 0) - engine.clock.now()


@pytest.mark.behaviour(49)
def test_the_first_trigger_makes_a_delayed_run(engine: Engine) -> None:
    """It waits as long as asked (behaviour 49)."""
    run_id = _trigger(engine)

    assert engine.run(run_id).status == "DELAYED"
    assert _delay(engine, run_id) == 5_000
    assert engine.claim() == []


@pytest.mark.behaviour(50)
def test_triggers_of_one_key_are_one_run(engine: Engine) -> None:
    """However many there are (behaviours 50 and 58)."""
    ids = {_trigger(engine) for _ in range(20)}

    assert len(ids) == 1
    engine.advance(5_000)
    assert [one.run_id for one in engine.claim()] == list(ids)


@pytest.mark.behaviour(51)
def test_each_trigger_moves_the_run_later_never_earlier(engine: Engine) -> None:
    """A shorter delay does not pull it back (behaviour 51)."""
    run_id = _trigger(engine)
    engine.clock.advance(3_000)
    _trigger(engine)
    assert _delay(engine, run_id) == 5_000
    _trigger(engine, delay="1s")

    assert _delay(engine, run_id) == 5_000
    engine.advance(2_000)
    assert engine.run(run_id).status == "DELAYED"
    engine.advance(3_000)
    assert engine.run(run_id).status == "PENDING"


@pytest.mark.behaviour(60)
def test_triggers_within_a_second_write_nothing(engine: Engine) -> None:
    """Moments are rounded down to whole seconds (behaviour 60)."""
    run_id = _trigger(engine)
    before = engine.run(run_id)
    engine.clock.advance(999)
    _trigger(engine)

    assert engine.run(run_id) == before


@pytest.mark.behaviour(52)
def test_other_keys_tasks_and_environments_are_other_runs(engine: Engine) -> None:
    """The key belongs to a task of an environment (behaviour 52)."""
    engine.register(task(), task("other"), content_hash="v2")
    chosen = Debounce(key="k", delay="5s")
    ids = {
        _trigger(engine),
        _trigger(engine, "other key"),
        engine.trigger("other", debounce=chosen),
        _trigger(engine.add_environment("elsewhere", task())),
    }

    assert len(ids) == 4


@pytest.mark.behaviour(53)
def test_a_run_that_has_left_its_delay_collects_no_more(engine: Engine) -> None:
    """Queued or canceled (behaviour 53)."""
    first = _trigger(engine)
    engine.advance(5_000)
    second = _trigger(engine)
    engine.cancel(second)
    third = _trigger(engine)

    assert len({first, second, third}) == 3
    assert engine.run(first).status == "PENDING"


@pytest.mark.behaviour(54, 55)
def test_beyond_the_longest_delay_the_old_run_fires_and_a_new_one_collects(engine: Engine) -> None:
    """At its own time (behaviours 54 and 55)."""
    first = _trigger(engine, max_delay="8s")
    engine.clock.advance(3_000)
    assert _trigger(engine, max_delay="8s") == first
    engine.clock.advance(1_000)
    second = _trigger(engine, max_delay="8s")

    assert second != first
    assert _trigger(engine, max_delay="8s") == second
    engine.advance(4_000)
    assert (engine.run(first).status, engine.run(second).status) == ("PENDING", "DELAYED")


@pytest.mark.behaviour(55)
def test_without_a_longest_delay_the_run_can_be_pushed_for_ever(engine: Engine) -> None:
    """Nobody asked for a bound (behaviour 55)."""
    run_id = _trigger(engine)
    for _ in range(100):
        engine.advance(4_000)
        assert _trigger(engine) == run_id


@pytest.mark.behaviour(56)
def test_leading_keeps_the_data_of_the_first_trigger(engine: Engine) -> None:
    """It is the default (behaviour 56)."""
    run_id = _trigger(engine, payload=1, tags=["a"], metadata={"n": 1})
    engine.clock.advance(1_000)
    _trigger(engine, payload=2, tags=["b"], metadata={"n": 2})

    run = engine.run(run_id)
    assert (engine.payload(run_id).data, run.tags, run.metadata) == ("1", '["a"]', '{"n":1}')


@pytest.mark.behaviour(57)
def test_trailing_takes_the_data_of_the_newest_trigger(engine: Engine) -> None:
    """Payload, metadata, tags, attempts, duration and machine, as far as given (behaviour 57)."""
    run_id = _trigger(
        engine, mode="trailing", payload=1, tags=["a"], machine="micro", max_attempts=2
    )
    _trigger(
        engine,
        mode="trailing",
        payload=2,
        metadata={"n": 2},
        max_attempts=5,
        max_duration=60,
        machine="large-1x",
    )

    run = engine.run(run_id)
    assert engine.payload(run_id).data == "2"
    assert (run.metadata, run.seed_metadata, run.tags) == ('{"n":2}', '{"n":2}', '["a"]')
    assert (run.max_attempts, run.max_duration, run.machine) == (5, 60, "large-1x")
    engine.advance(5_000)
    [assignment] = engine.claim()
    assert (assignment.payload, assignment.metadata) == ("2", {"n": 2})


@pytest.mark.behaviour(62)
def test_parents_that_wait_share_the_debounced_child(engine: Engine) -> None:
    """Both get its result (behaviour 62)."""
    engine.trigger_many(2)
    parents = engine.claim()
    chosen = Debounce(key="k", delay="5s")
    waits = [engine.trigger_and_wait(one, "task", debounce=chosen) for one in parents]
    assert len({wait.awaited[0].run_id for wait in waits}) == 1
    engine.advance(5_000)
    [child] = engine.claim()
    engine.succeed(child, "shared")

    assert sorted(told.run_id for told in engine.told()) == sorted(one.run_id for one in parents)


@pytest.mark.behaviour(63)
@pytest.mark.parametrize(
    "asked",
    [
        {"delay": "2030-01-01T00:00:00Z"},
        {"delay": "soon"},
        {"delay": "500ms"},
        {"delay": "101000d"},
        {"delay": "9" * 5_000 + "s"},
        {"delay": "5s", "max_delay": "5s"},
        {"delay": "5s", "max_delay": "later"},
    ],
)
def test_what_would_never_collapse_is_refused(engine: Engine, asked: dict[str, str]) -> None:
    """Rather than silently making a run each time (behaviour 63)."""
    with pytest.raises(UnprocessableError) as refused:
        _trigger(engine, **asked)

    assert refused.value.code == "INVALID_DEBOUNCE"


def test_a_debounced_run_whose_delay_has_passed_is_refused(engine: Engine) -> None:
    """``delay`` beats ``debounce.delay``, and this one leaves no time to collect."""
    with pytest.raises(UnprocessableError):
        engine.trigger(debounce=Debounce(key="k", delay="5s"), delay="2020-01-01T00:00:00Z")


def test_one_key_twice_in_a_batch_is_one_run(engine: Engine) -> None:
    """And the batch is over when that run is."""
    item = BatchItem(task="task", options=TriggerOptions(debounce=Debounce(key="k", delay="5s")))
    made = engine.call(trigger.create_batch, engine.environment, TriggerBatch(items=[item, item]))
    assert [run.is_cached for run in made.runs] == [False, True]
    engine.advance(5_000)
    [assignment] = engine.claim()
    engine.succeed(assignment)

    assert engine.batch(made.id).status == "COMPLETED"


def test_an_idempotency_key_beats_a_debounce_key(engine: Engine) -> None:
    """The run it names is the answer, whatever state it is in."""
    first = _trigger(engine, idempotency_key="i")
    engine.advance(5_000)

    assert _trigger(engine, idempotency_key="i") == first


def test_the_pushed_run_keeps_its_place_in_the_queue(engine: Engine) -> None:
    """It has waited longer than those that came meanwhile."""
    run_id = _trigger(engine)
    before = engine.run(run_id).position
    engine.clock.advance(3_000)
    _trigger(engine)

    assert engine.run(run_id).position == before


def test_a_key_leaves_nothing_behind(engine: Engine) -> None:
    """Its row goes with the delay, and with a cancel."""
    _trigger(engine, "a")
    engine.cancel(_trigger(engine, "b"))
    engine.advance(5_000)

    def left(key: str) -> Any:
        names = {"environment_id": engine.environment.id, "task": "task", "key": key}
        return engine.call(lambda u: u.tx.maybe("debounce_get", DebounceRow, **names))

    assert (left("a"), left("b")) == (None, None)


def test_a_history_tells_of_the_push(engine: Engine) -> None:
    """Each move later is a step."""
    run_id = _trigger(engine)
    engine.clock.advance(2_000)
    _trigger(engine)

    assert engine.states(run_id) == ["DELAYED", "DELAYED"]
    assert json.loads(engine.run(run_id).annotations or "{}")["debounceKey"] == "k"
