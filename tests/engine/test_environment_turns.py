"""Shares between environments: the pure order."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from trigger_platform.engine.environment_turns import Contender, after, share


def _serve(contenders: list[Contender], limit: int) -> tuple[list[Contender], dict[str, int]]:
    given_turns = share(contenders, limit)
    far = after(contenders, given_turns)
    return [replace(one, served=far.get(one.id, one.served)) for one in contenders], given_turns


@given(
    weights=st.lists(st.integers(1, 50), min_size=2, max_size=6),
    limits=st.lists(st.integers(1, 20), min_size=20, max_size=60),
)
def test_busy_environments_get_their_share_whenever_one_looks(
    weights: list[int], limits: list[int]
) -> None:
    """Nobody is ever more than one lap of the heaviest step ahead of or behind its share."""
    busy = [Contender(str(n), 0, weight, 1_000) for n, weight in enumerate(weights)]
    got = dict.fromkeys((one.id for one in busy), 0)
    for limit in limits:
        busy, turns = _serve(busy, limit)
        for id_, count in turns.items():
            got[id_] += count
        laps = [got[one.id] / one.weight for one in busy]
        assert max(laps) - min(laps) <= 1.01


@given(alone=st.integers(1, 10_000), weight=st.integers(1, 20), others=st.integers(1, 20))
def test_one_that_was_idle_catches_up_by_no_more_than_its_limit(
    alone: int, weight: int, others: int
) -> None:
    """However long the other one was alone."""
    idle, busy = Contender("idle", 0, weight, 0), Contender("busy", 0, others, 10**6)
    [idle, busy], _ = _serve([idle, busy], alone)

    turns = share([replace(idle, wants=10**6), busy], 3 * weight + 2)

    assert turns["busy"] >= 1


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(0, 60))
def test_nobody_gets_more_than_it_wants_and_nothing_is_left_over(
    wants: list[int], limit: int
) -> None:
    """As long as anybody wants more."""
    contenders = [Contender(str(n), n * 10, 3, want) for n, want in enumerate(wants)]

    turns = share(contenders, limit)

    assert all(turns[one.id] <= one.wants for one in contenders)
    assert turns.total() == min(limit, sum(wants))
