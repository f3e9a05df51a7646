"""One wait of the code: its waitpoints may end before they are known."""

from __future__ import annotations

import pytest

from trigger_core.schemas.workers import WaitResult
from trigger_worker.wait import Wait

ONE, TWO = WaitResult(ok=True, output="1"), WaitResult(ok=False, output="2")


@pytest.mark.behaviour(184)
def test_an_end_that_comes_before_the_wait_is_known_is_not_lost() -> None:
    """The signal may overtake the answer that names the waitpoint."""
    wait = Wait()
    assert not wait.note("w1", ONE)
    wait.learn(["w1"], None, {"w1": ONE})

    assert wait.is_over
    assert wait.results == [ONE]


def test_results_stand_in_the_order_of_what_was_waited_for() -> None:
    """Whatever ends first."""
    wait = Wait()
    wait.learn(["w1", "w2"], None, {"w2": TWO})
    assert not wait.is_over
    assert wait.note("w1", ONE)

    assert wait.results == [ONE, TWO]
