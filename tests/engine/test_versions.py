"""Which version a run executes on: current, locked, pinned, or none yet (behaviours 101-121)."""

from __future__ import annotations

import pytest

from support.engine import Engine, open_engine, task
from trigger_core.errors import UnprocessableError
from trigger_core.schemas.trigger import Debounce
from trigger_platform.engine import pending_version


@pytest.fixture
def prod(engine: Engine) -> Engine:
    """A production environment with nothing in it."""
    return engine.in_production()


def _state(engine: Engine, run_id: str) -> tuple[str, str, str | None]:
    run = engine.run(run_id)
    return run.execution_status, run.status, run.status_reason


PARKED = ("RUN_CREATED", "PENDING_VERSION")


@pytest.mark.behaviour(101)
def test_five_pulls_take_five_runs(engine: Engine) -> None:
    """Each once."""
    runs = engine.trigger_many(5)

    assert [engine.claim(1)[0].run_id for _ in range(5)] == runs
    assert engine.claim() == []


@pytest.mark.behaviour(102)
def test_a_claimed_run_is_locked_to_its_version(engine: Engine) -> None:
    """And to its machine and its worker's lease, from the first claim on."""
    engine.register(task(machine={"preset": "micro"}), content_hash="v2")
    run_id = engine.trigger()
    [one] = engine.claim()

    run = engine.run(run_id)
    assert (run.version, run.machine, run.lease) == (one.version, "micro", one.lease)
    assert (one.machine, run.boot_id) == ("micro", engine.boot)
    assert (run.status, run.execution_status) == ("DEQUEUED", "PENDING_EXECUTING")
    assert run.worker_id == engine.workers[-1]
    assert run.started_at == run.updated_at


@pytest.mark.behaviour(121)
def test_a_retry_uses_the_version_of_the_first_attempt(prod: Engine) -> None:
    """Though a newer one is current."""
    old = prod.deploy(task())
    run_id = prod.trigger()
    [one] = prod.claim()
    prod.deploy(task())
    prod.start(one)
    prod.fail(one, retry_ms=40_000)
    prod.advance(40_000)

    [again] = prod.claim()
    assert (again.run_id, again.attempt, again.version) == (run_id, 2, old)


@pytest.mark.behaviour(116)
def test_a_new_run_goes_to_the_current_version_and_to_no_other(prod: Engine) -> None:
    """A worker of another version leaves it where it is (behaviour 116)."""
    prod.deploy(task())
    old = prod.workers
    new = prod.deploy(task())
    both, prod.workers = prod.workers, old
    prod.trigger()
    assert prod.claim() == []

    prod.workers = both[::-1]
    assert [one.version for one in prod.claim()] == [new]


@pytest.mark.behaviour(116)
def test_runs_of_another_version_in_front_hold_up_nobody(prod: Engine) -> None:
    """Five hundred that are bound to the old version, and one for each of the other's pools behind them."""
    old = prod.deploy(task())
    first = prod.workers
    prod.trigger_many(500, lock_to_version=old)
    new = prod.deploy(task("task", queue="other"))
    both, prod.workers = prod.workers, prod.workers[1:]
    prod.clock.advance(1)
    bound, free = prod.trigger(lock_to_version=new), prod.trigger()

    assert [one.run_id for one in prod.claim(1)] == [bound]
    assert [one.run_id for one in prod.claim(2)] == [free]
    assert prod.claim(2) == []

    prod.workers = first
    assert {one.version for one in prod.claim(60)} == {old}
    prod.workers = both
    assert len(prod.claim(100)) == 38  # the environment's limit is 100


@pytest.mark.behaviour(116)
def test_new_runs_in_front_hold_up_nobody_of_an_old_version(prod: Engine) -> None:
    """What is left for it to do are the runs that began there."""
    prod.deploy(task())
    old = prod.workers
    run_id = prod.trigger()
    [one] = prod.claim()
    prod.start(one)
    prod.fail(one, retry_ms=40_000)
    prod.deploy(task())
    prod.trigger_many(500, priority=3_600)
    prod.advance(40_000)

    prod.workers = old
    assert [one.run_id for one in prod.claim(10)] == [run_id]
    assert prod.claim(10) == []


@pytest.mark.behaviour(116)
def test_keys_and_full_queues_of_another_version_hold_up_nobody_either(prod: Engine) -> None:
    """Though such queues are looked at in another way."""
    old = prod.deploy(task(queue="narrow", limit=1))
    prod.trigger_many(50, lock_to_version=old, concurrency_key="a")
    prod.trigger_many(50, lock_to_version=old)
    prod.deploy(task(queue="narrow", limit=1), task("wide"))
    prod.workers = prod.workers[1:]
    prod.clock.advance(1)
    narrow, keyed, wide = prod.trigger(), prod.trigger(concurrency_key="a"), prod.trigger("wide")

    assert {one.run_id for one in prod.claim(3)} == {narrow, keyed, wide}


def test_a_version_of_another_environment_opens_no_pool(prod: Engine, engine: Engine) -> None:
    """Whatever ids a worker names."""
    prod.deploy(task())
    prod.trigger(lock_to_version=prod.deploy(task()))
    strange = engine.in_staging()
    strange.workers = prod.workers

    assert strange.claim() == []


def test_what_is_deployed_without_promotion_serves_those_who_lock_to_it(prod: Engine) -> None:
    """And nobody else."""
    current = prod.deploy(task())
    staged = prod.deploy(task(), promoted=False)
    prod.trigger()
    prod.trigger(lock_to_version=staged)

    assert [one.version for one in prod.claim()] == [current, staged]


def test_children_that_are_waited_for_run_on_the_version_of_their_parent(prod: Engine) -> None:
    """A deployment in between does not part them."""
    old = prod.deploy(task())
    prod.trigger()
    [parent] = prod.claim()
    prod.start(parent)
    prod.deploy(task())
    prod.trigger_and_wait(parent, "task")

    [child] = prod.claim()
    assert child.version == old


def test_without_a_deployment_runs_wait_for_one(prod: Engine) -> None:
    """Whatever polls."""
    begun = prod.begin_deployment()
    prod.index(begun.id, task())
    run_id = prod.trigger()
    assert prod.claim() == []
    assert _state(prod, run_id) == (*PARKED, "NO_DEPLOYMENT")

    prod.finalize(begun.id)
    assert [one.run_id for one in prod.claim()] == [run_id]


@pytest.mark.behaviour(103, 104)
def test_a_run_of_an_unknown_task_is_parked_and_released_by_a_version_with_it(
    engine: Engine,
) -> None:
    """Its slot is free meanwhile."""
    run_id = engine.trigger("later")
    assert engine.claim() == []
    assert _state(engine, run_id) == (*PARKED, "TASK_NEVER_REGISTERED")
    assert engine.run(run_id).slot_held == 0

    engine.register(task("later"), content_hash="v2")
    assert _state(engine, run_id) == ("QUEUED", "PENDING", None)
    assert [one.run_id for one in engine.claim()] == [run_id]


def test_a_run_of_a_task_that_is_gone_says_so(engine: Engine) -> None:
    """An earlier version had it."""
    engine.register(task("other"), content_hash="v2")
    run_id = engine.trigger()
    engine.claim()

    assert _state(engine, run_id) == (*PARKED, "TASK_NOT_IN_LATEST")


@pytest.mark.behaviour(14, 103, 104, 105)
def test_a_run_of_an_unknown_queue_waits_for_a_version_with_the_queue(engine: Engine) -> None:
    """One with the task alone does not do (behaviours 14, 103, 105)."""
    run_id = engine.trigger(queue={"name": "special"})
    assert engine.claim() == []
    assert _state(engine, run_id) == (*PARKED, "QUEUE_NOT_FOUND")

    engine.register(task(), task("x"), content_hash="v2")
    assert _state(engine, run_id) == (*PARKED, "QUEUE_NOT_FOUND")
    engine.register(task(), task("x", queue="special"), content_hash="v3")
    assert [one.run_id for one in engine.claim()] == [run_id]


@pytest.mark.behaviour(107)
def test_the_time_to_live_begins_at_the_release(engine: Engine) -> None:
    """So does the time in the queue (behaviour 107)."""
    run_id = engine.trigger("later", ttl="1m")
    engine.claim()
    engine.advance(600_000)
    engine.register(task("later"), content_hash="v2")

    run = engine.run(run_id)
    assert run.queued_at == engine.clock.now()
    assert run.due_at == engine.clock.now() + 60_000


def test_many_parked_runs_are_released_oldest_first_and_page_by_page(engine: Engine) -> None:
    """No transaction releases all of them."""
    runs = engine.trigger_many(450, "later")
    while engine.claim(200) or engine.run(runs[-1]).status != "PENDING_VERSION":
        pass
    engine.register(task("later"), content_hash="v2")
    released = [run for run in runs if engine.run(run).status == "PENDING"]
    assert released == runs[:200]

    engine.sweep()
    assert {engine.run(run).status for run in runs} == {"PENDING"}


def test_a_release_that_was_overtaken_by_a_newer_version_stops(engine: Engine) -> None:
    """The newer one does not have the task."""
    runs = engine.trigger_many(250, "later")
    while engine.claim(200) or engine.run(runs[-1]).status != "PENDING_VERSION":
        pass
    engine.register(task("later"), content_hash="v2")
    engine.register(task(), content_hash="v3")
    engine.sweep()

    assert engine.run(runs[-1]).status == "PENDING_VERSION"


@pytest.mark.behaviour(106)
def test_two_promoters_release_a_run_once(prod: Engine) -> None:
    """The second finds nothing (behaviour 106)."""
    prod.deploy(task("other"))
    run_id = prod.trigger()
    prod.claim()
    prod.deploy(task())
    before = prod.run(run_id).sequence
    prod.call(pending_version.landed, prod.workers[-1])

    assert prod.run(run_id).sequence == before
    assert prod.states(run_id) == ["QUEUED", "RUN_CREATED", "QUEUED"]


@pytest.mark.behaviour(12, 13)
def test_locking_needs_the_version_the_task_and_the_queue(engine: Engine) -> None:
    """Nothing is written otherwise (behaviours 12, 13)."""
    version = engine.register(task(), task("x", queue="special"), content_hash="v2")
    with pytest.raises(UnprocessableError, match=r"20200101\.1") as unknown:
        engine.trigger(lock_to_version="20200101.1")
    with pytest.raises(UnprocessableError) as no_task:
        engine.trigger("y", lock_to_version=version)
    with pytest.raises(UnprocessableError) as no_queue:
        engine.trigger(lock_to_version=version, queue={"name": "other"})
    engine.trigger(lock_to_version=version, queue={"name": "special"})

    codes = [one.value.code for one in (unknown, no_task, no_queue)]
    assert codes == ["VERSION_UNKNOWN", "TASK_NOT_IN_VERSION", "QUEUE_NOT_IN_VERSION"]
    assert len(engine.claim()) == 1


def _parked(prod: Engine, external_id: str = "sha-1", **options: object) -> str:
    run_id = prod.trigger(external_deployment_id=external_id, **options)
    assert _state(prod, run_id) == (*PARKED, "EXTERNAL_DEPLOYMENT_PENDING")
    return run_id


@pytest.mark.behaviour(109)
def test_a_run_waits_for_the_deployment_it_names_and_is_pinned_to_it(prod: Engine) -> None:
    """Even if it is not promoted (behaviour 109)."""
    prod.deploy(task())
    run_id = _parked(prod)
    assert prod.claim() == []
    version = prod.deploy(task(), external_id="sha-1", promoted=False)
    prod.deploy(task())

    [one] = prod.claim()
    assert (one.run_id, one.version) == (run_id, version)
    assert prod.run(run_id).pinned == 1


@pytest.mark.behaviour(111)
def test_a_run_that_names_a_deployment_that_is_there_is_pinned_at_once(prod: Engine) -> None:
    """To the highest version with that id."""
    prod.deploy(task(), external_id="sha-1")
    version = prod.deploy(task(), external_id="sha-1")
    prod.deploy(task())
    prod.trigger(external_deployment_id=" sha-1 ")

    assert [one.version for one in prod.claim()] == [version]


@pytest.mark.behaviour(110)
def test_another_deployment_releases_ordinary_runs_only(prod: Engine) -> None:
    """However many wait for another one (behaviour 110)."""
    prod.deploy(task("other"))
    waiting = [_parked(prod) for _ in range(210)]
    ordinary = prod.trigger()
    prod.claim()
    prod.deploy(task(), external_id="sha-2")
    prod.sweep()

    assert prod.run(ordinary).status == "PENDING"
    assert {prod.run(run).status for run in waiting} == {"PENDING_VERSION"}


@pytest.mark.behaviour(111)
def test_an_older_build_that_ends_late_pins_to_the_newer_one(prod: Engine) -> None:
    """The highest version counts, not the last one (behaviour 111)."""
    late = prod.begin_deployment()
    prod.index(late.id, task())
    version = prod.deploy(task("other"), external_id="sha-1")
    prod.sql("update deployment set external_id = 'sha-1'")
    run_id = _parked_anyway(prod)
    prod.finalize(late.id)
    assert prod.run(run_id).status == "PENDING_VERSION"
    newest = prod.deploy(task(), external_id="sha-1")

    assert version != newest
    assert prod.run(run_id).version == newest


def _parked_anyway(prod: Engine) -> str:
    """A run that was triggered before any build of its id was there."""
    run_id = prod.trigger(external_deployment_id="sha-x")
    prod.sql("update run set external_deployment_id = 'sha-1' where id = :id", id=run_id)
    return run_id


@pytest.mark.behaviour(113)
def test_the_wait_for_a_deployment_ends_after_an_hour(prod: Engine) -> None:
    """Expired, with the reason (behaviour 113)."""
    run_id = _parked(prod)
    prod.advance(3_599_999)
    assert prod.run(run_id).status == "PENDING_VERSION"
    prod.advance(1)

    assert _state(prod, run_id) == ("FINISHED", "EXPIRED", "EXTERNAL_DEPLOYMENT_NOT_FOUND")
    assert "sha-1" in (prod.run(run_id).error or "")


@pytest.mark.behaviour(112)
def test_a_shorter_time_to_live_ends_the_wait_sooner(prod: Engine) -> None:
    """And counts from the end of a delay (behaviour 112)."""
    soon, delayed = _parked(prod, ttl="1m"), _parked(prod, ttl="1m", delay="10m")
    prod.advance(60_000)
    assert prod.run(soon).status == "EXPIRED"
    prod.advance(599_999)
    assert prod.run(delayed).status == "PENDING_VERSION"
    prod.advance(1)
    assert prod.run(delayed).status == "EXPIRED"


def test_a_release_before_the_end_of_the_delay_leaves_the_run_delayed(prod: Engine) -> None:
    """And pinned."""
    run_id = _parked(prod, delay="10m")
    version = prod.deploy(task(), external_id="sha-1")
    assert _state(prod, run_id) == ("DELAYED", "DELAYED", None)
    assert prod.claim() == []
    prod.advance(600_000)

    assert [one.version for one in prod.claim()] == [version]


def test_a_delay_that_was_pushed_moves_the_deadline(prod: Engine) -> None:
    """The old deadline does nothing."""
    run_id = _parked(prod, delay="1m")
    prod.sql("update run set delay_until = delay_until + 600000 where id = :id", id=run_id)
    prod.advance(3_660_000)
    assert prod.run(run_id).status == "PENDING_VERSION"
    prod.advance(600_000)

    assert prod.run(run_id).status == "EXPIRED"


@pytest.mark.behaviour(114)
def test_at_the_deadline_a_deployment_that_is_there_after_all_releases(prod: Engine) -> None:
    """It does not expire (behaviour 114)."""
    prod.deploy(task(), external_id="sha-1")
    run_id = prod.trigger(external_deployment_id="sha-2")
    prod.sql("update run set external_deployment_id = 'sha-1' where id = :id", id=run_id)
    prod.advance(3_600_000)

    assert _state(prod, run_id) == ("QUEUED", "PENDING", None)
    assert prod.run(run_id).pinned == 1


@pytest.mark.behaviour(113)
def test_a_parent_goes_on_with_an_error_when_its_child_found_no_deployment(prod: Engine) -> None:
    """Through the API, where the child names its own version."""
    prod.deploy(task())
    prod.trigger()
    [parent] = prod.claim()
    prod.start(parent)
    _parked(prod, ttl="20s", parent_run_id=parent.run_id, resume_parent_on_completion=True)
    prod.advance(20_000)

    [told] = prod.told()
    assert told.result is not None
    assert not told.result.ok


@pytest.mark.parametrize("external_id", ["", "   "])
def test_a_blank_id_names_no_deployment(prod: Engine, external_id: str) -> None:
    """It is as if it were not there."""
    prod.deploy(task())
    run_id = prod.trigger(external_deployment_id=external_id)

    assert prod.run(run_id).external_deployment_id is None
    assert len(prod.claim()) == 1


def test_development_has_no_deployments_to_wait_for(engine: Engine) -> None:
    """The id is ignored."""
    engine.trigger(external_deployment_id="sha-1")

    assert len(engine.claim()) == 1


@pytest.mark.behaviour(108)
def test_a_canceled_run_is_not_released(engine: Engine) -> None:
    """It is over (behaviour 108)."""
    run_id = engine.trigger("later")
    engine.claim()
    engine.cancel(run_id)
    engine.register(task("later"), content_hash="v2")

    assert engine.run(run_id).status == "CANCELED"


def test_why_names_what_a_parked_run_waits_for() -> None:
    """And until when."""
    opened = open_engine()
    prod = opened.in_production()
    run_id = _parked(prod)

    why = prod.why(run_id)
    assert "sha-1" in why.blocked_by[0]
    assert "1h" in why.next
    opened.db.close()


def test_in_development_even_a_pinned_run_moves_on_when_its_version_is_gone(engine: Engine) -> None:
    """A version of a session that has ended never comes back."""
    old = engine.register(task(), content_hash="old")
    run_id = engine.trigger(lock_to_version=old)
    new = engine.register(task(), content_hash="new")
    engine.workers = engine.workers[-1:]

    [one] = engine.claim()
    assert (one.run_id, one.version) == (run_id, new)


@pytest.mark.behaviour(115)
def test_debounced_runs_that_wait_for_a_deployment_collapse(prod: Engine) -> None:
    """As all others."""
    chosen = Debounce(key="k", delay="5s")
    first = _parked(prod, debounce=chosen)
    prod.clock.advance(2_000)
    assert _parked(prod, debounce=chosen) == first
    version = prod.deploy(task(), external_id="sha-1")
    prod.advance(4_999)
    assert prod.claim() == []
    prod.advance(1)

    assert [(one.run_id, one.version) for one in prod.claim()] == [(first, version)]


@pytest.mark.behaviour(118, 119)
def test_a_claim_leaves_runs_that_execute_alone(engine: Engine) -> None:
    """However often it looks."""
    one = engine.started()
    before = engine.run(one.run_id)

    assert [engine.claim() for _ in range(3)] == [[], [], []]
    assert engine.run(one.run_id) == before
    assert engine.succeed(one).status == "COMPLETED_SUCCESSFULLY"


def test_a_session_that_does_not_serve_the_current_version_yet_puts_nothing_aside(
    engine: Engine,
) -> None:
    """Its last question about the older version may come after the newer one was registered."""
    engine.register(task("other"), content_hash="old")
    old = engine.workers[-1:]
    version = engine.register(task(), content_hash="new")
    run_id = engine.trigger()
    new, engine.workers = engine.workers[-1:], old
    assert engine.claim() == []
    assert _state(engine, run_id) == ("QUEUED", "PENDING", None)

    engine.workers = new
    assert [one.version for one in engine.claim()] == [version]
