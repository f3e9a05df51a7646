"""Schedules: what fires when, what is skipped and why (behaviours 212-226 of the engine's catalogue)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from support.engine import Engine, open_engine, scheduled, task
from trigger_core import packet
from trigger_core.errors import InvalidScheduleError, NotFoundError, UnprocessableError, UsageError
from trigger_core.schemas.schedules import UpdateSchedule
from trigger_platform.engine import schedule, schedule_instance
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import RunRow, ScheduleRow

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NOW = 1_764_000_000_000  # 2025-11-24 16:00 UTC, where the virtual clock begins


@pytest.fixture
def prod() -> Iterator[Engine]:
    """Production, where schedules need no session, with a scheduled task, a second after 16:00."""
    opened = open_engine().production()
    opened.clock.advance(1_000)
    opened.register(scheduled(), task("plain"))
    yield opened
    opened.db.close()


@pytest.fixture
def dev() -> Iterator[Engine]:
    """Development, with the same task."""
    opened = open_engine()
    opened.register(scheduled())
    yield opened
    opened.db.close()


def nominals(engine: Engine) -> list[int]:
    """Return the ticks that made runs, in minutes from the beginning."""
    return [(run.nominal_at - NOW) // MINUTE for run in engine.fired() if run.nominal_at]


def payload(engine: Engine, run: RunRow) -> Any:
    stored = engine.payload(run.id)
    return packet.decode(stored.data, stored.type)


def walk(engine: Engine, minutes: int, step: int = 1) -> None:
    """Let minutes pass one by one, as a platform that is up does."""
    for _ in range(minutes // step):
        engine.advance(step * MINUTE)


def at(ms: int | None) -> datetime:
    assert ms is not None
    return datetime.fromtimestamp(ms / 1000, UTC)


@pytest.mark.behaviour(212)
def test_it_fires_again_and_again_with_a_payload_that_names_its_ticks(prod: Engine) -> None:
    """Behaviour 212: the nominal tick, the one before, ten to come."""
    made = prod.schedule(cron="*/5 * * * *", window="none", external_id="user_1")
    walk(prod, 11)

    first, second = prod.fired()
    assert nominals(prod) == [5, 10]
    assert payload(prod, second) == {
        "scheduleId": made.id,
        "type": "IMPERATIVE",
        "timestamp": at(second.nominal_at),
        "lastTimestamp": at(first.nominal_at),
        "externalId": "user_1",
        "timezone": "UTC",
        "upcoming": [at(NOW + minute * MINUTE) for minute in range(15, 61, 5)],
    }
    assert second.schedule_id == made.id
    assert second.annotations == (
        '{"triggerSource": "schedule", "rootTriggerSource": "schedule", '
        f'"rootScheduleId": "{made.id}", "taskKind": "SCHEDULED"}}'
    )
    assert (second.status, second.tags, second.parent_id) == ("PENDING", None, None)


@pytest.mark.behaviour(213)
def test_the_first_run_of_a_schedule_knows_no_last_one(prod: Engine) -> None:
    """Behaviour 213."""
    prod.schedule(cron="* * * * *", window="none")
    walk(prod, 1)

    assert "lastTimestamp" not in payload(prod, prod.fired()[0])


@pytest.mark.behaviour(214)
def test_the_last_run_is_remembered_through_a_change_of_times(prod: Engine) -> None:
    """Behaviour 214: it is a column, and nothing has to be derived."""
    prod.schedule(cron="* * * * *", window="none")
    walk(prod, 2)
    prod.schedule(cron="*/10 * * * *", window="none")
    walk(prod, 8)

    assert nominals(prod) == [1, 2, 10]
    assert payload(prod, prod.fired()[-1])["lastTimestamp"] == at(NOW + 2 * MINUTE)


@pytest.mark.behaviour(215)
def test_after_downtime_at_most_one_run_makes_up(prod: Engine) -> None:
    """Behaviour 215: the newest of the missed ticks, and only if it is hardly late."""
    made = prod.schedule(cron="*/10 * * * *", window="none")
    prod.advance(30 * MINUTE + 20_000)
    assert nominals(prod) == [30]

    prod.advance(35 * MINUTE)
    assert nominals(prod) == [30]
    instance = prod.instance(made.id)
    assert instance.next_nominal_at == NOW + 70 * MINUTE
    assert instance.skipped_at == NOW + 60 * MINUTE
    assert instance.skip_reason == "missed, 3 in all: the platform was away"
    walk(prod, 10)
    assert nominals(prod) == [30, 70]


def test_a_restart_that_takes_less_than_a_minute_misses_nothing(prod: Engine) -> None:
    """A daily tick is not lost to a deployment of the platform."""
    prod.schedule(cron="0 17 * * *", window="none")
    prod.advance(HOUR + 58_000)

    assert nominals(prod) == [60]


@pytest.mark.parametrize(
    ("policy", "made_up"),
    [("none", []), ("last", [50]), ("all", [10, 20, 30, 40, 50])],
)
def test_the_catch_up_policy_says_what_is_made_up_for(
    prod: Engine, policy: str, made_up: list[int]
) -> None:
    """None, the last, or all missed ticks; each with the time it stands for and the one before."""
    prod.schedule(cron="*/10 * * * *", window="none", catch_up=policy)
    prod.advance(55 * MINUTE)
    assert nominals(prod) == made_up

    walk(prod, 5)
    assert nominals(prod) == [*made_up, 60]
    runs = prod.fired()
    for earlier, later in pairwise(runs):
        assert payload(prod, later)["lastTimestamp"] == at(earlier.nominal_at)


def test_catching_up_with_all_ends_at_a_hundred(prod: Engine) -> None:
    """The newest hundred: a week of minutes is not ten thousand runs."""
    prod.schedule(cron="* * * * *", window="none", catch_up="all")
    prod.advance(7 * DAY)

    found = nominals(prod)
    assert len(found) == 100
    assert found == list(range(found[-1] - 99, found[-1] + 1))
    assert found[-1] == 7 * 24 * 60


@pytest.mark.behaviour(216, 219)
def test_ticks_chain_from_the_nominal_time(prod: Engine) -> None:
    """Behaviour 216: an effective time that is late shifts nothing."""
    made = prod.schedule(cron="*/10 * * * *", window="100%")
    offsets = set()
    for minute in range(60):
        prod.advance(MINUTE)
        instance = prod.instance(made.id)
        assert instance.next_nominal_at is not None
        assert instance.next_fire_at is not None
        assert (instance.next_nominal_at - NOW) % (10 * MINUTE) == 0, minute
        offsets.add(instance.next_fire_at - instance.next_nominal_at)

    assert nominals(prod) == [10, 20, 30, 40, 50]
    assert len(offsets) == 1


@pytest.mark.behaviour(217)
def test_a_tick_exactly_now_counts(prod: Engine) -> None:
    """Behaviour 217: the clock stands at 16:00."""
    prod.clock.advance(-1_000)
    prod.schedule(cron="0 16 * * *", window="none")
    prod.sweep()

    assert nominals(prod) == [0]


@pytest.mark.behaviour(218)
def test_a_daily_schedule_keeps_its_time_of_day_when_clocks_change(prod: Engine) -> None:
    """Behaviour 218: 23 and 25 hours."""
    prod.schedule(cron="30 9 * * *", timezone="Europe/Berlin", window="none", catch_up="all")
    for _ in range(5):
        prod.advance(75 * DAY)

    gaps = {
        (later.nominal_at or 0) - (earlier.nominal_at or 0)
        for earlier, later in pairwise(prod.fired())
    }
    assert gaps == {23 * HOUR, 24 * HOUR, 25 * HOUR}


@pytest.mark.behaviour(219, 220)
def test_an_offset_never_reaches_the_next_tick(prod: Engine) -> None:
    """Behaviours 219, 220: neither a share of 100 % nor a window longer than the interval."""
    for key in ("a", "b", "c", "d"):
        for window in ("100%", "24h"):
            made = prod.schedule(key=key + window, every="10s", window=window)
            instance = prod.instance(made.id)
            assert instance.next_nominal_at is not None
            assert instance.next_fire_at is not None
            assert 0 <= instance.next_fire_at - instance.next_nominal_at < 10_000


@pytest.mark.behaviour(220)
def test_a_window_over_a_day_is_refused_and_zero_allowed(prod: Engine) -> None:
    """Behaviour 220."""
    with pytest.raises(InvalidScheduleError, match="25h"):
        prod.schedule(cron="@daily", window="25h")

    made = prod.schedule(cron="@daily", window="0m")
    instance = prod.instance(made.id)
    assert instance.next_fire_at == instance.next_nominal_at


@pytest.mark.behaviour(221)
def test_schedules_of_one_time_are_spread_the_same_way_every_time(prod: Engine) -> None:
    """Behaviour 221: within 30 s outside development, by environment and key alone."""

    def offset(key: str) -> int:
        instance = prod.instance(prod.schedule(key=key, cron="@daily").id)
        assert instance.next_fire_at is not None
        return instance.next_fire_at - (instance.next_nominal_at or 0)

    offsets = {key: offset(key) for key in map(str, range(20))}

    assert all(0 <= value < 30_000 for value in offsets.values())
    assert len(set(offsets.values())) > 15
    for key, value in offsets.items():
        prod.call(schedule.delete, prod.environment, key)
        assert offset(key) == value


def test_nothing_is_spread_in_development(dev: Engine) -> None:
    """A developer waits for nothing."""
    instance = dev.instance(dev.schedule(cron="@hourly").id)

    assert instance.next_fire_at == instance.next_nominal_at


@pytest.mark.behaviour(222)
def test_an_inactive_schedule_passes_its_ticks_by(prod: Engine) -> None:
    """Behaviour 222: no run, the next tick is set, the last real one stays."""
    made = prod.schedule(cron="* * * * *", window="none")
    walk(prod, 2)
    prod.call(schedule.activate, prod.environment, "key", active=False)
    walk(prod, 3)
    assert nominals(prod) == [1, 2]
    assert prod.instance(made.id).skip_reason == "the schedule is not active"

    prod.call(schedule.activate, prod.environment, made.id, active=True)
    walk(prod, 1)
    assert nominals(prod) == [1, 2, 6]
    assert payload(prod, prod.fired()[-1])["lastTimestamp"] == at(NOW + 2 * MINUTE)


@pytest.mark.behaviour(222)
def test_in_development_it_fires_only_while_a_session_is_there(dev: Engine) -> None:
    """Behaviour 222: a worker that was heard of within 15 s."""
    made = dev.schedule(every="10s")
    for _ in range(2):
        dev.advance(10_000)
        dev.poll(0)
    assert len(dev.fired()) == 2

    for _ in range(6):
        dev.advance(10_000)
    present = len(dev.fired())
    assert present <= 3
    assert dev.instance(made.id).skip_reason == "no dev session was there"

    dev.poll(0)
    dev.advance(10_000)
    assert len(dev.fired()) == present + 1
    last = payload(dev, dev.fired()[-1])["lastTimestamp"]
    assert last == at(dev.fired()[-2].nominal_at)


def test_production_needs_the_task_in_the_current_version(prod: Engine) -> None:
    """SCH-013: a deployment without the task passes the ticks by."""
    made = prod.schedule(cron="* * * * *", window="none")
    prod.register(task("other"), content_hash="v2")
    walk(prod, 2)

    assert nominals(prod) == []
    assert prod.instance(made.id).skip_reason == "the current version has no task tick"


@pytest.mark.behaviour(223)
def test_an_archived_environment_stops_its_schedules(prod: Engine) -> None:
    """Behaviour 223: no run and no next tick."""
    made = prod.schedule(cron="* * * * *", window="none")
    _archive(prod, NOW)
    walk(prod, 3)

    assert nominals(prod) == []
    assert prod.instance(made.id).next_nominal_at is None


@pytest.mark.behaviour(224)
def test_what_stands_still_goes_on_with_the_next_registration(prod: Engine) -> None:
    """Behaviour 224: missing ticks are set, waiting ones are left alone, nothing there is fine."""
    stopped = [prod.schedule(key=key, cron="*/7 * * * *").id for key in ("a", "b")]
    _archive(prod, NOW)
    walk(prod, 8)
    _archive(prod, None)
    waiting = prod.schedule(key="c", cron="0 3 * * *").id
    before = prod.instance(waiting)

    prod.register(scheduled())

    assert [prod.instance(one).next_nominal_at for one in stopped] == [NOW + 14 * MINUTE] * 2
    assert prod.instance(waiting) == before
    empty = open_engine()
    empty.register(task())


@pytest.mark.behaviour(225)
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"cron": "0 * * * * *"}, "INVALID_CRON"),
        ({"cron": "@daily", "timezone": "Mars/Olympus"}, "INVALID_TIMEZONE"),
        ({"every": "10ms"}, "INVALID_INTERVAL"),
        ({"cron": "@daily", "every": "1h"}, "INVALID_SCHEDULE"),
        ({}, "INVALID_SCHEDULE"),
        ({"cron": "@daily", "key": "declared:tick"}, "INVALID_SCHEDULE"),
        ({"cron": "@daily", "task": "plain"}, "TASK_NOT_SCHEDULED"),
        ({"cron": "@daily", "task": "nothing"}, "SCHEDULE_TASK_UNKNOWN"),
    ],
)
def test_what_cannot_be_is_refused(prod: Engine, fields: dict[str, Any], code: str) -> None:
    """Behaviour 225; nothing is written."""
    with pytest.raises((InvalidScheduleError, UnprocessableError)) as caught:
        prod.schedule(**fields)

    assert (caught.value.code, caught.value.status) == (code, 422)
    with pytest.raises(NotFoundError):
        prod.call(schedule.find, prod.environment, "key")


@pytest.mark.behaviour(225)
def test_a_schedule_of_another_environment_is_not_found(prod: Engine, dev: Engine) -> None:
    """Behaviour 225, and a key counts within its environment alone."""
    first = open_engine()
    first.register(scheduled())
    here = first.schedule(cron="@daily")
    other = first.production()
    other.register(scheduled())

    with pytest.raises(NotFoundError):
        other.call(schedule.find, other.environment, here.id)
    there = other.schedule(cron="@hourly")
    assert there.id != here.id
    assert first.call(schedule.find, first.environment, "key") == here


@pytest.mark.behaviour(226)
def test_no_run_is_there_before_its_effective_time(prod: Engine) -> None:
    """Behaviour 226: nothing can take it early, for it is made when it is due."""
    made = prod.schedule(cron="*/10 * * * *", window="100%")
    instance = prod.instance(made.id)
    assert instance.next_fire_at is not None
    prod.clock.advance(instance.next_fire_at - prod.clock.now() - 1)
    prod.sweep()
    assert prod.fired() == []

    prod.advance(1)
    run = prod.fired()[0]
    assert (run.created_at, run.nominal_at) == (instance.next_fire_at, instance.next_nominal_at)


def test_a_key_that_is_known_updates_its_schedule(prod: Engine) -> None:
    """SCH-004; without a key each call makes another."""
    first = prod.schedule(cron="@daily", external_id="a")
    again = prod.schedule(cron="@hourly", timezone="Asia/Tokyo", external_id="b")

    assert again.id == first.id
    assert (again.expression, again.timezone, again.external_id) == ("@hourly", "Asia/Tokyo", "b")
    assert prod.schedule(key=None, cron="@daily").id != prod.schedule(key=None, cron="@daily").id


def test_saying_the_same_again_does_not_move_the_next_tick(prod: Engine) -> None:
    """An application that upserts its schedules at every start misses nothing."""
    made = prod.schedule(cron="*/10 * * * *", window="100%")
    before = prod.instance(made.id)
    prod.clock.advance(10 * MINUTE + 1)
    prod.schedule(cron="*/10 * * * *", window="100%", external_id="x")

    assert prod.instance(made.id) == before


def test_an_update_replaces_what_was_said(prod: Engine) -> None:
    """All but the id and the key."""
    made = prod.schedule(cron="@daily", external_id="a", window="10m")
    changed: ScheduleRow = prod.call(
        schedule.update, prod.environment, "key", UpdateSchedule(task="tick", every="1m")
    )

    assert (changed.id, changed.deduplication_key) == (made.id, "key")
    assert (changed.expression, changed.external_id, changed.spread) == ("@every 1m", None, None)


def test_a_deleted_schedule_fires_no_more(prod: Engine) -> None:
    """Its runs stay."""
    prod.schedule(cron="* * * * *", window="none")
    walk(prod, 2)
    prod.call(schedule.delete, prod.environment, "key")
    walk(prod, 2)

    assert nominals(prod) == [1, 2]
    with pytest.raises(NotFoundError):
        prod.call(schedule.find, prod.environment, "key")


def test_declared_schedules_follow_the_code(prod: Engine) -> None:
    """SCH-002: they come, change and go with the version; imperative ones stay."""
    kept = prod.schedule(cron="@daily")
    prod.register(
        scheduled("tick"),
        scheduled("a", {"cron": "* * * * *", "window": "none"}),
        scheduled("b", {"every": "30s"}),
        content_hash="v2",
    )
    a = prod.call(schedule.find, prod.environment, "a")
    assert (a.type, a.expression, a.spread) == ("DECLARATIVE", "* * * * *", "none")
    walk(prod, 1)
    assert {run.task for run in prod.fired()} == {"a", "b"}

    prod.register(scheduled("tick"), scheduled("a", {"cron": "@hourly"}), content_hash="v3")
    changed = prod.call(schedule.find, prod.environment, "a")
    assert (changed.id, changed.expression) == (a.id, "@hourly")
    for gone in ("b",):
        with pytest.raises(NotFoundError):
            prod.call(schedule.find, prod.environment, gone)
    assert prod.call(schedule.find, prod.environment, "key").id == kept.id


def test_a_declaration_may_be_for_some_environments_only(prod: Engine) -> None:
    """SCH-019."""
    here = scheduled("a", {"cron": "@daily", "environments": ["PRODUCTION", "STAGING"]})
    there = scheduled("b", {"cron": "@daily", "environments": ["DEVELOPMENT"]})
    prod.register(here, there, content_hash="v2")

    assert prod.call(schedule.find, prod.environment, "a").task == "a"
    with pytest.raises(NotFoundError):
        prod.call(schedule.find, prod.environment, "b")


@pytest.mark.parametrize(
    ("declared", "code"),
    [
        ({"cron": "99 * * * *"}, "INVALID_CRON"),
        ({"cron": "@daily", "timezone": "Mars/Olympus"}, "INVALID_TIMEZONE"),
        ({"cron": "@daily", "window": "3 weeks"}, "INVALID_WINDOW"),
        ({"timezone": "UTC"}, "INVALID_SCHEDULE"),
    ],
)
def test_a_version_whose_schedule_cannot_be_is_not_registered(
    prod: Engine, declared: dict[str, Any], code: str
) -> None:
    """Protocol D.5: 400, with the task's place; the current version stays."""
    before = prod.environment.current_worker_id
    with pytest.raises(UsageError) as caught:
        prod.register(scheduled("a", declared), content_hash="v2")

    assert (caught.value.code, caught.value.status) == (code, 400)
    assert caught.value.at == "tasks/example.py:1"
    assert prod.environment.current_worker_id == before


def test_what_code_declares_is_changed_in_code_alone(prod: Engine) -> None:
    """422; switching it off is allowed and outlives the next version."""
    prod.register(scheduled("a", {"cron": "@daily"}), content_hash="v2")
    with pytest.raises(UnprocessableError) as caught:
        prod.call(schedule.update, prod.environment, "a", UpdateSchedule(task="a", cron="@hourly"))
    assert caught.value.code == "SCHEDULE_DECLARED"

    prod.call(schedule.activate, prod.environment, "a", active=False)
    prod.register(scheduled("a", {"cron": "@hourly"}), content_hash="v3")
    assert prod.call(schedule.find, prod.environment, "a").active == 0


def test_a_tick_that_two_servers_see_makes_one_run(prod: Engine) -> None:
    """W25, I10: both have read the row as it was; the second finds it moved on."""
    made = prod.schedule(cron="* * * * *", window="none")
    stale = prod.instance(made.id)
    prod.clock.advance(MINUTE)

    def twice(u: Unit) -> None:
        schedule_instance.sweep(u)
        schedule_instance._come(u, stale)

    prod.call(twice)
    prod.call(schedule_instance._come, stale)

    assert nominals(prod) == [1]
    assert prod.instance(made.id).next_nominal_at == NOW + 2 * MINUTE


def test_a_clock_that_jumps_back_repeats_nothing(prod: Engine) -> None:
    """Nominal ticks only grow, even when the schedule is changed meanwhile."""
    prod.schedule(cron="* * * * *", window="none")
    walk(prod, 10)
    prod.clock.advance(-5 * MINUTE)
    prod.schedule(cron="*/1 * * * *", window="none")
    walk(prod, 7)

    assert nominals(prod) == [*range(1, 11), 11, 12]


def test_a_full_queue_is_noted_and_the_schedule_goes_on(prod: Engine) -> None:
    """W26: the tick is recorded with the reason, and the run before it stays the last one."""
    made = prod.schedule(cron="* * * * *", window="none", catch_up="all")
    prod.set_environment(queue_size_limit=1)
    prod.advance(3 * MINUTE)

    assert nominals(prod) == [1]
    instance = prod.instance(made.id)
    assert instance.skipped_at == NOW + 3 * MINUTE
    assert instance.skip_reason == "queue task/tick is full: 1 runs wait in it"
    prod.set_environment(queue_size_limit=None)
    walk(prod, 1)
    assert nominals(prod) == [1, 4]
    assert payload(prod, prod.fired()[1])["lastTimestamp"] == at(NOW + MINUTE)


def _archive(engine: Engine, moment: int | None) -> None:
    engine.call(
        lambda u: u.tx.run("environment_archive", id=engine.environment.id, archived_at=moment)
    )


@pytest.mark.behaviour(7)
def test_what_a_scheduled_run_triggers_began_with_the_schedule(prod: Engine) -> None:
    """The child's own origin is its own."""
    made = prod.schedule(cron="* * * * *", window="none")
    walk(prod, 1)
    child = prod.run(prod.trigger("plain", parent_run_id=prod.fired()[0].id))

    assert json.loads(child.annotations or "") == {
        "triggerSource": "api",
        "rootTriggerSource": "schedule",
        "rootScheduleId": made.id,
    }
