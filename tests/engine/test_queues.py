"""Queues: limits, overrides, pauses, sizes; what an operator says counts at once and survives deploys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.engine import Engine, open_engine, task
from trigger_core.errors import NotFoundError, UnprocessableError
from trigger_core.schemas.workers import Assignment, QueueDeclaration
from trigger_platform.engine import queue_declaration

Q = "orders"


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine with a task in the queue ``orders`` of two slots, and one in its own queue."""
    opened = open_engine()
    opened.register(task(queue=Q, limit=2), task("own"))
    yield opened
    opened.db.close()


def _counts(engine: Engine, name: str = Q) -> tuple[int, int]:
    view = engine.queue(name)
    return view.running, view.queued


def _waiting(engine: Engine) -> tuple[Assignment, str]:
    """A run that waits for a second; the queue's only slot then goes to another one."""
    engine.override(Q, limit=1)
    engine.trigger_many(2)
    [first] = engine.claim()
    engine.wait(first, 1_000)
    return first, first.run_id


@pytest.mark.behaviour(65, 66, 69)
def test_the_counts_follow_a_run_through_its_life(engine: Engine) -> None:
    """Behaviours 65, 66, 69: queued, running, gone."""
    engine.trigger_many(3)
    assert _counts(engine) == (0, 3)

    claimed = engine.claim()
    assert _counts(engine) == (2, 1)

    for one in claimed:
        engine.succeed(one)
    assert _counts(engine) == (0, 1)


@pytest.mark.behaviour(67)
def test_a_canceled_run_is_gone_from_its_queue(engine: Engine) -> None:
    """Behaviour 67: before it was ever claimed."""
    engine.cancel(engine.trigger())

    assert _counts(engine) == (0, 0)


@pytest.mark.behaviour(77, 120)
def test_a_worker_that_is_lost_before_it_began_gives_the_run_back(engine: Engine) -> None:
    """Behaviours 77, 120: the slot is free, the run stands where it stood."""
    run_id = engine.trigger()
    engine.claim()
    engine.connect("boot-2")

    assert _counts(engine) == (0, 1)
    assert [one.run_id for one in engine.claim()] == [run_id]


@pytest.mark.behaviour(78)
def test_a_retry_pause_ends_at_its_moment(engine: Engine) -> None:
    """Behaviour 78: and until then the run cannot be claimed and holds no slot."""
    engine.trigger()
    [one] = engine.claim()
    engine.start(one)
    engine.fail(one, retry_ms=60_000)
    engine.connect("boot-2")
    assert engine.claim() == []
    assert _counts(engine) == (0, 0)

    engine.advance(60_000)

    assert len(engine.claim()) == 1


@pytest.mark.behaviour(98)
def test_a_paused_queue_starts_nothing_and_lets_what_executes_go_on(engine: Engine) -> None:
    """Behaviour 98."""
    engine.trigger_many(3)
    running = engine.claim()
    engine.pause_queue(Q)
    assert engine.succeed(running[0]).kind == "finished"
    assert engine.claim() == []

    engine.pause_queue(Q, paused=False)

    assert len(engine.claim()) == 1


def test_a_paused_queue_does_not_hold_back_a_run_whose_wait_is_over(engine: Engine) -> None:
    """It was under way already."""
    _, run_id = _waiting(engine)
    engine.pause_queue(Q)
    engine.pause_environment()
    engine.advance(1_000)

    assert engine.run(run_id).execution_status == "EXECUTING"


@pytest.mark.behaviour(99)
def test_a_paused_environment_starts_nothing_and_accepts_triggers(engine: Engine) -> None:
    """Behaviour 99."""
    engine.pause_environment()
    engine.trigger("own")
    assert engine.claim() == []

    engine.pause_environment(paused=False)

    assert len(engine.claim()) == 1


@pytest.mark.behaviour(98)
def test_pause_and_override_survive_a_deploy(engine: Engine) -> None:
    """Behaviour 98: code changes what it declared, which counts again after a reset."""
    engine.pause_queue(Q)
    engine.override(Q, limit=7)

    engine.register(task(queue=Q, limit=5), task("own"), content_hash="v2")

    queue = engine.queue(Q).queue
    assert (queue.paused, queue.concurrency_limit, queue.base_limit) == (1, 7, 5)
    assert engine.reset(Q).queue.concurrency_limit == 5


def test_a_deploy_changes_a_limit_at_once(engine: Engine) -> None:
    """Up and down; runs that execute are left alone."""
    engine.trigger_many(9)
    assert len(engine.claim()) == 2
    engine.register(task(queue=Q, limit=4), content_hash="v2")
    assert len(engine.claim()) == 2

    engine.register(task(queue=Q, limit=1), content_hash="v3")

    assert engine.claim() == []
    assert _counts(engine) == (4, 5)


@pytest.mark.parametrize(
    ("declared", "counts"), [(None, None), (0, 0), (-1, 0), (3, 3), (5_000, 100)]
)
def test_a_declared_limit_stays_within_the_environment(
    engine: Engine, declared: int | None, counts: int | None
) -> None:
    """The environment allows a hundred."""
    engine.register(task(queue="other", limit=declared), content_hash="v2")

    assert engine.queue("other").queue.concurrency_limit == counts


def test_a_limit_declared_once_holds_for_every_task_of_the_queue(engine: Engine) -> None:
    """Some name the queue only."""
    engine.register(
        task("a", queue="shared", limit=3), task("b", queue="shared"), content_hash="v2"
    )

    assert engine.queue("shared").queue.concurrency_limit == 3


@pytest.mark.behaviour(100)
@pytest.mark.parametrize(
    ("percent", "environment", "counts"), [(50, 3, 1), (10, 3, 1), (100, 3, 3), (33, 10, 3)]
)
def test_an_override_in_percent_follows_the_environment(
    engine: Engine, percent: float, environment: int, counts: int
) -> None:
    """Behaviour 100: rounded down, at least one, and anew when the environment's limit changes."""
    assert engine.override(Q, percent=percent).queue.concurrency_limit == percent

    engine.set_environment(concurrency_limit=environment)

    assert engine.queue(Q).queue.concurrency_limit == counts


def test_a_limit_of_zero_stops_a_queue(engine: Engine) -> None:
    """Until it is taken back."""
    engine.override(Q, limit=0)
    engine.trigger()
    assert engine.claim() == []

    engine.reset(Q)

    assert len(engine.claim()) == 1


def test_a_raised_limit_lets_a_run_resume_at_once(engine: Engine) -> None:
    """Nobody has to finish first."""
    _, run_id = _waiting(engine)
    engine.claim()
    engine.advance(1_000)
    assert engine.run(run_id).execution_status == "QUEUED_EXECUTING"

    engine.override(Q, limit=2)

    assert engine.run(run_id).execution_status == "EXECUTING"


def test_runs_that_cannot_resume_hide_none_that_can(engine: Engine) -> None:
    """However many of them a full queue has."""
    engine.set_environment(concurrency_limit=300)
    engine.override(Q, limit=200)
    engine.trigger_many(150)
    engine.trigger("own")
    for one in engine.claim(200):
        engine.wait(one, 1_000)
    engine.override(Q, limit=0)

    engine.advance(1_000)

    assert _counts(engine) == (0, 0)
    assert _counts(engine, "task/own") == (1, 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.pause_queue(Q, paused=False),
        lambda e: e.override(Q, limit=9),
        lambda e: e.reset(Q),
        lambda e: e.pause_environment(paused=False),
        lambda e: e.set_environment(concurrency_limit=200),
        lambda e: e.register(task(queue=Q, limit=9), content_hash="v9"),
    ],
)
def test_whatever_gives_room_wakes_polls_that_wait(engine: Engine, change: object) -> None:
    """Without it they would look again only after a while."""
    woken: list[str] = []
    engine.units.subscribe(lambda notice: woken.extend(notice.runnable))

    change(engine)  # type: ignore[operator]

    assert engine.environment.id in woken


def test_an_unknown_queue_is_an_error(engine: Engine) -> None:
    """By whichever kind of name."""
    with pytest.raises(NotFoundError, match="no queue nowhere") as caught:
        engine.queue("nowhere")
    assert caught.value.code == "QUEUE_NOT_FOUND"


@pytest.mark.behaviour(14, 103, 104, 105)
def test_a_run_for_a_queue_nobody_declares_waits_for_a_version_that_does(engine: Engine) -> None:
    """Behaviours 14, 103-105."""
    run_id = engine.trigger(queue={"name": "later"})
    assert engine.claim() == []
    assert engine.run(run_id).status_reason == "QUEUE_NOT_FOUND"
    assert "no version has the queue 'later'" in engine.why(run_id).blocked_by[0]

    engine.register(task(queue=Q), content_hash="v2")
    assert engine.run(run_id).status == "PENDING_VERSION"

    engine.register(task(queue="later"), content_hash="v3")
    assert [one.run_id for one in engine.claim()] == [run_id]


@pytest.mark.behaviour(11)
def test_a_full_queue_refuses_and_writes_nothing(engine: Engine) -> None:
    """Behaviour 11: what waits and what the call adds count; what executes or is delayed does not."""
    engine.set_environment(queue_size_limit=3)
    engine.trigger_many(2)
    engine.trigger(delay="1h")
    for many in (2, 500):
        with pytest.raises(UnprocessableError) as caught:
            engine.trigger_many(many)
        assert (caught.value.code, caught.value.status) == ("QUEUE_SIZE_LIMIT_EXCEEDED", 422)
    assert _counts(engine) == (0, 2)

    engine.claim(1)
    engine.trigger_many(2)
    engine.trigger("own")

    assert _counts(engine) == (1, 3)


def test_why_names_pause_override_key_and_place(engine: Engine) -> None:
    """Everything that holds the run back, and how many go before it."""
    engine.override(Q, limit=1)
    runs = []
    for _ in range(4):
        runs.append(engine.trigger(concurrency_key="k"))
        engine.clock.advance(1)
    engine.claim()
    engine.pause_queue(Q)
    engine.pause_environment()

    why = engine.why(runs[3])

    assert why.blocked_by == [
        "queue orders is paused",
        "queue orders key k concurrency 1/1 (an operator's limit)",
        "the environment is paused",
    ]
    assert why.next.endswith("2 of queue orders key k before it")


def test_a_task_names_its_queue_by_itself_or_by_choice() -> None:
    """A name without a usable letter is none."""
    assert queue_declaration.of_task(task("a")) == "task/a"
    odd = task("a").model_copy(update={"queue": QueueDeclaration(name="!!")})
    assert queue_declaration.of_task(odd) == "task/a"


@pytest.mark.behaviour(79, 80)
def test_a_run_that_was_given_up_is_queued_again_by_a_replay(engine: Engine) -> None:
    """What was given up stays so."""
    given_up = engine.trigger()
    for _ in range(12):
        engine.claim()
        engine.advance(30_000)
    assert engine.run(given_up).status == "SYSTEM_FAILURE"

    again = engine.replay(given_up)

    assert [one.run_id for one in engine.claim()] == [again]
    assert _counts(engine) == (1, 0)


@pytest.mark.behaviour(81)
def test_a_slot_is_given_back_once(engine: Engine) -> None:
    """A run that waits has given it back and is kept; canceling it gives nothing back again."""
    engine.trigger_many(3)
    first, second = engine.claim()
    engine.wait(first, 60_000)
    assert engine.run(first.run_id).execution_status == "EXECUTING_WITH_WAITPOINTS"
    assert _counts(engine) == (1, 1)

    engine.cancel(first.run_id)
    engine.fail(first, code="TASK_RUN_CANCELLED")

    assert _counts(engine) == (1, 1)
    assert engine.succeed(second).kind == "finished"
    assert engine.violations() == []


@pytest.mark.behaviour(88)
def test_what_is_done_twice_to_a_run_is_counted_once(engine: Engine) -> None:
    """An end that is reported again, a run that is canceled again."""
    engine.trigger_many(4)
    first, _ = engine.claim()
    for _ in range(2):
        engine.succeed(first)
    assert _counts(engine) == (1, 2)
    [third] = engine.claim()
    for _ in range(2):
        engine.cancel(third.run_id)

    assert _counts(engine) == (2, 1)
    assert engine.claim() == []
