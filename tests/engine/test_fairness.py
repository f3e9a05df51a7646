"""Who is claimed next: between keys, between queues, between environments (engine 8.4, behaviours 69-95)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from support.engine import Engine, open_engine, task


@pytest.fixture
def two() -> Iterator[Engine]:
    """An engine with an unlimited task ``free`` and a task ``one`` whose keys execute one run each."""
    opened = open_engine()
    opened.register(task("free"), task("one", limit=1))
    yield opened
    opened.db.close()


def _work(engine: Engine, limit: int = 1) -> list[str]:
    """Claim and finish at once; return the keys that were served."""
    claimed = engine.claim(limit)
    for one in claimed:
        engine.succeed(one)
    return [one.concurrency_key or "" for one in claimed]


def test_a_tenant_with_many_runs_does_not_starve_one_with_a_single_run(two: Engine) -> None:
    """Even where one slot is all there is, and everything ends before the next claim."""
    two.trigger_many(300, "free", concurrency_key="big")
    two.trigger("free", concurrency_key="small")

    assert "small" in [*_work(two), *_work(two)]


@pytest.mark.behaviour(86)
def test_a_run_without_a_key_is_a_tenant_too(two: Engine) -> None:
    """Behaviour 86: keyed and unkeyed runs of one queue are both reached."""
    two.trigger_many(50, "free")
    two.trigger("free", concurrency_key="small")

    assert sorted([*_work(two), *_work(two)]) == ["", "small"]


@pytest.mark.behaviour(84, 91)
def test_keys_are_served_in_turn_over_many_claims(two: Engine) -> None:
    """Behaviour 84: nobody has had two turns more than another."""
    for key in "abcde":
        two.trigger_many(20, "free", concurrency_key=key)

    served: Counter[str] = Counter()
    for _ in range(25):
        served.update(_work(two, 3))
        assert max(served.values()) - min(served[key] for key in "abcde") <= 1


@pytest.mark.behaviour(92)
def test_the_key_that_holds_more_slots_waits(two: Engine) -> None:
    """Slots are shared evenly, whenever each came."""
    two.trigger_many(20, "free", concurrency_key="a")
    two.claim(6)
    two.trigger_many(20, "free", concurrency_key="b")

    assert Counter(one.concurrency_key for one in two.claim(8)) == {"b": 7, "a": 1}


@pytest.mark.behaviour(94)
def test_a_thousand_full_keys_do_not_hide_the_one_with_room(two: Engine) -> None:
    """However many of them stand at the front."""
    two.set_environment(concurrency_limit=1_000)
    keys = [f"k{n}" for n in range(300)]
    for key in keys:
        two.trigger_many(2, "one", concurrency_key=key)
    assert len(two.claim(300)) == 300
    late = two.trigger("one", concurrency_key="late")

    assert [one.run_id for one in two.claim(5)] == [late]


def test_a_full_queue_does_not_hide_a_keyed_one_behind_it(two: Engine) -> None:
    """The queue behind is found without reading the full one."""
    two.trigger_many(100, "one")
    late = [two.trigger("free", concurrency_key=key) for key in "ab"]

    claimed = [one.run_id for one in two.claim(10)]

    assert len(claimed) == 3
    assert set(late) < set(claimed)


@pytest.mark.behaviour(87)
def test_a_concurrency_key_may_look_like_a_pattern(two: Engine) -> None:
    """Behaviour 87: ``*`` is a key like any other."""
    two.trigger("one", concurrency_key="*")
    two.trigger("one", concurrency_key="a")
    two.trigger("one")

    assert sorted(_work(two, 10)) == ["", "*", "a"]


@pytest.mark.behaviour(82, 83, 93)
def test_queues_compete_by_position_and_priority_is_a_head_start(two: Engine) -> None:
    """Behaviours 82, 83, 93: in seconds, across queues."""
    plain = two.trigger("free")
    two.clock.advance(5_000)
    ahead = two.trigger("one", priority=10)
    late = two.trigger("free", priority=-3)
    behind = two.trigger("free", priority=2)

    assert [one.run_id for one in two.claim()] == [ahead, plain, behind, late]


def test_a_retry_keeps_its_place(two: Engine) -> None:
    """W29: a pause ends where the run stood, not at the end of the queue."""
    first = two.trigger("free")
    [assignment] = two.claim()
    two.clock.advance(1_000)
    two.trigger("free")
    two.connect("boot-2")

    assert [one.run_id for one in two.claim(1)] == [first] == [assignment.run_id]


@pytest.mark.behaviour(69, 70)
def test_the_burst_belongs_to_all_queues_and_to_none_alone(two: Engine) -> None:
    """Behaviours 69-71, 90: at most the limit for one queue, limit times burst for all, rounded down."""
    two.set_environment(concurrency_limit=3, burst_factor=1.5)
    two.trigger_many(10, "free")
    assert len(two.claim()) == 3

    two.trigger_many(10, "one", concurrency_key="x")
    assert [one.task for one in two.claim()] == ["one"]

    assert two.claim() == []


@pytest.mark.behaviour(101)
def test_one_run_is_never_handed_out_twice(two: Engine) -> None:
    """Behaviours 88, 101."""
    runs = two.trigger_many(30, "free")
    two.trigger_many(5, "one")

    claimed = [one.run_id for _ in range(10) for one in two.claim(7)]

    assert len(claimed) == len(set(claimed)) == 31
    assert set(runs) < set(claimed)


@pytest.mark.behaviour(90)
def test_an_environment_with_many_old_runs_does_not_hide_another(two: Engine) -> None:
    """W27: at its limit it takes no part."""
    two.trigger_many(300, "free")
    two.claim()
    other = two.add_environment("other", task())
    other.trigger()

    claimed = two.claim_across(other, limit=10)

    assert {slug: len(runs) for slug, runs in claimed.items()} == {"other": 1}


def test_environments_share_by_their_limits(two: Engine) -> None:
    """Three times the limit, three times the runs; over any number of claims."""
    small = two.add_environment("small", task(), limit=10)
    large = two.add_environment("large", task(), limit=30)
    small.trigger_many(100)
    large.trigger_many(100)

    got: Counter[str] = Counter()
    for _ in range(40):
        for slug, runs in two.claim_across(small, large, limit=1).items():
            got[slug] += len(runs)
            for one in runs:
                (small if slug == "small" else large).succeed(one)

    assert got == {"small": 10, "large": 30}


def test_what_one_environment_cannot_use_another_gets(two: Engine) -> None:
    """Its queues are full, paused, or wait for code; no slot of the worker stays empty."""
    two.trigger_many(10, "one")
    other = two.add_environment("other", task())
    other.trigger_many(20)

    claimed = two.claim_across(other, limit=12)

    mine = two.environment.slug
    assert {slug: len(runs) for slug, runs in claimed.items()} == {mine: 1, "other": 11}


def test_a_paused_environment_takes_no_part(two: Engine) -> None:
    """And the others do not wait for it."""
    other = two.add_environment("other", task())
    other.trigger_many(3)
    two.trigger_many(3, "free")
    two.pause_environment()

    assert list(two.claim_across(other, limit=6)) == ["other"]


def test_queues_with_keys_get_no_more_turns_than_their_positions(two: Engine) -> None:
    """A queue whose keys take turns does not push another queue back, whichever keys they are."""
    for _ in range(4):
        two.trigger("free", concurrency_key="big")
        two.clock.advance(1)
    between = [two.trigger("one", concurrency_key=key) for key in "ab"]
    two.clock.advance(1)
    for n in range(20):
        two.trigger("free", concurrency_key=f"late{n}")

    claimed = two.claim(6)

    assert Counter(one.task for one in claimed) == {"free": 4, "one": 2}
    assert set(between) < {one.run_id for one in claimed}
    assert Counter(one.concurrency_key for one in claimed if one.task == "free")["big"] == 1


@pytest.mark.behaviour(91)
def test_equal_environments_are_served_equally_often(two: Engine) -> None:
    """To the run, over any number of claims that they can share."""
    first = two.add_environment("first", task())
    second = two.add_environment("second", task())
    first.trigger_many(60)
    second.trigger_many(60)

    got: Counter[str] = Counter()
    for _ in range(50):
        for slug, runs in two.claim_across(first, second, limit=1).items():
            got[slug] += len(runs)
            for one in runs:
                (first if slug == "first" else second).succeed(one)

    assert got == {"first": 25, "second": 25}


@pytest.mark.behaviour(94)
def test_many_old_queues_without_room_do_not_hide_one_that_has_some(two: Engine) -> None:
    """However many of them stand at the front."""
    names = [f"full{n}" for n in range(120)]
    two.set_environment(concurrency_limit=300)
    two.register(*(task(name, limit=1) for name in [*names, "late"]), content_hash="many")
    for name in names:
        two.trigger_many(2, name)
    assert len(two.claim(300)) == 120
    two.clock.advance(1_000)
    late = two.trigger("late")

    assert [one.run_id for one in two.claim(5)] == [late]
