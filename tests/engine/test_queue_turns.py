"""Whose turn it is: the pure order of queues and concurrency keys."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from trigger_platform.engine.queue_turns import Line, Turn, turns

POSITIONS = st.lists(st.integers(0, 1_000), max_size=6).map(sorted)
LINES = st.lists(
    st.builds(
        Line,
        queue=st.sampled_from("pq"),
        key=st.sampled_from("abcde"),
        held=st.integers(0, 3),
        positions=POSITIONS,
    ),
    max_size=10,
    unique_by=lambda line: (line.queue, line.key),
)


def test_without_keys_positions_decide() -> None:
    """Whatever the queue."""
    lines = [Line("p", "", 5, [1, 4, 9]), Line("q", "", 0, [2, 3])]

    assert [turn.queue for turn in turns(lines, 4)] == ["p", "q", "q", "p"]


def test_a_key_with_one_run_does_not_wait_behind_a_key_with_many() -> None:
    """It gets the second turn at the latest."""
    lines = [Line("q", "big", 0, range(100)), Line("q", "small", 0, [5_000])]

    assert [turn.key for turn in turns(lines, 3)] == ["big", "small", "big"]


def test_the_key_that_holds_the_fewest_slots_is_first() -> None:
    """Until all hold the same; then they take turns."""
    lines = [Line("q", "a", 2, [1, 2, 3]), Line("q", "b", 0, [7, 8, 9])]

    assert "".join(turn.key for turn in turns(lines, 6)) == "bbabaa"


def test_a_key_that_jumps_ahead_costs_other_queues_nothing() -> None:
    """The turn is its queue's; only who gets it has changed."""
    lines = [
        Line("q", "big", 1, [1, 2]),
        Line("q", "late", 0, [50]),
        Line("r", "", 0, [3, 4]),
    ]

    assert turns(lines, 5) == [
        Turn("q", "late"),
        Turn("q", "big"),
        Turn("r", ""),
        Turn("r", ""),
        Turn("q", "big"),
    ]


@given(LINES, st.integers(0, 40))
def test_nobody_is_passed_over_for_one_that_holds_more(lines: list[Line], limit: int) -> None:
    """At every turn, among the keys of the queue that still have runs and room."""
    held = {(line.queue, line.key): line.held for line in lines}
    left = {(line.queue, line.key): len(line.positions) for line in lines}
    for turn in turns(lines, limit):
        mine = (turn.queue, turn.key)
        others = [key for key, runs in left.items() if runs and key[0] == turn.queue]
        assert mine in others
        assert held[mine] == min(held[key] for key in others)
        held[mine] += 1
        left[mine] -= 1


@given(LINES, st.integers(0, 40))
def test_turns_fall_to_queues_by_position(lines: list[Line], limit: int) -> None:
    """However their keys share them: the first turns are those of the smallest positions."""
    places = sorted((place, line.queue) for line in lines for place in line.positions)

    given_turns = turns(lines, limit)

    assert len(given_turns) == min(limit, len(places))
    if given_turns:
        last = places[len(given_turns) - 1][0]
        got = Counter(turn.queue for turn in given_turns)
        for queue in "pq":
            surely = sum(1 for place, name in places if name == queue and place < last)
            at_most = sum(1 for place, name in places if name == queue and place <= last)
            assert surely <= got[queue] <= at_most


@given(
    runs=st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 12), min_size=1),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=30),
)
def test_no_key_waits_more_turns_than_there_are_keys(
    runs: dict[str, int], sizes: list[int]
) -> None:
    """Over any number of claims, each beginning behind the key that was served last."""
    left, served, waited = dict(runs), "", dict.fromkeys(runs, 0)
    for size in sizes:
        keys = sorted(left, key=lambda key: (key <= served, key))
        lines = [Line("q", key, 0, range(left[key])) for key in keys]
        for turn in turns(lines, size):
            served = turn.key
            left[served] -= 1
            waited = {key: waited[key] + 1 if left[key] else 0 for key in waited}
            waited[served] = 0
            assert max(waited.values()) < len(runs)
