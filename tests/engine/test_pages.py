"""Pages of runs: the filters mean the same on every database."""

from __future__ import annotations

from typing import Any

from support.engine import Engine
from trigger_platform.reads import runs as reads
from trigger_platform.reads.runs import Filters


def _ids(engine: Engine, **chosen: Any) -> list[str]:
    page: reads.RunPageRows = engine.call(reads.page, engine.environment, Filters(**chosen))
    return [run.id for run in page.runs]


def test_every_filter_finds_its_runs(engine: Engine) -> None:
    """Alone and together, in both directions."""
    old = engine.trigger(tags=["a", "b"], machine="micro", test=True)
    made_at = engine.clock.now()
    engine.clock.advance(10)
    new = engine.trigger(queue={"name": "mine"})

    assert _ids(engine) == [new, old]
    assert _ids(engine, tags=["b", "x"]) == _ids(engine, machines=["micro"]) == [old]
    assert _ids(engine, is_test=True, statuses=["PENDING"], tasks=["task"]) == [old]
    assert _ids(engine, queues=["mine"]) == _ids(engine, machines=["small-1x"]) == [new]
    assert _ids(engine, created_to=made_at) == _ids(engine, after=new) == [old]
    assert _ids(engine, created_from=made_at + 1) == _ids(engine, before=old) == [new]
    assert (
        _ids(engine, batch="x") == _ids(engine, schedule="x") == _ids(engine, versions=["x"]) == []
    )
