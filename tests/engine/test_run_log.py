"""Lines that runs write: each once, however often it is reported, and none is lost for its time."""

from __future__ import annotations

from typing import Any

import pytest

from support.engine import Engine
from trigger_core import clock
from trigger_core.schemas.runs import LogRecord
from trigger_core.schemas.workers import Assignment, LogLine, Succeeded
from trigger_platform.reads import runs as reads

NOON = "2025-11-24T12:00:00.000Z"


def _line(one: Assignment, message: str, number: int | None, time: str = NOON) -> LogLine:
    record = LogRecord(
        attempt=one.attempt, time=time, level="INFO", source="stdout", message=message
    )
    return LogLine(run_id=one.run_id, lease=one.lease, number=number, record=record)


def _messages(engine: Engine, run_id: str) -> list[str]:
    return [row.message for row in _rows(engine, run_id)]


def _rows(engine: Engine, run_id: str) -> list[Any]:
    found: list[Any] = engine.call(reads.logs, engine.environment, run_id, 0)
    return found


def test_a_report_that_comes_again_writes_each_line_once(engine: Engine) -> None:
    """The answer to the first was lost; lines that came in between are kept."""
    one = engine.started()
    first = [_line(one, "a", 1), _line(one, "b", 2)]

    engine.report(logs=first)
    engine.report(logs=[_line(one, "c", 3)])
    engine.report(logs=first)

    assert _messages(engine, one.run_id) == ["a", "b", "c"]


def test_equal_lines_are_all_kept(engine: Engine) -> None:
    """What tells lines apart is their number, not their text."""
    one = engine.started()
    engine.report(logs=[_line(one, "tick", n) for n in (1, 2, 3)])

    assert _messages(engine, one.run_id) == ["tick"] * 3


def test_each_lease_counts_its_lines_anew(engine: Engine) -> None:
    """The second attempt's first line is no repetition of the first attempt's."""
    one = engine.started(max_attempts=2)
    engine.report(logs=[_line(one, "first", 1)])
    engine.fail(one, retry_ms=60_000)
    engine.advance(60_000)
    [again] = engine.claim()
    engine.start(again)
    engine.report(logs=[_line(again, "second", 1)])

    assert _messages(engine, one.run_id) == ["first", "second"]


def test_lines_without_a_number_are_written_as_they_come(engine: Engine) -> None:
    """A worker that does not count is served as before."""
    one = engine.started()
    engine.report(logs=[_line(one, "a", None)])
    engine.report(logs=[_line(one, "a", None)])

    assert _messages(engine, one.run_id) == ["a", "a"]


@pytest.mark.parametrize(
    "time",
    ["", "soon", "2025-13-45T99:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"],
)
def test_a_line_with_a_time_that_cannot_be_is_written_with_the_servers(
    engine: Engine, time: str
) -> None:
    """The end of the run that travels with it counts."""
    one = engine.started()
    ended = Succeeded(run_id=one.run_id, lease=one.lease, output='"x"')
    reported = engine.report(logs=[_line(one, "a", 1, time)], completions=[ended])

    assert [verdict.kind for verdict in reported.verdicts] == ["finished"]
    [row] = _rows(engine, one.run_id)
    assert (row.message, row.time) == ("a", engine.clock.now())


def test_a_line_keeps_the_time_at_which_it_was_written(engine: Engine) -> None:
    """The worker's, though it is reported later."""
    one = engine.started()
    engine.report(logs=[_line(one, "a", 1)])

    assert _rows(engine, one.run_id)[0].time == clock.from_iso(NOON)
