"""An environment that is out of service."""

from __future__ import annotations

import pytest

from support.engine import Engine, task
from trigger_platform.engine.unit import Unit


@pytest.mark.behaviour(117)
def test_an_archived_environment_hands_out_nothing_and_leaves_its_runs_alone(
    engine: Engine,
) -> None:
    """Its key opens nothing; taken back into service it goes on (behaviour 117)."""
    engine.register(task())
    run_id = engine.trigger()

    def archive(u: Unit, at: int | None) -> None:
        u.tx.run("environment_archive", id=engine.environment.id, archived_at=at)

    engine.call(archive, engine.clock.now())
    assert engine.claim() == []
    assert engine.claim_across(limit=10) == {}
    assert engine.run(run_id).execution_status == "QUEUED"
    engine.call(archive, None)
    assert [one.run_id for one in engine.claim()] == [run_id]
