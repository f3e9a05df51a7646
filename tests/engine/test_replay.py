"""Replays: what a new run takes from the old one."""

from __future__ import annotations

import json

from support.engine import Engine
from trigger_platform.engine import replay
from trigger_platform.engine.replay import Payload


def test_a_replay_takes_what_describes_the_run(engine: Engine) -> None:
    """Payload, tags, the seed of the metadata, queue, key, machine, test mark (RUN-014)."""
    old = engine.trigger(
        payload={"n": 1.0, "big": 2**70},
        tags=["a"],
        metadata={"seed": 1},
        queue={"name": "mine"},
        concurrency_key="k",
        machine="large-1x",
        priority=3,
        test=True,
    )
    run = engine.run(engine.replay(old))

    assert json.loads(engine.payload(run.id).data or "") == {"n": 1.0, "big": 2**70}
    assert (run.tags, run.metadata) == ('["a"]', '{"seed":1}')
    assert (run.queue, run.concurrency_key, run.machine) == ("mine", "k", "large-1x")
    assert (run.priority_ms, run.is_test, run.replay_of) == (3_000, 1, old)


def test_a_replay_leaves_what_belonged_to_the_one_trigger(engine: Engine) -> None:
    """Delay, life, attempts, keys, parent and batch."""
    parent = engine.trigger()
    old = engine.trigger(
        delay="1h",
        ttl="3h",
        max_attempts=9,
        idempotency_key="k",
        parent_run_id=parent,
        debounce={"key": "k", "delay": "1h"},
    )
    run = engine.run(engine.replay(old))

    assert (run.status, run.delay_until, run.ttl_ms) == ("PENDING", None, 600_000)
    assert (run.max_attempts, run.idempotency_key, run.parent_id) == (None, None, None)
    assert "debounceKey" not in (run.annotations or "")


def test_a_replay_may_have_another_payload(engine: Engine) -> None:
    """Of any kind."""
    old = engine.trigger(payload={"n": 1})
    chosen = Payload('{"json":{"n":2}}', "application/super+json")
    made = engine.call(replay.run, engine.environment, old, chosen)

    assert engine.payload(made.id).data == '{"json":{"n":2}}'
    assert engine.payload(made.id).type == "application/super+json"


def test_a_replay_begins_with_the_first_metadata(engine: Engine) -> None:
    """Not with what the old run made of it."""
    old = engine.trigger(metadata={"n": 0})
    [assignment] = engine.claim()
    flush = {"operations": [{"type": "increment", "key": "n", "value": 5}]}
    engine.report(
        metadata=[{"run_id": assignment.run_id, "lease": assignment.lease, "number": 1} | flush]
    )

    assert engine.run(old).metadata == '{"n":5}'
    assert engine.run(engine.replay(old)).metadata == '{"n":0}'
