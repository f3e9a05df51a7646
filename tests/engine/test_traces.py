"""The trace of a run: derived from what happened to it, and from what its code exported."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from pydantic_core import to_json

from support import otlp
from support.engine import Engine, task
from trigger_core import trace_context
from trigger_core.schemas.runs import LogRecord
from trigger_core.schemas.traces import RunTrace
from trigger_core.schemas.workers import Assignment, LogLine, Succeeded
from trigger_platform.engine import telemetry
from trigger_platform.http import present_traces
from trigger_platform.otlp import from_json
from trigger_platform.otlp.offered import offered
from trigger_platform.otlp.room import Room
from trigger_platform.reads import traces
from trigger_platform.reads.trace_tree import DEEPEST, Node, Tree, walk
from trigger_platform.reads.traces import Limits

Outline = list[Any]


def _tree(engine: Engine, run_id: str, limits: Limits | None = None) -> Tree:
    found: Tree = engine.call(traces.of_run, engine.environment, run_id, limits or Limits())
    return found


def _outline(node: Node) -> Outline:
    return [node.message, *(_outline(child) for child in node.children)]


def _export(engine: Engine, run_id: str, *spans: dict[str, Any]) -> None:
    for at in range(0, len(spans), 1_000):
        body = json.dumps(otlp.traces({"ctx.run.id": run_id}, *spans[at : at + 1_000])).encode()
        request = offered(from_json.read(body, "traces", Room()), 0, engine.clock.now())
        taken = engine.call(telemetry.take, engine.environment.id, request)
        assert taken.refused == 0, taken


def _say(engine: Engine, one: Assignment, message: str, span_id: str | None = None) -> None:
    record = LogRecord(
        attempt=one.attempt,
        time="2025-11-24T16:00:00.000Z",
        level="INFO",
        source="stdout",
        message=message,
        span_id=span_id,
    )
    engine.report(logs=[LogLine(run_id=one.run_id, record=record)])


def test_queueing_attempts_and_waits_are_spans(engine: Engine) -> None:
    """From the run's own history, with the moments at which it happened."""
    run_id = engine.trigger(delay="1s")
    engine.advance(1_000)
    engine.clock.advance(500)
    [one] = engine.claim()
    engine.start(one)
    engine.wait_started(one, 2_000)
    engine.advance(2_000)
    engine.clock.advance(100)
    engine.fail(one, retry_ms=60_000)
    engine.advance(60_000)
    [again] = engine.claim()
    engine.start(again)
    engine.clock.advance(50)
    engine.succeed(again)

    root = _tree(engine, run_id).root
    assert _outline(root) == [
        "task",
        ["Delayed"],
        ["Queued"],
        ["Attempt 1", ["Waiting"]],
        ["Queued"],
        ["Attempt 2"],
    ]
    took = {
        (node.message, node.attempt): ((node.ended_ns or 0) - node.started_ns) // 1_000_000
        for _, node in walk(root)
    }
    assert took["task", 0] == 1_000 + 500 + 2_000 + 100 + 60_000 + 50
    assert took["Delayed", 0] == 1_000
    assert took["Attempt 1", 1] == 2_100
    assert took["Waiting", 0] == 2_000
    assert took["Attempt 2", 2] == 50
    first, second = [node for _, node in walk(root) if node.kind == "attempt"]
    assert (first.is_error, second.is_error) == (True, False)
    assert first.events[0]["properties"]["exception.message"]


def test_an_attempt_that_was_reported_at_its_end_took_as_long_as_it_says(engine: Engine) -> None:
    """Its begin and its end are written in one moment."""
    run_id = engine.trigger()
    [one] = engine.claim()
    engine.clock.advance(300)
    done = Succeeded(run_id=one.run_id, lease=one.lease, output="1", duration_ms=250)
    engine.report(completions=[done])

    [attempt] = [node for _, node in walk(_tree(engine, run_id).root) if node.kind == "attempt"]
    assert (attempt.ended_ns or 0) - attempt.started_ns == 250_000_000


def test_what_goes_on_has_no_end(engine: Engine) -> None:
    """Run, attempt and wait."""
    one = engine.started()
    engine.wait_started(one, 10_000)
    engine.clock.advance(3_000)
    found = _tree(engine, one.run_id)

    open_ones = [node.message for _, node in walk(found.root) if node.ended_ns is None]
    assert open_ones == ["task", "Attempt 1", "Waiting"]
    shown = RunTrace.model_validate(present_traces.tree(found)).trace.root_span
    assert shown.data.is_partial
    assert shown.data.duration == 3_000


def test_a_canceled_run_is_shown_as_canceled(engine: Engine) -> None:
    """Not as failed."""
    run_id = engine.trigger()
    engine.cancel(run_id)

    root = _tree(engine, run_id).root
    assert (root.is_cancelled, root.is_error) == (True, False)


def test_children_that_are_waited_for_belong_to_the_trace_of_their_parent(engine: Engine) -> None:
    """Below the attempt that waits; single ones, batches and their children."""
    engine.register(task(), task("child"), task("leaf"), content_hash="v2")
    one = engine.started()
    engine.trigger_and_wait(one, "child", "child", batch=True)
    first, second = engine.claim()
    for child in (first, second):
        engine.start(child)
    engine.trigger_and_wait(first, "leaf")
    [leaf] = engine.claim()
    engine.succeed(leaf)

    found = _tree(engine, one.run_id)
    [_, attempt] = _outline(found.root)
    assert attempt[:2] == ["Attempt 1", ["Waiting"]]
    assert sorted(attempt[2:], key=str) == [
        ["child", ["Attempt 1", ["leaf", ["Attempt 1"]]]],
        ["child", ["Attempt 1"]],
    ]
    for run_id in (first.run_id, leaf.run_id):
        below = _tree(engine, run_id)
        assert below.trace_id == found.trace_id
        assert below.above is not None


def test_a_run_that_is_not_waited_for_has_a_trace_of_its_own_and_is_shown_below_its_parent(
    engine: Engine,
) -> None:
    """Itself, and not what is below it."""
    engine.register(task(), task("child"), task("leaf"), content_hash="v2")
    one = engine.started()
    child_id = engine.trigger("child", parent_run_id=one.run_id)
    [child] = engine.claim()
    engine.start(child)
    engine.trigger_and_wait(child, "leaf")

    found = _tree(engine, one.run_id)
    assert _outline(found.root) == [
        "task",
        ["Attempt 1", ["child", ["Attempt 1", ["Waiting"]]]],
    ]
    own = _tree(engine, child_id)
    assert own.trace_id != found.trace_id
    assert own.above is None
    assert _outline(own.root)[1] == ["Attempt 1", ["Waiting"], ["leaf", ["Queued"]]]


def test_an_attempt_is_told_the_span_it_is(engine: Engine) -> None:
    """So that what its code does can hang below it."""
    one = engine.started(max_attempts=2)
    engine.trigger_and_wait(one, "task")
    [child] = engine.claim()
    found = _tree(engine, one.run_id)
    attempt = next(node for _, node in walk(found.root) if node.kind == "attempt")

    assert one.traceparent == f"00-{found.trace_id}-{attempt.span_id}-01"
    parsed = trace_context.parse(child.traceparent or "")
    assert parsed is not None
    assert parsed.trace_id == found.trace_id
    assert parsed.span_id == trace_context.attempt_span_id(child.run_id, 1)


def test_spans_of_the_code_hang_where_they_say_or_below_their_attempt(engine: Engine) -> None:
    """Lines are shown in their span, or in their attempt."""
    one = engine.started()
    attempt_id = trace_context.attempt_span_id(one.run_id, 1)
    now = engine.clock.now()
    _export(
        engine,
        one.run_id,
        otlp.span("c" * 16, "lost", parent="f" * 16, start=now + 3),
        otlp.span("b" * 16, "inner", parent="a" * 16, start=now + 2),
        otlp.span("a" * 16, "outer", parent=attempt_id, start=now + 1),
    )
    _say(engine, one, "in the span", "b" * 16)
    _say(engine, one, "in the attempt")
    _say(engine, one, "in a span nobody knows", "e" * 16)

    root = _tree(engine, one.run_id).root
    assert _outline(root)[1] == ["Attempt 1", ["outer", ["inner"]], ["lost"]]
    lines = {node.message: [line.message for line in node.lines] for _, node in walk(root)}
    assert lines["inner"] == ["in the span"]
    assert lines["Attempt 1"] == ["in the attempt", "in a span nobody knows"]


def test_the_workers_own_span_of_an_attempt_is_the_attempt(engine: Engine) -> None:
    """The official worker exports one; it is not shown twice, and what hangs below it hangs there."""
    one = engine.started()
    root_id = trace_context.root_span_id(one.run_id)
    now = engine.clock.now()
    _export(
        engine,
        one.run_id,
        otlp.span("b" * 16, "inner", parent="a" * 16, start=now + 2),
        otlp.span("a" * 16, "Attempt 1", parent=root_id, start=now + 1),
    )

    root = _tree(engine, one.run_id).root
    assert _outline(root) == ["task", ["Attempt 1", ["inner"]]]
    assert root.children[0].span_id == "a" * 16


def test_spans_that_are_each_others_parents_are_shown_once(engine: Engine) -> None:
    """Below their run; a span that is its own parent as well."""
    one = engine.started()
    _export(
        engine,
        one.run_id,
        otlp.span("a" * 16, "a", parent="c" * 16),
        otlp.span("b" * 16, "b", parent="a" * 16),
        otlp.span("c" * 16, "c", parent="b" * 16),
        otlp.span("d" * 16, "d", parent="d" * 16),
    )

    names = [node.message for _, node in walk(_tree(engine, one.run_id).root)]
    assert sorted(names) == ["Attempt 1", "a", "b", "c", "d", "task"]


def test_a_chain_without_end_is_folded_and_answered_in_time(engine: Engine) -> None:
    """Ten thousand spans, each below the one before it."""
    one = engine.started()
    ids = [f"{n:016x}" for n in range(1, 10_001)]
    spans = [otlp.span(ids[0], "0")]
    spans += [
        otlp.span(ids[n], str(n), parent=ids[n - 1], start=1_764_000_000_000 + n)
        for n in range(1, 10_000)
    ]
    _export(engine, one.run_id, *spans)

    began = time.monotonic()
    found = _tree(engine, one.run_id)
    answer = to_json(present_traces.tree(found)).decode()
    elapsed_s = time.monotonic() - began

    depths = [depth for depth, _ in walk(found.root)]
    assert (len(depths), max(depths)) == (10_002, DEEPEST + 1)
    assert answer.count('"children"') == 10_002
    assert found.is_whole
    assert elapsed_s < 5


@pytest.mark.parametrize(
    "limits", [Limits(runs=2), Limits(spans=2), Limits(lines=2), Limits(steps=4)], ids=str
)
def test_what_is_left_out_is_said(engine: Engine, limits: Limits) -> None:
    """Whichever limit is reached; at the limit nothing is."""
    one = engine.started()
    engine.trigger_and_wait(one, "task", "task", batch=True)
    _export(engine, one.run_id, *(otlp.span(f"{n:016x}") for n in (1, 2, 3)))
    for _ in range(3):
        _say(engine, one, "hello")

    assert not _tree(engine, one.run_id, limits).is_whole
    assert _tree(engine, one.run_id, Limits(runs=3, spans=3, lines=3, steps=6)).is_whole
    assert present_traces.tree(_tree(engine, one.run_id, limits))["trace"]["truncated"] is True
