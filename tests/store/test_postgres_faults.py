"""A PostgreSQL server that is killed and paused again and again under two platforms at work."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import postgres
from support.engine import Engine, open_engine, task
from support.postgres import Server
from trigger_core.schemas.workers import Succeeded
from trigger_platform.store.opening import open_database
from trigger_platform.store.rows import RunRow

RUNS = 5_000
PAGE = 100
LONGEST_S = 180


@pytest.mark.slow
def test_five_thousand_runs_end_once_and_right_though_the_server_dies_and_stands_still() -> None:
    """Nothing acknowledged is lost, nothing is doubled, and no lease is left."""
    server = postgres.launch(settings={})
    url = server.database()
    engine = open_engine(open_database(url))
    engine.register(task())
    other = engine.beside(url, seed=2, durable=True)
    ended = threading.Semaphore(0)
    with ThreadPoolExecutor(2) as threads:
        triggered = threads.submit(_trigger, engine)
        worked = threads.submit(_work, other, ended)
        for number in range(8):
            for _ in range(RUNS // 10):
                assert ended.acquire(timeout=60)
            if number % 2:
                _stand_still(server, engine)
            else:
                server.kill()
                server.start()
        ids = triggered.result(timeout=120)
        worked.result(timeout=120)

    runs: list[RunRow] = engine.call(lambda u: u.tx.all("runs_all", RunRow))
    outputs = engine.call(lambda u: [u.tx.scalar("output_of", run_id=run.id) for run in runs])
    assert sorted(run.id for run in runs) == sorted(ids)
    assert {run.status for run in runs} == {"COMPLETED_SUCCESSFULLY"}
    assert outputs == [json.dumps(run.id) for run in runs]
    assert [run.id for run in runs if run.boot_id or run.slot_held or run.due_at] == []
    assert {run.attempt for run in runs} == {1}
    assert engine.violations() == []
    engine.db.close()
    other.db.close()
    server.stop()


def _stand_still(server: Server, engine: Engine) -> None:
    """Nothing is answered meanwhile, and everything afterwards."""
    with server.paused():
        write = engine.units.submit(lambda u: u.now)
        with pytest.raises(TimeoutError):
            write.result(timeout=0.5)
    write.result(timeout=60)


def _trigger(engine: Engine) -> list[str]:
    return [run_id for _ in range(RUNS // PAGE) for run_id in engine.trigger_many(PAGE)]


def _work(engine: Engine, ended: threading.Semaphore) -> None:
    left, deadline = RUNS, time.monotonic() + LONGEST_S
    while left:
        assert time.monotonic() < deadline, f"{left} runs did not come"
        runs = engine.claim(PAGE)
        done = [
            Succeeded(run_id=one.run_id, lease=one.lease, output=json.dumps(one.run_id))
            for one in runs
        ]
        engine.report(completions=done)
        left -= len(runs)
        for _ in runs:
            ended.release()
