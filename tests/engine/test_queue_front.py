"""What is read of the queue leads to the same choice as reading all of it would."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.engine import Engine, open_engine, task
from trigger_platform.engine import concurrency, pool, queue_front, queue_turns
from trigger_platform.engine.queue_turns import Line, Turn
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import RunRow

QUEUES, KEYS = ["p", "q", "r"], ["", "a", "b", "c"]
RUNS = st.lists(st.tuples(st.sampled_from(QUEUES), st.sampled_from(KEYS)), min_size=1, max_size=40)


def _all_lines(u: Unit, engine: Engine, limit: int) -> list[Line]:
    """Read everything that waits; keys of a queue from behind the one that was served last."""
    free = concurrency.room(u, engine.environment, QUEUES)
    places: dict[tuple[str, str], list[int]] = {}
    for run in sorted(u.tx.all("runs_all", RunRow), key=lambda run: run.position):
        if run.execution_status == "QUEUED":
            places.setdefault((run.queue, run.concurrency_key), []).append(run.position)
    lines: list[Line] = []
    for queue in QUEUES:
        row = free.queues[queue]
        assert row is not None
        for key in sorted(KEYS, key=lambda key, last=row.last_key: (key <= last, key)):  # type: ignore[misc]
            room = 0 if row.paused else min(free.of_line(queue, key), limit)
            found = places.get((queue, key), [])[: max(0, room)]
            lines.append(Line(queue, key, free.held.get((queue, key), 0), found))
    return lines


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    limits=st.fixed_dictionaries({name: st.sampled_from([None, 0, 1, 3]) for name in QUEUES}),
    paused=st.sampled_from([None, *QUEUES]),
    before=RUNS,
    held=st.integers(0, 6),
    runs=RUNS,
    limit=st.integers(1, 9),
)
def test_the_choice_is_that_of_one_who_read_everything(
    limits: dict[str, int | None],
    paused: str | None,
    before: list[tuple[str, str]],
    held: int,
    runs: list[tuple[str, str]],
    limit: int,
) -> None:
    """Exactly, while a queue has fewer keys than runs are asked for; and always as many runs."""
    engine = open_engine()
    engine.register(*(task(name, queue=name, limit=limits[name]) for name in QUEUES))

    def trigger(wanted: list[tuple[str, str]]) -> None:
        for queue, key in wanted:
            engine.trigger(queue, concurrency_key=key)
            engine.clock.advance(1)

    trigger(before)
    engine.claim(held)
    if paused:
        engine.pause_queue(paused)
    trigger(runs)

    def look(u: Unit) -> Any:
        wanted = queue_turns.turns(_all_lines(u, engine, limit), limit)
        free = concurrency.room(u, engine.environment)
        pools = pool.served_by(u, engine.environment, engine.workers)
        found = queue_front.next_runs(u, engine.environment, pools, free, limit)
        return wanted, [Turn(run.queue, run.concurrency_key) for run in found]

    wanted, found = engine.call(look)
    engine.db.close()

    assert len(found) == len(wanted)
    if limit > len(KEYS):
        assert found == wanted
