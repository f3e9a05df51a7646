"""What is old goes, with everything that belongs to it; what somebody needs stays."""

from __future__ import annotations

import asyncio

import pytest

from support.engine import Engine
from trigger_core.schemas.runs import LogRecord
from trigger_core.schemas.workers import Assignment, LogLine
from trigger_platform.engine import request
from trigger_platform.engine.request import RequestKey
from trigger_platform.engine.retention import Periods
from trigger_platform.loops.retention import Retention
from trigger_platform.store.rows import Count

DAY = 86_400_000


def _removed(engine: Engine) -> dict[str, int]:
    return dict(asyncio.run(Retention(engine.units, Periods()).run_once()))


def _rows(engine: Engine) -> dict[str, int]:
    counts: list[Count] = engine.call(lambda u: u.tx.all("table_rows", Count))
    return {row.name: row.count for row in counts if row.count}


def _done(engine: Engine, **options: object) -> str:
    run_id = engine.trigger(**options)
    _finish(engine)
    return run_id


def _finish(engine: Engine) -> None:
    for one in engine.claim():
        engine.start(one)
        _log(engine, one)
        engine.succeed(one)


def _log(engine: Engine, one: Assignment, lines: int = 1) -> None:
    record = LogRecord(
        attempt=1, time="2025-11-24T16:00:00Z", level="INFO", source="stdout", message="hello"
    )
    engine.report(logs=[LogLine(run_id=one.run_id, record=record)] * lines)


def _exists(engine: Engine, run_id: str) -> bool:
    return engine.call(lambda u: u.tx.scalar("output_of", run_id=run_id)) is not None


def test_an_old_run_goes_with_everything_it_had(engine: Engine) -> None:
    """Nothing of it is left in any table (the one event left is the registration of the version)."""
    engine.trigger(payload={"a": 1})
    [one] = engine.claim()
    engine.start(one)
    _log(engine, one)
    assert engine.suspend(one, engine.wait_started(one, 1_000).sequence).ok
    engine.advance(1_000)
    [again] = engine.claim()
    engine.trigger_and_wait(again, "task", "task", batch=True)
    for child in engine.claim():
        engine.succeed(child)
    engine.succeed(again)
    engine.advance(31 * DAY)

    assert _removed(engine)["runs"] == 3
    assert _rows(engine) == {"outbox": 1}


def test_a_run_that_ended_lately_stays(engine: Engine) -> None:
    """Thirty days."""
    run_id = _done(engine)
    engine.advance(30 * DAY)
    assert _removed(engine) == {"logs": 1}
    assert _exists(engine, run_id)

    engine.advance(1)
    assert _removed(engine)["runs"] == 1


def test_a_run_that_lives_stays_however_old(engine: Engine) -> None:
    """It has not ended."""
    run_id = engine.trigger()
    engine.sql("update run set due_at = null")
    engine.advance(90 * DAY)

    assert _removed(engine) == {}
    assert engine.run(run_id).status == "PENDING"


def test_a_family_stays_until_its_last_member_has_ended(engine: Engine) -> None:
    """Finished parents of a live child, finished children of a live parent, and theirs."""
    engine.trigger()
    [root] = engine.claim()
    engine.start(root)
    child = engine.trigger(parent_run_id=root.run_id)
    [child_run] = engine.claim()
    grandchild = _done(engine, parent_run_id=child)
    engine.succeed(child_run)
    engine.clock.advance(60 * DAY)
    assert _removed(engine) == {"logs": 1}
    assert _exists(engine, grandchild)

    engine.heartbeat(root)
    engine.succeed(root)
    engine.clock.advance(31 * DAY)
    assert _removed(engine)["runs"] == 3


def test_a_run_stays_while_its_key_answers(engine: Engine) -> None:
    """Otherwise the task would run twice."""
    _done(engine, idempotency_key="k", idempotency_key_ttl="60d")
    engine.advance(40 * DAY)
    assert "runs" not in _removed(engine)
    engine.advance(21 * DAY)

    assert _removed(engine)["runs"] == 1


def test_runs_of_a_batch_stay_until_it_is_over(engine: Engine) -> None:
    """Then they go, and the batch with them."""
    engine.trigger_many(2)
    first, second = engine.claim()
    engine.succeed(first)
    engine.clock.advance(40 * DAY)
    assert _removed(engine) == {}
    engine.heartbeat(second)
    engine.succeed(second)
    engine.clock.advance(31 * DAY)

    assert _removed(engine) == {"runs": 2, "batches": 1}


def test_a_token_stays_while_it_is_open_or_somebody_waits(engine: Engine) -> None:
    """And goes when it is over."""
    engine.trigger()
    [one] = engine.claim()
    engine.start(one)
    engine.wait(one, 1_000)
    engine.clock.advance(40 * DAY)
    engine.heartbeat(one)
    engine.sweep()
    engine.clock.advance(40 * DAY)
    assert "waitpoints" not in _removed(engine)
    engine.succeed(one)

    assert _removed(engine)["waitpoints"] == 1


def test_lines_go_sooner_than_their_run(engine: Engine) -> None:
    """After fourteen days."""
    run_id = _done(engine)
    engine.advance(15 * DAY)

    assert _removed(engine) == {"logs": 1}
    assert _exists(engine, run_id)


def test_a_remembered_answer_goes_after_a_day(engine: Engine) -> None:
    """The request is not repeated any more."""
    for token in ("a", "b"):
        engine.call(request.remember, engine.environment, RequestKey("s", token), "r")
        engine.advance(DAY)

    assert _removed(engine) == {"requests": 1}


def test_a_run_with_very_many_lines_loses_them_in_slices(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No slice removes more than its share."""
    monkeypatch.setattr("trigger_platform.engine.retention._LINES", 10)
    engine.trigger()
    [one] = engine.claim()
    _log(engine, one, lines=35)
    engine.succeed(one)
    engine.clock.advance(31 * DAY)
    periods = Periods(logs_ms=365 * DAY)
    removed = asyncio.run(Retention(engine.units, periods).run_once())

    assert removed == {"runs": 1}
    assert _rows(engine).get("run_log") is None


def test_many_runs_go_slice_by_slice(engine: Engine) -> None:
    """Whatever their number, and whatever stays among them."""
    kept = _done(engine, idempotency_key="k", idempotency_key_ttl="90d")
    for _ in range(5):
        engine.trigger_many(90)
        _finish(engine)
    engine.advance(31 * DAY)

    removed = _removed(engine)
    assert (removed["runs"], removed["batches"]) == (450, 5)
    assert _exists(engine, kept)


def test_the_size_of_each_table_is_known(engine: Engine) -> None:
    """With its indexes, in bytes."""
    sizes = engine.call(lambda u: u.tx.all("table_bytes", Count))

    assert {"run", "run_log", "waitpoint"} <= {size.name for size in sizes}
    assert all(size.count > 0 for size in sizes)


@pytest.mark.parametrize(
    ("what", "insert"),
    [
        (
            "spans",
            (
                "insert into span (run_id, span_id, trace_id, name, started_ns, bytes, received_at)"
                " values (:id, 's', 't', 'n', 1, 1, :now)"
            ),
        ),
        (
            "points",
            (
                "insert into metric_point (run_id, number, name, kind, time_ns, bytes, received_at)"
                " values (:id, 1, 'n', 'sum', 1, 1, :now)"
            ),
        ),
    ],
)
def test_spans_and_data_points_go_with_the_lines(engine: Engine, what: str, insert: str) -> None:
    """After two weeks, by when they came; what a run has told in all is counted for as long as it stays."""
    run_id = _done(engine)
    engine.sql(insert, id=run_id, now=engine.clock.now())
    engine.sql(
        "insert into telemetry (run_id, records, bytes, refused) values (:id, 1, 1, 0)", id=run_id
    )
    engine.advance(14 * DAY)
    assert _removed(engine) == {}

    engine.advance(1)
    assert _removed(engine)[what] == 1
    assert _rows(engine)["telemetry"] == 1
    engine.advance(30 * DAY)
    _removed(engine)
    assert "telemetry" not in _rows(engine)
