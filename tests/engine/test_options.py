"""What a trigger can ask for: limits, machines, keys, time to live."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from support.engine import Engine, task
from trigger_core.duration import NO_LIMIT_S
from trigger_core.errors import NotFoundError, UnprocessableError
from trigger_core.machines import PRESETS, choose, smallest
from trigger_core.retry import RetryPolicy
from trigger_core.schemas.workers import Assignment
from trigger_platform.engine import idempotency


def _claim_one(engine: Engine) -> Assignment:
    [assignment] = engine.claim()
    return assignment


@pytest.mark.behaviour(19)
@pytest.mark.parametrize(
    ("asked", "declared", "given"),
    [
        (None, 60, 60),
        (30, 60, 30),
        (1, 60, 5),
        (NO_LIMIT_S, 60, None),
        (NO_LIMIT_S, None, None),
        (None, None, None),
    ],
)
def test_the_longest_duration_is_the_triggers_else_the_tasks(
    engine: Engine, asked: float | None, declared: float | None, given: float | None
) -> None:
    """At least five seconds; one number means none at all (behaviour 19)."""
    engine.register(task(max_duration=declared), content_hash="v2")
    engine.trigger(max_duration=asked)

    assert _claim_one(engine).max_duration == given


def test_no_limit_stays_no_limit_when_the_run_is_tried_again(engine: Engine) -> None:
    """The task's does not come back with the second attempt."""
    engine.register(task(max_duration=60), content_hash="v2")
    engine.trigger(max_duration=NO_LIMIT_S)
    engine.fail(_claim_one(engine), retry_ms=60_000)
    engine.advance(60_000)

    assert _claim_one(engine).max_duration is None


@pytest.mark.behaviour(139)
def test_the_attempts_asked_for_win_over_the_tasks(engine: Engine) -> None:
    """Else the task's are frozen when the run is claimed (behaviour 139)."""
    engine.register(task(retry=RetryPolicy(max_attempts=7)), content_hash="v2")
    asked, plain = engine.trigger(max_attempts=2), engine.trigger()
    engine.claim()

    assert (engine.run(asked).max_attempts, engine.run(plain).max_attempts) == (2, 7)


@pytest.mark.behaviour(136)
def test_the_active_time_of_attempts_adds_up(engine: Engine) -> None:
    """Failed ones count too (behaviour 136)."""
    run_id = engine.trigger()
    verdict = engine.fail(_claim_one(engine), retry_ms=10, duration_ms=100)
    engine.advance(10)
    again = engine.retry_now(verdict)
    engine.fail(again, duration_ms=100)

    assert engine.run(run_id).usage_ms == 200


@pytest.mark.behaviour(122)
@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ({"preset": "large-1x"}, "large-1x"),
        ({"preset": "gigantic"}, "small-1x"),
        ({"cpu": 1, "memory": 1.5}, "medium-1x"),
        ({"cpu": 0.1, "memory": 0.1}, "micro"),
        ({"cpu": 64, "memory": 1}, "small-1x"),
        (None, None),
    ],
)
def test_a_machine_is_chosen_by_name_or_by_size(
    engine: Engine, machine: dict[str, Any] | None, expected: str | None
) -> None:
    """What is unknown or too large falls back to the default (engine 3.3)."""
    engine.register(task(machine=machine), content_hash="v2")
    engine.trigger()

    assert _claim_one(engine).machine == expected


@pytest.mark.behaviour(122)
def test_the_smallest_preset_that_fits_is_chosen() -> None:
    """Every preset fits itself."""
    for preset in PRESETS.values():
        assert smallest(preset.cpu, preset.memory_gb) == preset.name
    assert smallest(9, 1) is None
    assert choose(None, 1, None) == "small-1x"


@pytest.mark.behaviour(126)
@pytest.mark.parametrize("code", ["TASK_PROCESS_OOM_KILLED", "TASK_PROCESS_MAYBE_OOM_KILLED"])
def test_out_of_memory_without_a_larger_machine_is_a_crash(engine: Engine, code: str) -> None:
    """Attempts that are left do not help (behaviour 126)."""
    run_id = engine.trigger(max_attempts=5)
    engine.fail(_claim_one(engine), code=code, retry_ms=10)

    assert engine.run(run_id).status == "CRASHED"


@pytest.mark.behaviour(127)
def test_out_of_memory_is_tried_once_on_the_larger_machine(engine: Engine) -> None:
    """Through the queue, after the usual pause; a second time it is a crash (behaviour 127)."""
    policy = RetryPolicy(max_attempts=5, randomize=False, out_of_memory_machine="large-1x")
    engine.register(task(retry=policy, machine={"preset": "micro"}), content_hash="v2")
    run_id = engine.trigger()
    first = _claim_one(engine)
    verdict = engine.fail(first, code="TASK_PROCESS_OOM_KILLED")
    assert (first.machine, verdict.kind, verdict.delay) == ("micro", "retry_queued", 1_000)
    engine.advance(1_000)
    second = _claim_one(engine)
    assert (second.machine, second.attempt) == ("large-1x", 2)
    engine.fail(second, code="TASK_PROCESS_OOM_KILLED")

    assert engine.run(run_id).status == "CRASHED"


def test_out_of_memory_in_the_last_attempt_is_a_crash(engine: Engine) -> None:
    """Even if there is a larger machine."""
    policy = RetryPolicy(max_attempts=1, out_of_memory_machine="large-1x")
    engine.register(task(retry=policy), content_hash="v2")
    run_id = engine.trigger()
    engine.fail(_claim_one(engine), code="TASK_PROCESS_OOM_KILLED")

    assert engine.run(run_id).status == "CRASHED"


def test_an_ordinary_failure_keeps_its_machine(engine: Engine) -> None:
    """The larger one is for want of memory only."""
    policy = RetryPolicy(out_of_memory_machine="large-1x")
    engine.register(task(retry=policy, machine={"preset": "micro"}), content_hash="v2")
    engine.trigger()
    engine.fail(_claim_one(engine), retry_ms=60_000)
    engine.advance(60_000)

    assert _claim_one(engine).machine == "micro"


def _reset(engine: Engine, key: str, of: str = "task") -> None:
    engine.call(idempotency.reset, engine.environment, key, of)


def test_a_key_that_is_reset_makes_a_new_run(engine: Engine) -> None:
    """The old one goes on without it."""
    first = engine.trigger(idempotency_key="k")
    _reset(engine, "k")
    second = engine.trigger(idempotency_key="k")

    assert first != second
    assert (engine.run(first).idempotency_key, engine.run(first).status) == (None, "PENDING")


def test_a_key_nobody_has_cannot_be_reset(engine: Engine) -> None:
    """A key belongs to a task."""
    engine.trigger(idempotency_key="k")
    for key, of in (("other", "task"), ("k", "other")):
        with pytest.raises(NotFoundError) as refused:
            _reset(engine, key, of)
        assert refused.value.code == "IDEMPOTENCY_KEY_UNKNOWN"


@pytest.mark.behaviour(34)
@pytest.mark.parametrize("life", ["1h30m", "90m", "5400s"])
def test_a_life_may_have_several_units(engine: Engine, life: str) -> None:
    """Ours reads what the original ignores (behaviour 34)."""
    first = engine.trigger(idempotency_key="k", idempotency_key_ttl=life, delay="9h")
    engine.clock.advance(5_399_999)
    assert engine.trigger(idempotency_key="k") == first
    engine.clock.advance(1)

    assert engine.trigger(idempotency_key="k") != first
    assert engine.run(first).idempotency_key is None


def test_a_life_that_cannot_be_read_is_thirty_days(engine: Engine) -> None:
    """As in the original."""
    run_id = engine.trigger(idempotency_key="k", idempotency_key_ttl="a while")
    life = (engine.run(run_id).idempotency_expires_at or 0) - engine.clock.now()

    assert life == 30 * 86_400_000


@pytest.mark.behaviour(29)
def test_one_key_for_two_tasks_is_two_runs(engine: Engine) -> None:
    """The key belongs to a task (behaviour 29)."""
    assert engine.trigger("a", idempotency_key="k") != engine.trigger("b", idempotency_key="k")


@pytest.mark.behaviour(31)
@pytest.mark.parametrize("end", ["expired", "crashed", "timed out"])
def test_a_key_of_a_run_that_ended_badly_makes_a_new_one(engine: Engine, end: str) -> None:
    """Whatever went wrong (behaviour 31)."""
    first = engine.trigger(idempotency_key="k", ttl="1m")
    if end == "expired":
        engine.advance(60_000)
    else:
        code = "TASK_PROCESS_OOM_KILLED" if end == "crashed" else "MAX_DURATION_EXCEEDED"
        engine.fail(_claim_one(engine), code=code)

    assert engine.trigger(idempotency_key="k") != first


def test_the_code_of_a_run_sees_its_key_as_it_was_written(engine: Engine) -> None:
    """Not its hash."""
    options = {"key": "order-1", "scope": "global"}
    engine.trigger(idempotency_key="f" * 64, idempotency_key_options=options)

    assert _claim_one(engine).idempotency_key == "order-1"


@pytest.mark.behaviour(16)
@pytest.mark.parametrize(
    ("asked", "declared", "expected"),
    [("30s", "1h", 30_000), (90, "1h", 90_000), (None, "1h", 3_600_000), (None, None, 600_000)],
)
def test_the_time_to_live_is_the_triggers_else_the_tasks_else_the_environments(
    engine: Engine, asked: str | int | None, declared: str | None, expected: int
) -> None:
    """A number counts seconds; in development runs live ten minutes (behaviour 16)."""
    engine.register(task(ttl=declared), content_hash="v2")

    assert engine.run(engine.trigger(ttl=asked)).ttl_ms == expected


@pytest.mark.behaviour(203, 204)
def test_a_run_that_has_started_never_expires(engine: Engine) -> None:
    """Not even while it is queued for another attempt (behaviours 203 and 204)."""
    run_id = engine.trigger(ttl="1m")
    engine.fail(_claim_one(engine), retry_ms=120_000)
    engine.advance(3_600_000)

    assert engine.run(run_id).status == "PENDING"


@pytest.mark.behaviour(206, 211)
def test_many_runs_expire_at_once(engine: Engine) -> None:
    """Each with its end in the history (behaviours 206 and 211)."""
    ids = engine.trigger_many(300, ttl="1s")
    engine.advance(1_000)

    assert {engine.run(run_id).status for run_id in ids} == {"EXPIRED"}
    assert engine.states(ids[0]) == ["QUEUED", "FINISHED"]


@pytest.mark.behaviour(210)
def test_an_expired_child_ends_the_wait_of_its_parent_with_an_error(engine: Engine) -> None:
    """The parent goes on (behaviour 210)."""
    engine.trigger()
    parent = _claim_one(engine)
    engine.trigger_and_wait(parent, "task", ttl="1m")
    for _ in range(3):
        engine.advance(20_000)
        engine.heartbeat(parent)

    [told] = [one for one in engine.told() if one.kind == "resume"]
    assert told.result is not None
    assert (told.result.ok, "expired" in (told.result.output or "")) == (False, True)


@pytest.mark.behaviour(7)
def test_what_began_the_tree_is_inherited(engine: Engine) -> None:
    """The child's own origin is its own (behaviour 7)."""
    parent = engine.trigger()
    child = engine.run(engine.trigger(parent_run_id=parent))

    origin = json.loads(child.annotations or "")
    assert (origin["rootTriggerSource"], origin["triggerSource"]) == ("api", "api")
    assert (child.depth, child.root_id, child.parent_id) == (1, parent, parent)


@pytest.mark.behaviour(10)
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([str(n) for n in range(10)], [str(n) for n in range(10)]),
        ("plain", ["plain"]),
        (["a", " ", ""], ["a"]),
        (" ", None),
    ],
)
def test_a_trigger_accepts_ten_tags(
    engine: Engine, given: list[str] | str, kept: list[str] | None
) -> None:
    """One may be plain text; blank ones are dropped."""
    tags = engine.run(engine.trigger(tags=given)).tags

    assert (json.loads(tags) if tags else None) == kept


@pytest.mark.behaviour(10)
def test_a_trigger_with_eleven_tags_is_refused(engine: Engine) -> None:
    """With the code that says why."""
    with pytest.raises(UnprocessableError) as refused:
        engine.trigger(tags=[str(n) for n in range(11)])

    assert refused.value.code == "TOO_MANY_TAGS"


@pytest.mark.behaviour(15)
def test_a_task_nobody_registered_uses_the_queue_with_its_name(engine: Engine) -> None:
    """As it would if it were registered without one."""
    assert engine.run(engine.trigger("later")).queue == "task/later"


@pytest.mark.behaviour(17)
@pytest.mark.parametrize(
    ("asked", "expected"), [(None, 60_000), ("30s", 30_000), ("2h", 60_000), ("soon", 60_000)]
)
def test_the_environments_longest_time_to_live_fills_in_and_cuts_down(
    engine: Engine, asked: str | None, expected: int
) -> None:
    """It also replaces what cannot be read."""
    engine.environment = replace(engine.environment, default_ttl_ms=None, max_ttl_ms=60_000)

    assert engine.run(engine.trigger(ttl=asked)).ttl_ms == expected


@pytest.mark.behaviour(20)
@pytest.mark.parametrize(
    ("asked", "kept"),
    [(1.2344, 1_234), (-0.5, -500), (1e9, 2**31 - 1), (-1e9, 1 - 2**31), (None, 0)],
)
def test_priority_is_kept_in_whole_milliseconds(
    engine: Engine, asked: float | None, kept: int
) -> None:
    """Within 32 bits."""
    assert engine.run(engine.trigger(priority=asked)).priority_ms == kept


@pytest.mark.behaviour(22)
@pytest.mark.parametrize(("key", "kept"), [(7, "7"), (0, "0"), (1.5, "1.5"), ("a", "a")])
def test_a_concurrency_key_is_kept_as_text(engine: Engine, key: float | str, kept: str) -> None:
    """Also a number."""
    assert engine.run(engine.trigger(concurrency_key=key)).concurrency_key == kept


@pytest.mark.behaviour(122)
def test_the_machine_of_the_run_goes_before_the_tasks(engine: Engine) -> None:
    """It was asked for."""
    engine.register(task(machine={"preset": "micro"}), content_hash="v2")
    engine.trigger(machine="large-1x")

    assert _claim_one(engine).machine == "large-1x"


@pytest.mark.behaviour(207)
def test_a_run_without_a_time_to_live_waits_for_ever(engine: Engine) -> None:
    """A year, here."""
    prod = engine.in_production()
    prod.deploy(task())
    run_id = prod.trigger()
    prod.advance(365 * 86_400_000)

    assert prod.run(run_id).status == "PENDING"
    assert [one.run_id for one in prod.claim()] == [run_id]
