"""Actions on many runs: slices, and stopping between them."""

from __future__ import annotations

import pytest

from support.engine import Engine
from trigger_platform.engine import bulk_action, due
from trigger_platform.engine.run_filter import RunFilter
from trigger_platform.store.rows import BulkActionRow


def _begin(engine: Engine) -> str:
    wanted = RunFilter(tasks=["task"])
    made: BulkActionRow = engine.call(
        bulk_action.create, engine.environment, "CANCEL", wanted, total=3
    )
    return made.id


def _find(engine: Engine, action_id: str) -> BulkActionRow:
    return engine.call(bulk_action.find, engine.environment, action_id)  # type: ignore[no-any-return]


def test_an_action_that_is_stopped_does_nothing_more(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has done stays."""
    monkeypatch.setattr(bulk_action, "_AT_ONCE", 1)
    runs = [engine.trigger() for _ in range(3)]
    action_id = _begin(engine)
    engine.call(due.sweep)
    found = _find(engine, action_id)
    assert (found.status, found.success) == ("PENDING", 1)
    engine.call(bulk_action.abort, engine.environment, action_id)
    while engine.call(due.sweep).moved:
        pass

    assert (_find(engine, action_id).status, _find(engine, action_id).success) == ("ABORTED", 1)
    assert [engine.run(run).status for run in sorted(runs)] == ["PENDING", "PENDING", "CANCELED"]


def test_an_action_meets_the_runs_of_its_environment_alone(engine: Engine) -> None:
    """By a filter or by ids."""
    other = engine.neighbour()
    foreign = other.trigger()
    by_id: BulkActionRow = engine.call(
        bulk_action.create, engine.environment, "CANCEL", [foreign], total=1
    )
    by_filter = _begin(engine)
    while engine.call(due.sweep).moved:
        pass

    assert other.run(foreign).status == "PENDING"
    assert (_find(engine, by_id.id).success, _find(engine, by_id.id).failure) == (0, 1)
    assert _find(engine, by_filter).success == 0
